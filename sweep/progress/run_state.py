"""How a run stands: what is done, running, stopped and failed, the best so far, and the time that is left."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger import few_labels
from transfer_sweep.reports.ledger.ledger import TrialRow

ENDED = ("done", "stopped", "failed", "oom")

Place = tuple[str, str, str]
"""(method, with the tag of its few-label setting; source; target): where a trial stands in the view."""


class Score(NamedTuple):
    """What a trial has reached.

    Attributes:
        criterion: its guarded score; larger is better.
        accuracy: on the target, in percent.
    """

    criterion: float
    accuracy: float


_NO_SCORE = Score(float("-inf"), 0.0)


class RunState:
    """What is known of the trials of a plan, kept up to date by :meth:`event`.

    Args:
        rows: the plan.
        states: trial id → state in the ledger.
        scores: trial id → what it had reached when it last reported, of trials that ran before.
        criterion: what "best" means; the accuracy shown is of the trial it prefers, not the oracle's.

    Attributes:
        rows: trial id → its row, in the order of the plan.
        places: trial id → where it stands in the view.
        states: trial id → state.
        criterion: as given.
        last_error: of the trial that failed last, in one line; empty where none has.
        ended_here: trials that ended since this object was made.
    """

    def __init__(
        self,
        rows: Iterable[TrialRow],
        states: Mapping[str, str],
        scores: Mapping[str, Score],
        criterion: str = selection.DEFAULT,
    ) -> None:
        self.rows = {row.id: row for row in rows}
        tags = {
            text: few_labels.tag(json.loads(text).get("few")) for text in {row.protocol for row in self.rows.values()}
        }
        self.places: dict[str, Place] = {
            key: (row.method + tags[row.protocol], row.source, row.target) for key, row in self.rows.items()
        }
        self.states = {key: states.get(key, "pending") for key in self.rows}
        self.criterion = criterion
        self.last_error = ""
        self.ended_here = 0
        self._started = time.monotonic()
        self._running_since: dict[str, float] = {}
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._best: dict[Place, Score] = {}
        for key, score in scores.items():
            if key in self.rows:
                self._add_score(key, score)

    def event(self, key: str, event: str, result: Mapping[str, Any]) -> None:
        """Take in what happened to a trial.

        Args:
            key: its id.
            event: ``started``; ``lost``, with its process or node; else the state that it reports.
            result: what it reports.
        """
        now = time.monotonic()
        if event == "started":
            self.states[key] = "running"
            self._running_since[key] = now
            return
        if event == "lost":
            self.states[key] = "pending"
            return
        if result.get("epochs") and "error" not in result:
            self._add_score(key, Score(result["score"], result["epochs"][-1]["target_accuracy"]))
        if event in ENDED:
            row = self.rows[key]
            self.states[key] = event
            self.ended_here += 1
            self._seconds[row.method].append(now - self._running_since.pop(key, now))
            if event in ("failed", "oom") and result.get("error"):
                last_line = str(result["error"]).strip().splitlines()[-1]
                self.last_error = f"{row.method} {row.source}-{row.target}: {last_line}"

    def _add_score(self, key: str, score: Score) -> None:
        place = self.places[key]
        if score.criterion > self._best.get(place, _NO_SCORE).criterion:  # NaN never is
            self._best[place] = score

    def counts(self) -> Counter[str]:
        """Trials by state."""
        return Counter(self.states.values())

    def ended(self) -> int:
        """Trials that have ended, in this run or before."""
        counts = self.counts()
        return sum(counts[state] for state in ENDED)

    def counts_by_place(self) -> dict[Place, Counter[str]]:
        """Trials by state, for each method and pair."""
        found: dict[Place, Counter[str]] = defaultdict(Counter)
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
        waiting = [self.rows[key].method for key, state in self.states.items() if state in ("pending", "running")]
        return sum(means.get(method, mean) for method in waiting) / max(1, slots)


def scores_of(candidates: pd.DataFrame, criterion: str) -> dict[str, Score]:
    """Trial id → what it has reached: what a :class:`RunState` starts with.

    Args:
        candidates: as :func:`transfer_sweep.reports.selection.candidates` gives them.
        criterion: one by which a trial scores itself.
    """
    names = [name for name in (*selection.OWN, "predicted_classes") if name in candidates]
    return {
        str(row["id"]): Score(
            selection.guarded_score({name: row[name] for name in names}, criterion),
            float(row["target_accuracy"]) if pd.notna(row["target_accuracy"]) else 0.0,
        )
        for row in candidates.to_dict("records")
    }
