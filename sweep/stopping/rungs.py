"""Early stopping inside cells: one ASHA a cell (Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning).

Plain ASHA compares all trials of an experiment, and an easy pair starves a hard one. Here hyperparameters compete
inside their cell only. Ray's own ASHA decides, one instance a cell, driven by its public methods.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Cell, Trial, TrialState
from transfer_sweep.sweep.config.schema import EarlyStopping

MIN_CELL = 6  # cells with fewer search trials are not stopped early


def stoppable_cells(trials: Iterable[Trial]) -> set[Cell]:
    """The cells that ASHA may stop trials of: six search trials or more, of more than one epoch and one stage."""
    sizes = Counter(
        trial.cell
        for trial in trials
        if trial.role == "search" and trial.budget > 1 and method_registry.get(trial.method).stages == 1
    )
    return {cell for cell, size in sizes.items() if size >= MIN_CELL}


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
        self._known: dict[tuple[Cell, int], set[str]] = defaultdict(set)

    def keep_going(self, trial: Trial, epoch: int, score: float) -> bool:
        """Record a score (finite; larger is better) and say whether its trial goes on.

        An epoch that was recorded before counts once.
        """
        if not self._stoppable(trial) or epoch >= trial.budget:
            return True
        key = (trial.cell, trial.budget)
        if key not in self._ashas:
            self._ashas[key] = AsyncHyperBandScheduler(
                time_attr="epoch",
                metric="score",
                mode="max",
                max_t=trial.budget,
                grace_period=self._grace(trial.budget),
                reduction_factor=self._stopping.reduction,
            )
        # ASHA's types ask for a controller and a whole trial of Tune's; it looks at the trial's id alone.
        asha, named = self._ashas[key], SimpleNamespace(trial_id=trial.id)
        if trial.id not in self._known[key]:
            self._known[key].add(trial.id)
            asha.on_trial_add(None, named)
        decision = asha.on_trial_result(None, named, {"epoch": epoch, "score": score})
        return bool(decision != TrialScheduler.STOP)

    def epochs_of(self, trial: Trial) -> frozenset[int]:
        """The epochs at which this trial may be stopped, or would be if early stopping were on.

        A run of the whole grid records there what a replay with any criterion needs.
        """
        if trial.role != "search" or trial.cell not in self._cells:
            return frozenset()
        reduction, first = self._stopping.reduction, self._grace(trial.budget)
        rungs = int(np.log(trial.budget / first) / np.log(reduction) + 1)  # to the last bit as Ray's ASHA has it
        return frozenset(math.ceil(first * reduction**rung) for rung in range(rungs))

    def _grace(self, budget: int) -> int:
        return max(1, math.ceil(self._stopping.grace * budget))

    def _stoppable(self, trial: Trial) -> bool:
        return self._stopping.scheduler == "asha" and trial.role == "search" and trial.cell in self._cells


def replay(ledger: Ledger, trials: Iterable[Trial], rungs: Rungs, criterion: str) -> None:
    """Bring rungs to where the stored epochs left them, in order of arrival.

    A trial whose stop was decided but, the driver having died, not recorded is recorded as stopped now.

    Args:
        ledger: open for writing.
        trials: of the plan; epochs of others are passed over.
        rungs: new ones.
        criterion: what they compare.
    """
    by_id = {trial.id: trial for trial in trials}
    states = ledger.states()
    for key, epoch, criteria in ledger.arrivals():
        trial = by_id.get(key)
        if trial is None:
            continue
        score = selection.guarded_score(criteria, criterion)
        if not rungs.keep_going(trial, epoch, score) and not states[key].finished:
            ledger.finish(key, TrialState.STOPPED)
