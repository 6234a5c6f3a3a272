"""CellASHA against the rule of the ASHA paper, applied by hand."""

import itertools

import numpy as np
import pytest
from ray.tune import Trainable, register_trainable
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.experiment import trial

from tests.support import plans
from transfer_sweep.reports.ledger.records import Role, Trial
from transfer_sweep.sweep.config.schema import EarlyStopping
from transfer_sweep.sweep.engine.patches import cached_trainable_lookup
from transfer_sweep.sweep.engine.scheduler import CellASHA
from transfer_sweep.sweep.engine.search import PlannedSearch
from transfer_sweep.sweep.stopping.rungs import Rungs

STOPPING = EarlyStopping(grace=1 / 3, reduction=3)


def _row(i: int, source: str = "a", budget: int = 30, role: Role = "search") -> Trial:
    return plans.trial(f"{source}{i}", source=source, params={"i": i}, budget=budget, role=role)


def _survivors(rungs: Rungs, rows: list[Trial], scores: dict[str, float], epoch: int = 10) -> set[str]:
    return {row.id for row in rows if rungs.keep_going(row, epoch, scores[row.id])}


def test_a_rung_keeps_a_trial_in_the_top_third_of_those_that_came_before() -> None:
    rng = np.random.default_rng(0)
    rows = [_row(i) for i in range(60)]
    scores = {row.id: float(rng.normal()) for row in rows}
    kept = _survivors(Rungs(STOPPING, {rows[0].cell}), rows, scores)
    # Li et al. 2020: promote what is in the top 1/η of the rung; the first arrival has nothing to be compared with.
    expected = {rows[0].id}
    for before, row in zip(itertools.accumulate([[r] for r in rows], lambda a, b: a + b), rows[1:], strict=False):
        earlier = [scores[r.id] for r in before]
        if scores[row.id] >= np.percentile(earlier, (1 - 1 / 3) * 100):
            expected.add(row.id)
    assert kept == expected
    assert len(kept) < 35


def test_an_easy_pair_does_not_starve_a_hard_one() -> None:
    easy, hard = [_row(i, "easy") for i in range(20)], [_row(i, "hard") for i in range(20)]
    scores = {r.id: 0.9 + i / 1000 for i, r in enumerate(easy)} | {r.id: 0.1 + i / 1000 for i, r in enumerate(hard)}
    rows = [row for both in zip(easy, hard, strict=True) for row in both]
    kept = _survivors(Rungs(STOPPING, {easy[0].cell, hard[0].cell}), rows, scores)
    assert {r.id for r in hard} <= kept  # each is better than all of its own cell before it
    assert {r.id for r in easy} <= kept


def test_nothing_is_stopped_during_grace_nor_in_small_cells_nor_in_confirmation() -> None:
    rows = [_row(i) for i in range(10)]
    falling = {row.id: float(-i) for i, row in enumerate(rows)}
    for epoch in range(1, 10):
        assert len(_survivors(Rungs(STOPPING, {rows[0].cell}), rows, falling, epoch)) == 10
    assert len(_survivors(Rungs(STOPPING, set()), rows, falling)) == 10
    confirm = [_row(i, role="confirm") for i in range(10)]
    assert len(_survivors(Rungs(STOPPING, {rows[0].cell}), confirm, falling)) == 10
    off = Rungs(EarlyStopping(scheduler="none"), {rows[0].cell})
    assert len(_survivors(off, rows, falling)) == 10


@pytest.mark.parametrize("lowest", [-1e8, -4e6])
def test_undefined_and_collapsed_scores_never_survive_a_rung_that_has_better(lowest: float) -> None:
    rows = [_row(i) for i in range(9)]
    scores = {row.id: (lowest if i % 2 else 1.0 + i / 10) for i, row in enumerate(rows)}
    kept = _survivors(Rungs(STOPPING, {rows[0].cell}), rows, scores)
    assert kept == {row.id for i, row in enumerate(rows) if i % 2 == 0}


@pytest.mark.parametrize(("late", "goes_on"), [(3.0, False), (3.5, True), (98.0, True)])
def test_an_epoch_that_is_repeated_counts_once(late: float, goes_on: bool) -> None:
    """Two thirds of 0, 1 … 5 lie below 10/3. Had the repeated 99s counted, nothing below them would go on."""
    rows = [_row(i) for i in range(6)]
    rungs = Rungs(STOPPING, {rows[0].cell})
    for row in rows:
        rungs.keep_going(row, 10, row.params["i"])
        rungs.keep_going(row, 10, 99.0)
    assert rungs.keep_going(_row(6), 10, late) == goes_on


def test_reports_at_the_decision_epochs_leave_the_same_rungs_as_a_replay_of_every_epoch() -> None:
    stopping = EarlyStopping(grace=0.1, reduction=1.7)
    rows = [_row(i) for i in range(12)]
    rng = np.random.default_rng(1)
    scores = {(row.id, epoch): float(rng.normal()) for row in rows for epoch in range(1, 31)}
    live, replay = Rungs(stopping, {rows[0].cell}), Rungs(stopping, {rows[0].cell})
    for row in rows:
        for epoch in range(1, 31):
            going = replay.keep_going(row, epoch, scores[row.id, epoch])
            if epoch in live.epochs_of(row):
                assert live.keep_going(row, epoch, scores[row.id, epoch]) == going
            if not going:
                break
    for score in np.linspace(-2, 2, 9):
        late = _row(100 + int(10 * score))
        for epoch in sorted(live.epochs_of(late)):
            assert live.keep_going(late, epoch, float(score)) == replay.keep_going(late, epoch, float(score))


def _configs(*requests: tuple[float, float]) -> list[dict[str, float]]:
    return [{"id": i, "cpu": cpu, "gpu": gpu} for i, (cpu, gpu) in enumerate(requests)]


def _next(trials: PlannedSearch, name: str) -> int:
    return int(trials.suggest(name)["trial"]["id"])


def test_trials_of_one_kind_keep_their_order() -> None:
    trials = PlannedSearch(_configs(*[(1, 0)] * 5), lambda _: 2)
    assert [_next(trials, str(i)) for i in range(3)] == [0, 1, 2]
    trials.on_trial_complete("1")
    assert [_next(trials, str(i)) for i in (3, 4)] == [3, 4]
    assert trials.suggest("5") == PlannedSearch.FINISHED


def test_cpu_trials_do_not_wait_behind_gpu_trials() -> None:
    gpu, cpu = (1.0, 0.5), (1.0, 0.0)
    trials = PlannedSearch(_configs(*[gpu] * 6, *[cpu] * 6), {gpu: 2, cpu: 4}.__getitem__)
    given = [_next(trials, str(i)) for i in range(6)]
    assert sorted(given) == [0, 1, 6, 7, 8, 9]  # two places on GPUs, four on the other nodes
    # The GPU trials go on; a CPU trial ends, and its place goes to the next of its kind.
    trials.on_trial_complete(str(given.index(6)))
    assert _next(trials, "next") == 10
    trials.on_trial_complete(str(given.index(1)))
    assert _next(trials, "another") == 2


def _waiting(scheduler: CellASHA, n: int) -> list[TuneTrial]:
    trials = [TuneTrial("t", config={"trial": {"id": f"a{i}", "cpu": 1, "gpu": 0}}, stub=True) for i in range(n)]
    for each in trials:
        scheduler.on_trial_add(None, each)
    return trials


def _run(scheduler: CellASHA, trial: TuneTrial, pid: int) -> None:
    trial.set_status(TuneTrial.RUNNING)
    scheduler.on_trial_complete(None, trial, {"node_ip": "here", "pid": pid})
    trial.set_status(TuneTrial.TERMINATED)


def test_a_free_process_leaves_a_trial_whose_own_is_being_started() -> None:
    rows = {row.id: row for row in (_row(i) for i in range(6))}
    scheduler = CellASHA(Rungs(STOPPING, set()), rows, {(1, 0): 2})
    trials = _waiting(scheduler, 6)
    assert scheduler.choose_trial_to_run(None) is trials[0]  # no process yet: all are being started
    _run(scheduler, trials[0], pid=1)
    assert scheduler.choose_trial_to_run(None) is trials[2]  # the second place is getting a process, for the next
    _run(scheduler, trials[2], pid=1)
    assert scheduler.choose_trial_to_run(None) is trials[3]
    _run(scheduler, trials[1], pid=2)
    assert scheduler.choose_trial_to_run(None) is trials[3]  # in order, once every place has its process
    for i in (3, 4):
        _run(scheduler, trials[i], pid=1)
    assert scheduler.choose_trial_to_run(None) is trials[5]


def test_the_last_trials_wait_for_no_process() -> None:
    scheduler = CellASHA(Rungs(STOPPING, set()), {row.id: row for row in (_row(0), _row(1))}, {(1, 0): 8})
    first, second = _waiting(scheduler, 2)
    _run(scheduler, first, pid=1)
    assert scheduler.choose_trial_to_run(None) is second


def test_tune_looks_its_trainable_up_once_while_a_pass_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(name: str) -> type[Trainable]:
        asked.append(name)
        return Trainable

    register_trainable("t", Trainable)
    monkeypatch.setattr(trial, "get_trainable_cls", look_up)
    for _ in range(2):
        with cached_trainable_lookup():
            for _ in range(3):
                TuneTrial("t", config={}).get_trainable_cls()
    assert asked == ["t", "t"]  # a later pass has a class of its own by the same name
    TuneTrial("t", config={}).get_trainable_cls()
    assert len(asked) > 2
