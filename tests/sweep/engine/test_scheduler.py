"""Which trial gets a process that is free."""

from ray.tune.experiment import Trial as TuneTrial

from tests.support.plans import STOPPING, numbered
from transfer_sweep.sweep.engine.scheduler import CellASHA
from transfer_sweep.sweep.stopping.rungs import Rungs


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
    rows = {row.id: row for row in (numbered(i) for i in range(6))}
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
    scheduler = CellASHA(Rungs(STOPPING, set()), {row.id: row for row in (numbered(0), numbered(1))}, {(1, 0): 8})
    first, second = _waiting(scheduler, 2)
    _run(scheduler, first, pid=1)
    assert scheduler.choose_trial_to_run(None) is second
