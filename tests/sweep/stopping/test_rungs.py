"""Rungs against the rule of the ASHA paper, applied by hand."""

import itertools

import numpy as np
import pytest

from tests.support.plans import STOPPING, numbered
from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep.config.schema import EarlyStopping
from transfer_sweep.sweep.stopping.rungs import Rungs


def _survivors(rungs: Rungs, rows: list[Trial], scores: dict[str, float], epoch: int = 10) -> set[str]:
    return {row.id for row in rows if rungs.keep_going(row, epoch, scores[row.id])}


def test_a_rung_keeps_a_trial_in_the_top_third_of_those_that_came_before() -> None:
    rng = np.random.default_rng(0)
    rows = [numbered(i) for i in range(60)]
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
    easy, hard = [numbered(i, "easy") for i in range(20)], [numbered(i, "hard") for i in range(20)]
    scores = {r.id: 0.9 + i / 1000 for i, r in enumerate(easy)} | {r.id: 0.1 + i / 1000 for i, r in enumerate(hard)}
    rows = [row for both in zip(easy, hard, strict=True) for row in both]
    kept = _survivors(Rungs(STOPPING, {easy[0].cell, hard[0].cell}), rows, scores)
    assert {r.id for r in hard} <= kept  # each is better than all of its own cell before it
    assert {r.id for r in easy} <= kept


def test_nothing_is_stopped_during_grace_nor_in_small_cells_nor_in_confirmation() -> None:
    rows = [numbered(i) for i in range(10)]
    falling = {row.id: float(-i) for i, row in enumerate(rows)}
    for epoch in range(1, 10):
        assert len(_survivors(Rungs(STOPPING, {rows[0].cell}), rows, falling, epoch)) == 10
    assert len(_survivors(Rungs(STOPPING, set()), rows, falling)) == 10
    confirm = [numbered(i, role="confirm") for i in range(10)]
    assert len(_survivors(Rungs(STOPPING, {rows[0].cell}), confirm, falling)) == 10
    off = Rungs(EarlyStopping(scheduler="none"), {rows[0].cell})
    assert len(_survivors(off, rows, falling)) == 10


@pytest.mark.parametrize("lowest", [-1e8, -4e6])
def test_undefined_and_collapsed_scores_never_survive_a_rung_that_has_better(lowest: float) -> None:
    rows = [numbered(i) for i in range(9)]
    scores = {row.id: (lowest if i % 2 else 1.0 + i / 10) for i, row in enumerate(rows)}
    kept = _survivors(Rungs(STOPPING, {rows[0].cell}), rows, scores)
    assert kept == {row.id for i, row in enumerate(rows) if i % 2 == 0}


@pytest.mark.parametrize(("late", "goes_on"), [(3.0, False), (3.5, True), (98.0, True)])
def test_an_epoch_that_is_repeated_counts_once(late: float, goes_on: bool) -> None:
    """Two thirds of 0, 1 … 5 lie below 10/3. Had the repeated 99s counted, nothing below them would go on."""
    rows = [numbered(i) for i in range(6)]
    rungs = Rungs(STOPPING, {rows[0].cell})
    for row in rows:
        rungs.keep_going(row, 10, row.params["i"])
        rungs.keep_going(row, 10, 99.0)
    assert rungs.keep_going(numbered(6), 10, late) == goes_on


def test_reports_at_the_decision_epochs_leave_the_same_rungs_as_a_replay_of_every_epoch() -> None:
    stopping = EarlyStopping(grace=0.1, reduction=1.7)
    rows = [numbered(i) for i in range(12)]
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
        late = numbered(100 + int(10 * score))
        for epoch in sorted(live.epochs_of(late)):
            assert live.keep_going(late, epoch, float(score)) == replay.keep_going(late, epoch, float(score))
