"""What early stopping would have saved, and cost: the stored epochs of whole runs, replayed through the rungs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pandas as pd

from transfer_sweep.reports import drawn_labels, selection
from transfer_sweep.reports.criteria import registry
from transfer_sweep.reports.document.elements import Table
from transfer_sweep.reports.document.text import criterion_name, percent, signed
from transfer_sweep.reports.drawn_labels import ByLabels
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import TrialState, planned
from transfer_sweep.reports.selection import CELL, ORACLE, PER_TRIAL
from transfer_sweep.sweep.config.schema import EarlyStopping
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.stopping.rungs import Rungs, stoppable_cells


class Replay:
    """A run of the whole grid, to be stopped afterwards by this criterion or that.

    Epochs arrive in the order in which they did. In a run that stops trials, those of other cells come sooner; those
    of one cell keep their order, but for the trials that run side by side.

    Args:
        ledger: of a run without early stopping.
        stopping: the rungs.

    Raises:
        SweepError: no trial could have been stopped, or some were, so that the rest of their epochs is unknown; or
            drawn labels are taken out of accuracies, which is done of last epochs alone.
    """

    def __init__(self, ledger: Ledger, stopping: EarlyStopping) -> None:
        if any(labels.scored is not None for labels in drawn_labels.decode(ledger.meta(drawn_labels.META)).values()):
            raise SweepError(
                "labels that were drawn to choose trials are taken out of accuracies, and of epochs before the last "
                "nobody knows who was right on them: `python -m sweep run NAME --set criterion="
                f"{selection.DEFAULT}` puts them back, and trains nothing anew"
            )
        found = selection.candidates(ledger)
        found = found[found["role"] == "search"]
        if found["state"].isin([TrialState.RUNNING, TrialState.PENDING]).any():
            raise SweepError("the run is not complete: `python -m sweep run` continues it")
        if (found["state"] == TrialState.STOPPED).any():
            raise SweepError(
                "trials were stopped early here, and nobody knows what they would have reached: replay a run of the "
                "whole grid (`run NAME --set early_stopping.scheduler=none --results OTHER`)"
            )
        trials = planned(found)
        self._stopping, self._cells = stopping, stoppable_cells(trials)
        self._trials = {trial.id: trial for trial in trials if trial.cell in self._cells}
        if not self._trials:
            raise SweepError("nothing to replay: no cell has six trials of more than one epoch")
        # Predictions are those of the last epoch; a trial that is stopped has other ones, which nobody kept.
        self.whole = found[found["id"].isin(self._trials)].assign(logits="")
        rungs = Rungs(stopping, self._cells)
        self.rung_epochs = sorted(
            {e for trial in self._trials.values() for e in rungs.epochs_of(trial) if e < trial.budget}
        )
        epochs = ledger.epochs()
        epochs = epochs[epochs["trial"].isin(self._trials)]
        self._arrivals = [
            (trial, epoch, json.loads(text), accuracy)
            for trial, epoch, text, accuracy in zip(
                epochs["trial"],
                epochs["epoch"],
                epochs["criteria"],
                epochs["target_accuracy"].astype(float),
                strict=True,
            )
        ]

    @property
    def criteria(self) -> list[str]:
        """Those that every trial recorded at its rungs (null, where it had diverged, included)."""
        at_rungs = [recorded for _, epoch, recorded, _ in self._arrivals if epoch in self.rung_epochs]
        return [name for name, each in PER_TRIAL.items() if all(each.key in recorded for recorded in at_rungs)]

    def stopped_by(self, criterion: str) -> pd.DataFrame:
        """The candidates that there would have been.

        Args:
            criterion: one of :attr:`criteria`, or ``oracle``: the target accuracy, for comparison.

        Returns:
            As :func:`transfer_sweep.reports.selection.candidates`; ``epochs_spent`` is up to the stop.
        """
        rungs = Rungs(self._stopping, self._cells)
        stopped: set[str] = set()
        ends = {}
        for trial, epoch, recorded, accuracy in self._arrivals:
            if trial in stopped:
                continue
            ends[trial] = {**registry.by_name(recorded), "epochs_spent": epoch, "target_accuracy": accuracy}
            if criterion == ORACLE:
                score = -1.0 if math.isnan(accuracy) else accuracy
            else:
                score = selection.guarded_score(recorded, criterion)
            if not rungs.keep_going(self._trials[trial], epoch, score):
                stopped.add(trial)
        end = pd.DataFrame([ends[trial] for trial in self.whole["id"]], index=self.whole.index, dtype=float)
        state = self.whole["state"].mask(self.whole["id"].isin(stopped), TrialState.STOPPED)
        return self.whole.drop(columns=list(end)).join(end).reindex(columns=self.whole.columns).assign(state=state)

    def tables(self, chosen_by: str) -> list[Table]:
        """What stopping saves and costs: by method with one criterion, and over all methods with each.

        Args:
            chosen_by: the criterion that chooses trials, and stops them in the table of methods.

        Raises:
            SweepError: it compares predictions of trials, which are not kept of the epochs where they are stopped.
        """
        if {*selection.parts_of(chosen_by)} & {*selection.ENSEMBLES} or ByLabels.parse(chosen_by) is not None:
            raise SweepError(
                f"{chosen_by} cannot be replayed: choose by one of {', '.join(PER_TRIAL)} with --criterion"
            )
        stop_by = selection.stopping_criterion_for(chosen_by)
        stopped = {name: self.stopped_by(name) for name in dict.fromkeys([stop_by, *self.criteria, ORACLE])}
        methods = list(self.whole["method"].unique())
        headers = ["epochs of the whole grid", "with stopping", "saved"]
        for name in (criterion_name(chosen_by), ORACLE):
            headers += [f"chosen by {name}: whole grid", "with stopping", "difference"]
        cells = len(self.whole[CELL].drop_duplicates())
        note = (
            f"Target accuracy in percent, mean over {cells} cells. A trial may end after epoch "
            f"{', '.join(map(str, self.rung_epochs))}; one in {self._stopping.reduction:g} goes on."
        )
        by_method = [[m, *self._compared(stopped[stop_by], chosen_by, [m])] for m in methods]
        by_method += [["all", *self._compared(stopped[stop_by], chosen_by, methods)]] if len(methods) > 1 else []
        every = [[criterion_name(name), *self._compared(stopped[name], chosen_by, methods)] for name in stopped]
        align = "l" + "r" * len(headers)
        return [
            Table(f"Early stopping by {criterion_name(stop_by)}", ["method", *headers], by_method, align, [note]),
            Table("Early stopping by each criterion, all methods", ["stopped by", *headers], every, align),
        ]

    def _compared(self, stopped: pd.DataFrame, chosen_by: str, methods: Sequence[str]) -> list[str]:
        one, other = (frame[frame["method"].isin(methods)] for frame in (self.whole, stopped))
        full, spent = int(one["epochs_spent"].sum()), int(other["epochs_spent"].sum())
        texts = [str(full), str(spent), f"{100 * (1 - spent / full):.0f} %"]
        for criterion in (chosen_by, ORACLE):
            before, after = (selection.choose(frame, criterion)["target_accuracy"].mean() for frame in (one, other))
            texts += [percent(before, digits=2), percent(after, digits=2), signed(after - before, digits=2)]
        return texts
