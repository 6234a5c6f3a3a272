"""The Tune callback that writes the ledger: every report, checkpoint, failure, as it arrives."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from reports.ledger import Ledger, LedgerError, State
from sweep.trainable import TrialSpec


class Recorder(Callback):
    """Writes what Tune reports into the ledger.

    Args:
        ledger: open for writing.
        specs: trial id → its spec.
        folder: the experiment's results folder.
        listeners: called with (trial id, event, result) after each write, for the live view;
            event is ``started``, ``epoch``, ``done``, ``stopped``, ``failed`` or ``oom``.
    """

    def __init__(
        self,
        ledger: Ledger,
        specs: Mapping[str, TrialSpec],
        folder: Path,
        listener: Callable[[str, str, Mapping[str, Any]], None],
    ) -> None:
        self._ledger, self._specs, self._folder, self._listener = ledger, specs, folder, listener
        self.error: LedgerError | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that we do not use, and a ledger is not for pickling."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial starts or continues."""
        spec = self._specs[trial.config["id"]]
        self._write(lambda: self._ledger.start(spec.row.id, {"cpu": spec.cpu, "gpu": spec.gpu}))
        self._listener(spec.row.id, "started", {})

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """One reported epoch, and the trial's end where it is the last."""
        key = trial.config["id"]
        state: State = result["state"]
        if state in ("failed", "oom"):
            self._write(lambda: self._ledger.finish(key, state, result["error"]))
        else:
            # The scheduler has spoken by now: a result that is done before its budget was stopped.
            state = "stopped" if result.get("done") and state == "running" else state
            self._write(
                lambda: self._ledger.record_epoch(
                    key,
                    result["epoch"],
                    result["target_accuracy"],
                    result["criteria"],
                    result["losses"],
                    result["seconds"],
                    result["artefacts"],
                    None if state == "running" else state,
                )
            )
        if state != "running":
            self._clean(trial)
        self._listener(key, "epoch" if state == "running" else state, result)

    def on_checkpoint(self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Any, **info: Any) -> None:
        """A checkpoint lies in the results folder now."""
        relative = Path(checkpoint.path).relative_to(self._folder)
        self._write(lambda: self._ledger.set_checkpoint(trial.config["id"], relative.as_posix()))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial's process was lost more often than it may be."""
        text = str(trial.get_error() or "the trial's process was lost")
        self._write(lambda: self._ledger.finish(trial.config["id"], "failed", text))
        self._listener(trial.config["id"], "failed", {"error": text})

    def _clean(self, trial: Trial) -> None:
        """A finished trial needs no checkpoint any more."""
        self._write(lambda: self._ledger.set_checkpoint(trial.config["id"], None))
        if trial.local_path:
            shutil.rmtree(trial.local_path, ignore_errors=True)

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except sqlite3.Error as error:
            # A full disk, most often. What is committed is safe; going on would lose what comes.
            self.error = LedgerError(f"cannot write the ledger {self._ledger.path}: {error}")
            raise self.error from error
