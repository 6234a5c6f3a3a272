"""The Tune callback that writes the ledger: every report, checkpoint, failure, as it arrives."""

from __future__ import annotations

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
from ray.tune.experiment import Trial
from ray.tune.result import SHOULD_CHECKPOINT

from transfer_sweep.reports.ledger.ledger import FINISHED, Ledger, LedgerError, State
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.engine.scheduler import trial_id
from transfer_sweep.sweep.engine.trainable import TrialSpec
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial.model_files import Keeper, replace

# Wherever it was met: in a trial's process, in Tune's copy of a checkpoint, or in the driver.
_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))


def disk_full(error: str, folder: Path) -> SweepError | None:
    """What to tell the user, where the text of an error says that the disk is full."""
    if not any(text in error for text in _FULL):
        return None
    return SweepError(
        f"the disk is full ({folder}): free some of it, and `run` again continues; nothing recorded is lost"
    )


class Recorder(Callback):
    """Writes what Tune reports into the ledger.

    Args:
        ledger: open for writing.
        specs: trial id → its spec.
        folder: the experiment's results folder.
        storage: where checkpoints lie.
        listener: called with (trial id, event, result) after each write, for the live view;
            event is ``started``, ``epoch``, ``lost``, ``done``, ``stopped``, ``failed`` or ``oom``.
        keeper: told of trials that ended, to remove what need not be kept.

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
        listener: Callable[[str, str, Mapping[str, Any]], None],
        keeper: Keeper,
    ) -> None:
        self._ledger, self._specs, self._folder, self._listener = ledger, specs, folder, listener
        self._storage, self._keeper = storage, keeper
        self.error: LedgerError | SweepError | None = None
        self.ended: dict[str, State] = {}
        self.lost: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that we do not use, and a ledger is not for pickling."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial starts or continues."""
        spec = self._specs[trial_id(trial)]
        self._write(lambda: self._ledger.start(spec.row.id, {"cpu": spec.cpu, "gpu": spec.gpu}))
        self._listener(spec.row.id, "started", {})

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Reported epochs, and the trial's end where the last of them is its last."""
        key = trial_id(trial)
        state: State = result["state"]
        self._look_for_full_disk(result.get("error", ""))
        # The scheduler has spoken by now: a result that is done before its budget was stopped.
        if state == "running" and result.get("done"):
            state = "stopped"
        ended = state in FINISHED
        self._receive(result)
        for i, epoch in enumerate(result["epochs"], start=1):
            ends = state if ended and i == len(result["epochs"]) else None
            record = partial(self._ledger.record_epoch, key, **epoch, artefacts=result["artefacts"], state=ends)
            self._write(record)
        if state in ("failed", "oom"):
            self._write(lambda: self._ledger.finish(key, state, result["error"]))
        if state != "running":
            self.ended[key] = state
            result[SHOULD_CHECKPOINT] = False  # Tune would save a trial that was just stopped
            self._clean(trial)
            self._write(self._keeper.now_and_then)
        self._listener(key, "epoch" if state == "running" else state, result)

    def _receive(self, result: dict[str, Any]) -> None:
        """Put the files that a trial on another node sent into the folder; forget those that its end took along."""
        for path, sent in result.pop("files", {}).items():
            try:
                content = ray.get(sent)
            except RayError:
                result["artefacts"] = {k: p for k, p in result["artefacts"].items() if p != path}
            else:
                replace(self._folder / path, partial(_write_bytes, content))

    def on_checkpoint(self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Any, **info: Any) -> None:
        """A checkpoint lies in the storage now."""
        relative = self._storage.relative(checkpoint.path)
        self._write(lambda: self._ledger.set_checkpoint(trial_id(trial), relative))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial's process was lost: it waits to continue."""
        self._write(lambda: self._ledger.wait(trial_id(trial)))
        self._listener(trial_id(trial), "lost", {})

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial's process was lost more often than it may be, or (Tune tries that once) before it had begun."""
        if trial.should_recover():
            self.lost.add(trial_id(trial))
            return
        text = str(trial.get_error() or "the trial's process was lost")
        self._look_for_full_disk(text)
        self.ended[trial_id(trial)] = "failed"
        self._write(lambda: self._ledger.finish(trial_id(trial), "failed", text))
        self._listener(trial_id(trial), "failed", {"error": text})

    def _look_for_full_disk(self, error: str) -> None:
        """End the run where the disk is full: it is no failure of this trial, and every other would fail like it."""
        self.error = self.error or disk_full(error, self._folder)
        if isinstance(self.error, SweepError):
            raise self.error

    def _clean(self, trial: Trial) -> None:
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
