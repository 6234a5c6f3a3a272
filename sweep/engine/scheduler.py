"""CellASHA: one ASHA per cell (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").

Plain ASHA compares all trials of an experiment, and an easy pair starves a hard one. Here hyperparameters
compete inside their cell only. Ray's own ASHA does the work, one instance a cell.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

from ray.tune import experiment
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from transfer_sweep.reports.ledger.ledger import TrialRow
from transfer_sweep.sweep.config.schema import EarlyStopping

Cell = tuple[str, str, str, str]
Request = tuple[float, float]
"""Cores and GPUs of a trial."""


class Rungs:
    """The rungs of every cell, fed with (trial, epoch, score) in order of arrival, by a run or by a replay.

    Args:
        stopping: grace (share of the budget) and reduction.
        cells: the cells whose trials may be stopped.
    """

    def __init__(self, stopping: EarlyStopping, cells: Iterable[Cell]) -> None:
        self._stopping = stopping
        self._cells = set(cells)
        self._ashas: dict[tuple[Cell, int], Any] = {}

    def keep_going(self, row: TrialRow, epoch: int, score: float) -> bool:
        """Record a score (finite; larger is better) and say whether its trial goes on.

        An epoch that was recorded before counts once.
        """
        if not self._stoppable(row) or epoch >= row.budget:
            return True
        asha = self._asha(row)
        trial = SimpleNamespace(trial_id=row.id)
        if row.id not in asha._trial_info:
            asha.on_trial_add(None, trial)
        decision = asha.on_trial_result(None, trial, {"epoch": epoch, "score": score})
        return decision != TrialScheduler.STOP

    def epochs_of(self, row: TrialRow) -> frozenset[int]:
        """The epochs at which this trial may be stopped, or would be if early stopping were on.

        A run of the whole grid records there what a replay with any criterion needs.
        """
        if row.role != "search" or row.cell not in self._cells:
            return frozenset()
        return frozenset(math.ceil(epoch) for bracket in self._asha(row)._brackets for epoch, _ in bracket._rungs)

    def _stoppable(self, row: TrialRow) -> bool:
        return self._stopping.scheduler == "asha" and row.role == "search" and row.cell in self._cells

    def _asha(self, row: TrialRow) -> Any:
        """Ray's ASHA of a cell; its type asks for a controller and a whole Trial, its code for a trial's id only."""
        key = (row.cell, row.budget)
        if key not in self._ashas:
            self._ashas[key] = AsyncHyperBandScheduler(
                time_attr="epoch",
                metric="score",
                mode="max",
                max_t=row.budget,
                grace_period=max(1, math.ceil(self._stopping.grace * row.budget)),
                reduction_factor=self._stopping.reduction,
            )
        return self._ashas[key]

    def recorded(self) -> dict[Cell, list[tuple[int, dict[str, float]]]]:
        """Per cell, its rungs: (epoch, trial id → score), the highest first."""
        return {
            cell: [(int(m), dict(scores)) for b in asha._brackets for m, scores in b._rungs]
            for (cell, _), asha in self._ashas.items()
        }


@contextmanager
def looked_up_once() -> Iterator[None]:
    """While it lasts, Tune looks its Trainable up once, not seven times a trial from Ray's store.

    Measured on Ray 2.60: a third of what a trial costs the driver.
    """
    names = ("get_trainable_cls", "validate_trainable")
    former = {name: getattr(experiment.trial, name) for name in names}
    try:
        for name, function in former.items():
            setattr(experiment.trial, name, cache(function))
        yield
    finally:
        for name, function in former.items():
            setattr(experiment.trial, name, function)


def trial_id(trial: Trial) -> str:
    """The ledger's id of one of Tune's trials."""
    return str(trial.config["trial"]["id"])


class InOrder(Searcher):
    """Gives Tune the planned trials one by one. (A grid of them would be copied whole for every trial.)

    Trials that ask for the same resources keep their order. Of several such classes the one comes next whose places
    are the least taken, so that CPU nodes have shallow trials while GPU nodes train, and neither waits for the other.

    Args:
        configs: what each trial's ``config["trial"]`` is to be, in order; ``cpu`` and ``gpu`` are its request.
        places: how many trials of a request the cluster takes at a time.
    """

    def __init__(self, configs: Iterable[dict[str, Any]], places: Callable[[Request], float]) -> None:
        super().__init__(metric="score", mode="max")
        self._waiting: dict[Request, deque[tuple[int, dict[str, Any]]]] = defaultdict(deque)
        for position, config in enumerate(configs):
            self._waiting[config["cpu"], config["gpu"]].append((position, config))
        self._places = {request: max(1.0, places(request)) for request in self._waiting}
        self._taken: Counter[Request] = Counter()
        self._requests: dict[str, Request] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next trial; ``FINISHED`` after the last."""
        waiting = [request for request, rest in self._waiting.items() if rest]
        if not waiting:
            return Searcher.FINISHED
        request = min(waiting, key=lambda r: (self._taken[r] / self._places[r], self._waiting[r][0][0]))
        self._taken[request] += 1
        self._requests[trial_id] = request
        return {"trial": self._waiting[request].popleft()[1]}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A place is free. (Nothing is learnt from results: the plan is fixed.)"""
        request = self._requests.pop(trial_id, None)
        if request is not None:
            self._taken[request] -= 1

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a later pass plans anew."""


class CellASHA(FIFOScheduler):
    """Trials in the order given, stopped by :class:`Rungs`, paused with a checkpoint once interrupted.

    Args:
        rungs: with the stored epochs replayed already.
        rows: trial id → its row.
        places: request → how many such trials the cluster takes at a time.
    """

    def __init__(self, rungs: Rungs, rows: Mapping[str, TrialRow], places: Mapping[Request, float]) -> None:
        super().__init__()
        self._rungs, self._rows, self._places = rungs, rows, places
        self._processes: dict[Request, set[tuple[str, int]]] = defaultdict(set)
        self._waiting: deque[Trial] = deque()
        self.interrupted = False

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """A trial waits: the next in order, or one whose process was lost, which goes on before others begin."""
        if trial.num_failures:
            self._waiting.appendleft(trial)
        else:
            self._waiting.append(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop a trial that its rung does not promote; pause any when interrupted."""
        self._seen(trial, result)
        row = self._rows[trial_id(trial)]
        if not self._rungs.keep_going(row, result["epoch"], result["score"]):
            return TrialScheduler.STOP
        return TrialScheduler.PAUSE if self.interrupted else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Nothing is to be decided any more."""
        self._seen(trial, result)

    def _seen(self, trial: Trial, result: Mapping[str, Any]) -> None:
        self._processes[_request(trial)].add((result["node_ip"], result["pid"]))

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The next in order; none when interrupted, and the end once nothing runs any more."""
        if not self.interrupted:
            # FIFOScheduler goes through all trials that there ever were, at every step.
            self._waiting = deque(trial for trial in self._waiting if trial.status == Trial.PENDING)
            return self._next() if self._waiting else None
        live = tune_controller.get_live_trials()
        for trial in [t for t in live if t.status == Trial.PENDING]:
            trial.init_local_path()  # what Tune says of a trial in the end names its folder
            tune_controller.stop_trial(trial)
        if not any(t.status == Trial.RUNNING for t in live):
            tune_controller.request_stop_experiment()
        return None

    def _next(self) -> Trial:
        """The first that waits, but for those whose own processes are being started.

        A process starts for a certain trial, and takes seconds. Should one that is free get that trial, Tune would
        end the other as it starts, and with short trials never have more than one.
        """
        request = _request(self._waiting[0])
        alike = [trial for trial in self._waiting if _request(trial) == request]
        there = len(self._processes[request])
        starting = max(0, int(self._places[request]) - there) if there else 0
        return alike[min(starting, len(alike) - 1)]


def _request(trial: Trial) -> Request:
    return trial.config["trial"]["cpu"], trial.config["trial"]["gpu"]
