"""What other programs may watch: metrics for Prometheus."""

from __future__ import annotations

import time

from ray.util import metrics

from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.sweep.progress.run_state import RunState
from transfer_sweep.sweep.trial.report import TrialEvent

EVERY = 5.0  # seconds: Ray passes metrics on every ten


class Metrics:
    """The state of a run as metrics of Ray, which serves them in Prometheus' format on each node's port.

    Their tags are the experiment, states and cells, never trials: few time series, however long the run.

    Args:
        experiment: its name.
        state: what is shown; it has taken in an event before :meth:`event` hears of it.
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

    def event(self, event: TrialEvent) -> None:
        """Something happened to a trial."""
        self._new_epochs += len(event.report.epochs) if event.report else 0
        if event.state is TrialState.STOPPED:
            self._stopped.inc()
        elif event.state is TrialState.OOM:
            self._oom.inc()
        if time.monotonic() - self._shown >= EVERY:
            self.show()

    def show(self) -> None:
        """Pass on what it says now."""
        self._shown = time.monotonic()
        counts = self._state.counts()
        for state in TrialState:
            self._trials.set(counts[state], {"state": str(state)})
        for (method, pair), best in self._state.best().items():
            self._best.set(best.criterion, {"method": method, "pair": str(pair)})
        if self._new_epochs:
            self._epochs.inc(self._new_epochs)
            self._new_epochs = 0
