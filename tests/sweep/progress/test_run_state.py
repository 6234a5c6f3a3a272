"""How a run stands: counts, the best of each cell, and the time left."""

import math
import time
from collections.abc import Iterator

import pandas as pd
import pytest

from tests.support.plans import trial
from transfer_sweep.reports.ledger.records import EpochReport, Pair, TrialState
from transfer_sweep.sweep.progress.run_state import RunState, Score, scores_of
from transfer_sweep.sweep.trial.report import TrialEvent, TrialReport

PAIR = Pair("a", "b")
TRIALS = [*(trial(f"dann{i}") for i in range(4)), *(trial(f"tca{i}", "tca") for i in range(2))]


class Clock:
    """The time, which stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", clock)
        yield clock


def started(key: str) -> TrialEvent:
    return TrialEvent(key, TrialState.RUNNING)


def reported(key: str, score: float, accuracy: float, state: TrialState = TrialState.RUNNING) -> TrialEvent:
    epoch = EpochReport(1, accuracy, {}, {}, 1.0)
    return TrialEvent(key, state, TrialReport([epoch], 1, score, state))


def test_the_best_is_the_trial_that_the_criterion_prefers_whatever_its_accuracy() -> None:
    state = RunState(TRIALS, {}, {"dann0": Score(1.0, 60.0), "of a former plan": Score(9.0, 99.0)})
    assert state.best() == {("dann", PAIR): (1.0, 60.0)}
    state.event(reported("dann1", 0.5, 90.0))
    assert state.best()["dann", PAIR].accuracy == 60.0
    state.event(reported("dann2", 1.5, 55.0))
    assert state.best()["dann", PAIR] == (1.5, 55.0)


@pytest.mark.parametrize("score", [math.nan, -math.inf])
def test_what_has_no_score_is_never_the_best(score: float) -> None:
    assert not RunState(TRIALS, {}, {"dann0": Score(score, 60.0)}).best()


def test_each_event_moves_a_trial_from_state_to_state() -> None:
    state = RunState(TRIALS, {"tca0": TrialState.DONE}, {})
    assert state.counts() == {"pending": 5, "done": 1}
    for key in ("dann0", "dann1", "dann2"):
        state.event(started(key))
    state.event(TrialEvent("dann1", TrialState.PENDING))  # its node is lost
    state.event(reported("dann2", 1.0, 50.0, TrialState.STOPPED))
    assert state.counts() == {"pending": 3, "running": 1, "stopped": 1, "done": 1}
    assert state.counts_by_place()["tca", PAIR] == {"done": 1, "pending": 1}
    assert (state.ended(), state.ended_here) == (2, 1)


def test_the_last_failure_is_said_by_the_last_line_of_its_traceback() -> None:
    state = RunState(TRIALS, {}, {})
    error = "Traceback (most recent call last):\n  …\nValueError: bad\n"
    state.event(TrialEvent("tca1", TrialState.FAILED, TrialReport([], 0, 0.0, TrialState.FAILED, error=error)))
    assert state.last_error == "tca a-b: ValueError: bad"


def test_the_time_left_is_estimated_from_what_each_methods_trials_took(clock: Clock) -> None:
    state = RunState(TRIALS, {}, {})
    assert state.seconds_left(1) is None
    for key in ("dann0", "dann1"):
        state.event(started(key))
    clock.now = 10.0
    state.event(reported("dann0", 1.0, 50.0, TrialState.DONE))
    clock.now = 20.0
    state.event(reported("dann1", 1.0, 50.0, TrialState.DONE))
    # Two of dann took 15 s in the mean; of tca nothing is known, and the mean over all stands for it.
    assert state.seconds_left(1) == 4 * 15.0
    state.event(started("tca0"))
    clock.now = 21.0
    state.event(reported("tca0", 1.0, 50.0, TrialState.DONE))
    assert state.seconds_left(2) == (2 * 15.0 + 1 * 1.0) / 2
    assert state.elapsed() == 21.0


def test_recorded_scores_are_guarded_against_collapse() -> None:
    candidates = pd.DataFrame(
        {
            "id": ["sound", "collapsed", "unlabelled"],
            "information_maximization": [1.0, 9.0, 0.5],
            "predicted_classes": [1.0, 0.05, 1.0],
            "target_accuracy": [50.0, 3.0, None],
        }
    )
    scores = scores_of(candidates, "information_maximization")
    assert scores["sound"].criterion > scores["collapsed"].criterion
    assert (scores["sound"].accuracy, scores["unlabelled"].accuracy) == (50.0, None)
