"""How a run stands: what is done, running, stopped and failed, the best so far, and the time that is left."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.records import Pair, Trial, TrialState
from transfer_sweep.sweep.trial.report import TrialEvent

Place = tuple[str, Pair]
"""(method, with the tag of its few-label setting; pair): where a trial stands in the view."""


class Score(NamedTuple):
    """What a trial has reached.

    Attributes:
        criterion: its guarded score; larger is better.
        accuracy: on the target, in percent; None where its labels are not known.
    """

    criterion: float
    accuracy: float | None

    @classmethod
    def of(cls, criterion: float, accuracy: float) -> Score:
        """From numbers as they are recorded; an ``accuracy`` that is NaN is none."""
        return cls(criterion, None if math.isnan(accuracy) else accuracy)


_NO_SCORE = Score(float("-inf"), None)


class RunState:
    """What is known of the trials of a plan, kept up to date by :meth:`event`.

    Args:
        trials: the plan.
        states: trial id → state in the ledger.
        scores: trial id → what it had reached when it last reported, of trials that ran before.
        criterion: what "best" means; the accuracy shown is of the trial it prefers, not the oracle's.

    Attributes:
        trials: trial id → the trial, in the order of the plan.
        places: trial id → where it stands in the view.
        states: trial id → state.
        criterion: as given.
        last_error: of the trial that failed last, in one line; empty where none has.
        ended_here: trials that ended since this object was made.
    """

    def __init__(
        self,
        trials: Iterable[Trial],
        states: Mapping[str, TrialState],
        scores: Mapping[str, Score],
        criterion: str = selection.DEFAULT,
    ) -> None:
        self.trials = {trial.id: trial for trial in trials}
        self.places: dict[str, Place] = {
            key: (trial.method + trial.protocol.few_tag, trial.pair) for key, trial in self.trials.items()
        }
        self.states = {key: states.get(key, TrialState.PENDING) for key in self.trials}
        self.criterion = criterion
        self.last_error = ""
        self.ended_here = 0
        self._started = time.monotonic()
        self._running_since: dict[str, float] = {}
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._best: dict[Place, Score] = {}
        for key, score in scores.items():
            if key in self.trials:
                self._add_score(key, score)

    def event(self, event: TrialEvent) -> None:
        """Take in what happened to a trial."""
        now, key, report = time.monotonic(), event.trial, event.report
        self.states[key] = event.state
        if event.state is TrialState.RUNNING and report is None:
            self._running_since[key] = now
        if report is not None and report.epochs and not report.error:
            self._add_score(key, Score.of(report.score, report.epochs[-1].target_accuracy))
        if event.state.ended:
            trial = self.trials[key]
            self.ended_here += 1
            self._seconds[trial.method].append(now - self._running_since.pop(key, now))
            if event.state.lost and event.last_error:
                self.last_error = f"{trial.method} {trial.pair}: {event.last_error}"

    def _add_score(self, key: str, score: Score) -> None:
        place = self.places[key]
        if score.criterion > self._best.get(place, _NO_SCORE).criterion:  # NaN never is
            self._best[place] = score

    def counts(self) -> Counter[TrialState]:
        """Trials by state."""
        return Counter(self.states.values())

    def ended(self) -> int:
        """Trials that have ended, in this run or before."""
        return sum(state.ended for state in self.states.values())

    def counts_by_place(self) -> dict[Place, Counter[TrialState]]:
        """Trials by state, for each method and pair."""
        found: dict[Place, Counter[TrialState]] = defaultdict(Counter)
        for key, place in self.places.items():
            found[place][self.states[key]] += 1
        return dict(found)

    def best(self) -> Mapping[Place, Score]:
        """For each method and pair that has reported, the trial that the criterion prefers so far."""
        return self._best

    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._started

    def seconds_left(self, slots: int) -> float | None:
        """An estimate from the mean time of each method's trials in this run; None before any has ended.

        Args:
            slots: trials that run at a time.
        """
        known = [seconds for times in self._seconds.values() for seconds in times]
        if not known:
            return None
        mean = sum(known) / len(known)
        means = {method: sum(times) / len(times) for method, times in self._seconds.items()}
        waiting = [self.trials[key].method for key, state in self.states.items() if not state.ended]
        return sum(means.get(method, mean) for method in waiting) / max(1, slots)


def scores_of(candidates: pd.DataFrame, criterion: str) -> dict[str, Score]:
    """Trial id → what it has reached: what a :class:`RunState` starts with.

    Args:
        candidates: as :func:`transfer_sweep.reports.selection.candidates` gives them.
        criterion: one by which a trial scores itself.
    """
    return {
        str(row["id"]): Score.of(
            selection.guarded(row[criterion], row["predicted_classes"]), float(row["target_accuracy"])
        )
        for row in candidates.to_dict("records")
    }
