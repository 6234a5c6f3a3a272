"""The Tune callback that writes the ledger: every report, checkpoint, failure, as it arrives."""

from __future__ import annotations

import dataclasses
import errno
import os
import posixpath
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.tune import Callback
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.result import SHOULD_CHECKPOINT

from transfer_sweep.reports.ledger.artefacts import write_whole
from transfer_sweep.reports.ledger.ledger import Ledger, LedgerError
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.reports.pruning import ArtefactPruner
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.engine.scheduler import trial_id
from transfer_sweep.sweep.engine.trainable import TrialSpec
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial.report import TrialEvent, TrialReport

# Wherever it was met: in a trial's process, in Tune's copy of a checkpoint, or in the driver.
_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))


def disk_full(error: str, folder: Path) -> SweepError | None:
    """What to tell the user, where the text of an error says that the disk is full."""
    if not any(text in error for text in _FULL):
        return None
    return SweepError(
        f"the disk is full ({folder}): free some of it, and `run` again continues; nothing recorded is lost"
    )


class LedgerCallback(Callback):
    """Writes what Tune reports into the ledger.

    Args:
        ledger: open for writing.
        specs: trial id → its spec.
        folder: the experiment's results folder.
        storage: where checkpoints lie.
        listener: called with what happened after each write, for the live view.
        pruner: told of trials that ended, to remove what need not be kept.

    Attributes:
        error: what the run ends with: the ledger cannot be written, or the disk is full.
        ended: trials that came to an end, and which.
        lost: trials to try again in another pass: their process went before they had begun.
    """

    def __init__(
        self,
        ledger: Ledger,
        specs: Mapping[str, TrialSpec],
        folder: Path,
        storage: Storage,
        listener: Callable[[TrialEvent], None],
        pruner: ArtefactPruner,
    ) -> None:
        self._ledger, self._specs, self._folder, self._listener = ledger, specs, folder, listener
        self._storage, self._pruner = storage, pruner
        self.error: LedgerError | SweepError | None = None
        self.ended: dict[str, TrialState] = {}
        self.lost: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that we do not use, and a ledger is not for pickling."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """A trial starts or continues."""
        spec = self._specs[trial_id(trial)]
        self._write(lambda: self._ledger.start(spec.trial.id, {"cpu": spec.cpu, "gpu": spec.gpu}))
        self._listener(TrialEvent(spec.trial.id, TrialState.RUNNING))

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Reported epochs, and the trial's end where the last of them is its last."""
        key = trial_id(trial)
        report: TrialReport = result["report"]
        self._look_for_full_disk(report.error)
        # The scheduler has spoken by now: a result that is done before its budget was stopped.
        stopped = report.state == TrialState.RUNNING and result.get("done")
        report = self._received(dataclasses.replace(report, state=TrialState.STOPPED) if stopped else report)
        result["report"] = report  # Tune holds on to each trial's last result: the files that were sent are not in it
        for number, epoch in enumerate(report.epochs, start=1):
            ends = report.state.finished and number == len(report.epochs)
            state = report.state if ends else None
            self._write(partial(self._ledger.record_epoch, key, epoch, report.artefacts, state))
        if report.state.lost:
            self._write(lambda: self._ledger.finish(key, report.state, report.error))
        if report.state.ended:
            self.ended[key] = report.state
            result[SHOULD_CHECKPOINT] = False  # Tune would save a trial that was just stopped
            self._clean(trial)
            self._write(self._pruner.maybe_prune)
        self._listener(TrialEvent(key, report.state, report))

    def _received(self, report: TrialReport) -> TrialReport:
        """Put the files that a trial on another node sent into the folder; forget those that its end took along."""
        artefacts = dict(report.artefacts)
        for path, sent in report.files.items():
            try:
                content = ray.get(sent)
            except RayError:
                artefacts = {kind: other for kind, other in artefacts.items() if other != path}
            else:
                write_whole(self._folder / path, partial(_write_bytes, content))
        return dataclasses.replace(report, artefacts=artefacts, files={})

    def on_checkpoint(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, checkpoint: Any, **info: Any
    ) -> None:
        """A checkpoint lies in the storage now."""
        relative = self._storage.relative(checkpoint.path)
        self._write(lambda: self._ledger.set_checkpoint(trial_id(trial), relative))

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The trial's process was lost: it waits to continue."""
        self._write(lambda: self._ledger.wait(trial_id(trial)))
        self._listener(TrialEvent(trial_id(trial), TrialState.PENDING))

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The trial's process was lost more often than it may be, or (Tune tries that once) before it had begun."""
        if trial.should_recover():
            self.lost.add(trial_id(trial))
            return
        key, text = trial_id(trial), str(trial.get_error() or "the trial's process was lost")
        self._look_for_full_disk(text)
        self.ended[key] = TrialState.FAILED
        self._write(lambda: self._ledger.finish(key, TrialState.FAILED, text))
        self._listener(TrialEvent(key, TrialState.FAILED, error=text))

    def _look_for_full_disk(self, error: str) -> None:
        """End the run where the disk is full: it is no failure of this trial, and every other would fail like it."""
        self.error = self.error or disk_full(error, self._folder)
        if isinstance(self.error, SweepError):
            raise self.error

    def _clean(self, trial: TuneTrial) -> None:
        """A finished trial needs no checkpoint any more."""
        self._write(lambda: self._ledger.set_checkpoint(trial_id(trial), None))
        if trial.checkpoint is not None:
            self._storage.remove(posixpath.dirname(self._storage.relative(trial.checkpoint.path)))
        if trial.local_path:
            shutil.rmtree(trial.local_path, ignore_errors=True)

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except sqlite3.Error as error:
            # A full disk, most often. What is committed is safe; going on would lose what comes.
            self.error = LedgerError(f"cannot write the ledger {self._ledger.path}: {error}")
            raise self.error from error


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)
