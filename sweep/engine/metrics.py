"""What other programs may watch: metrics for Prometheus, files for TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import TBXLoggerCallback
from ray.tune.result import TIMESTEPS_TOTAL
from ray.util import metrics

from transfer_sweep.reports.ledger.ledger import TrialRow
from transfer_sweep.sweep.engine.scheduler import trial_id
from transfer_sweep.sweep.engine.trainable import TrialSpec
from transfer_sweep.sweep.progress.run_state import RunState

STATES = ("pending", "running", "done", "stopped", "failed", "oom")
EVERY = 5.0  # seconds: Ray passes metrics on every ten


class Metrics:
    """The state of a run as metrics of Ray, which serves them in Prometheus' format on each node's port.

    Their tags are the experiment, states and cells, never trials: few time series, however long the run.

    Args:
        experiment: its name.
        state: of the run; it has taken in an event before :meth:`event` hears of it.
    """

    def __init__(self, experiment: str, state: RunState) -> None:
        self._state = state
        own = {"experiment": experiment}
        self._trials = metrics.Gauge("sweep_trials", "Trials of the plan by state.", ("experiment", "state"))
        self._best = metrics.Gauge(
            "sweep_best_score",
            f"Score of each cell's best trial so far, by {state.criterion}, which sees no target labels.",
            ("experiment", "method", "pair"),
        )
        self._epochs = metrics.Counter("sweep_epochs", "Epochs reported.", ("experiment",))
        self._stopped = metrics.Counter("sweep_stopped_early", "Trials that early stopping ended.", ("experiment",))
        self._oom = metrics.Counter(
            "sweep_out_of_memory",
            "Trials that ran out of memory; with a larger share, if there is one, they are tried again.",
            ("experiment",),
        )
        for metric in (self._trials, self._best, self._epochs, self._stopped, self._oom):
            metric.set_default_tags(own)
        self._new_epochs = 0
        self._shown = float("-inf")
        self.show()

    def event(self, event: str, result: Mapping[str, Any]) -> None:
        """Something happened to a trial."""
        self._new_epochs += len(result.get("epochs", ()))
        if event == "stopped":
            self._stopped.inc()
        elif event == "oom":
            self._oom.inc()
        if time.monotonic() - self._shown >= EVERY:
            self.show()

    def show(self) -> None:
        """Pass on the state of now."""
        self._shown = time.monotonic()
        counts = self._state.counts()
        for state in STATES:
            self._trials.set(counts[state], {"state": state})
        for (method, source, target), score in self._state.best().items():
            self._best.set(score.criterion, {"method": method, "pair": f"{source}-{target}"})
        if self._new_epochs:
            self._epochs.inc(self._new_epochs)
            self._new_epochs = 0


class TensorBoard(TBXLoggerCallback):
    """Tune's own callback, told of every epoch of a report, in folders by method and pair.

    Args:
        folder: where the files go.
        specs: trial id → its spec.
    """

    def __init__(self, folder: Path, specs: Mapping[str, TrialSpec]) -> None:
        super().__init__()
        self._folder, self._specs = folder, specs

    def log_trial_start(self, trial: Trial) -> None:
        """Open a trial's file."""
        if trial in self._trial_writer:  # it starts again, its process having been lost
            self._trial_writer[trial].close()
        row = self._specs[trial_id(trial)].row
        folder = self._folder / row.method / f"{row.source}_to_{row.target}" / row.id
        self._trial_writer[trial] = self._summary_writer_cls(str(folder), flush_secs=30)
        self._trial_result[trial] = {}

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """A point for every epoch of a report."""
        for epoch in result["epochs"]:
            shown = {key: epoch[key] for key in ("target_accuracy", "criteria", "losses", "seconds")}
            super().log_trial_result(iteration, trial, {TIMESTEPS_TOTAL: epoch["epoch"], **shown})


def hyperparameters(row: TrialRow) -> dict[str, Any]:
    """What TensorBoard is to know of a trial, as its ``hparams`` view shows it; Tune takes it from the config."""
    return {"method": row.method, "pair": f"{row.source}-{row.target}", "seed": row.seed, **json.loads(row.params)}
