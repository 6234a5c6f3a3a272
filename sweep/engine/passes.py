"""One pass: one Tuner over the trials that are missing."""

from __future__ import annotations

import os
import signal
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import ray
from rich.console import Console

from transfer_sweep.datasets.base import Dataset
from transfer_sweep.plugins import Bundle
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Trial, TrialState
from transfer_sweep.reports.pruning import ArtefactPruner
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.engine.cluster import Cluster
from transfer_sweep.sweep.engine.gpu_probe import measure_unknown
from transfer_sweep.sweep.engine.ledger_callback import LedgerCallback, disk_full
from transfer_sweep.sweep.engine.metrics import Metrics
from transfer_sweep.sweep.engine.object_store import ObjectStore
from transfer_sweep.sweep.engine.patches import cached_trainable_lookup
from transfer_sweep.sweep.engine.scheduler import CellASHA
from transfer_sweep.sweep.engine.trackers import TensorBoard
from transfer_sweep.sweep.engine.trainable import Shared, TrialSpec
from transfer_sweep.sweep.engine.tuner import tuner
from transfer_sweep.sweep.progress.live_view import LiveView, ProgressPrinter
from transfer_sweep.sweep.progress.run_state import RunState, scores_of
from transfer_sweep.sweep.resources import gpu_memory, shares
from transfer_sweep.sweep.stopping.rungs import Rungs
from transfer_sweep.sweep.trial.model_files import Preparation
from transfer_sweep.sweep.trial.report import TrialEvent


class TimeBudget:
    """So many minutes of a run, of which a quarter at least is for trials, however long its data took.

    Args:
        minutes: from now on.
    """

    def __init__(self, minutes: float) -> None:
        self._seconds = 60 * minutes
        self._end = time.monotonic() + self._seconds
        self._begun = False

    def start_trials(self) -> float:
        """Data is there, trials begin: when they are to stop, by ``time.monotonic()``."""
        if not self._begun:
            self._begun = True
            self._end = max(self._end, time.monotonic() + self._seconds / 4)
        return self._end


@dataclass(frozen=True)
class PassEnd:
    """How a pass ended.

    Attributes:
        ended: trials that came to an end, and which.
        lost: trials whose process went before they had begun.
        enlarged: trials that ran out of memory and get a larger share of a GPU the next time.
        interrupted: whether the user asked it to stop.
        out_of_time: whether the time was over.
    """

    ended: Mapping[str, TrialState]
    lost: frozenset[str]
    enlarged: frozenset[str]
    interrupted: bool
    out_of_time: bool


class Engine:
    """Runs passes over an experiment on a cluster.

    Args:
        experiment: with its profile applied.
        dataset: its data.
        ledger: open for writing.
        storage: where trials save themselves.
        cluster: where they run.
        console: for messages and the live view.
        cache: folder for features.
        tensorboard: whether TensorBoard's files are written into the experiment's folder.
    """

    def __init__(
        self,
        experiment: Experiment,
        dataset: Dataset,
        ledger: Ledger,
        storage: Storage,
        cluster: Cluster,
        console: Console,
        cache: Path,
        tensorboard: bool = False,
    ) -> None:
        self._experiment, self._dataset, self._ledger, self._storage = experiment, dataset, ledger, storage
        self._cluster, self._console, self._tensorboard = cluster, console, tensorboard
        self._folder = ledger.path.parent.absolute()
        weights = experiment.protocol.weights_file
        self._store = ObjectStore(dataset, cache, weights, ProgressPrinter(console))

    def run_pass(
        self, plan: Sequence[Trial], todo: Sequence[Trial], rungs: Rungs, budget: TimeBudget | None = None
    ) -> PassEnd:
        """Run trials.

        Args:
            plan: all that are wanted, for the live view.
            todo: those that are missing, in order.
            rungs: with the stored epochs replayed already.
            budget: when to stop; None: when all have ended.

        Raises:
            SweepError, LedgerError, DataError, BackboneError: what the user can mend; nothing recorded is lost.
        """
        cpu = self._experiment.resources.cpu
        self._cluster.connect(cpu)
        known = shares.Shares(self._experiment.resources, self._cluster.gpus(), self._ledger)
        shares.check({known.of(trial) for trial in todo}, ray.nodes())
        self._cluster.check_storage(self._storage)
        self._store.put(todo)
        shared = self._shared(todo)
        measure_unknown(self._ledger, todo, known, self._store, shared, cpu, ProgressPrinter(self._console))
        shared = replace(shared, specs=self._specs(todo, rungs, known))
        recorder, scheduler = self._tuned(plan, shared, rungs, budget)
        out_of_memory = [shared.specs[key] for key, state in recorder.ended.items() if state is TrialState.OOM]
        enlarged = [spec for spec in out_of_memory if 0 < spec.gpu < 1]
        for spec in enlarged:
            known.ran_out(spec.trial, spec.gpu)
        known.remember(self._ledger)
        ArtefactPruner(self._ledger, self._folder, self._experiment.criterion).prune()
        return PassEnd(
            recorder.ended,
            frozenset(recorder.lost),
            frozenset(spec.trial.id for spec in enlarged),
            scheduler.interrupted,
            scheduler.out_of_time,
        )

    def _shared(self, todo: Sequence[Trial]) -> Shared:
        one_of_each = {(trial.pair.target, trial.representation): trial for trial in todo}
        return Shared(
            plugins=Bundle.in_use(),
            specs={},
            domains=self._store.domains,
            storage=self._storage,
            folder=str(self._folder),
            node=ray.get_runtime_context().get_node_id(),
            epochs=self._experiment.epochs,
            num_classes=len(self._dataset.classes),
            preparations={key: Preparation.of(self._dataset, trial) for key, trial in one_of_each.items()},
            criterion=self._experiment.stopping_criterion,
            checkpoint_seconds=self._experiment.checkpoint_seconds,
            pretrained=self._store.pretrained,
            proxy_a_distance=self._experiment.proxy_a_distance,
            memory=gpu_memory.Memory(),
        )

    def _specs(self, todo: Sequence[Trial], rungs: Rungs, known: shares.Shares) -> dict[str, TrialSpec]:
        checkpoints = self._ledger.checkpoints()
        specs = {}
        for trial in todo:
            cpu, gpu = known.of(trial)
            specs[trial.id] = TrialSpec(
                trial=trial,
                cpu=cpu,
                gpu=gpu,
                context=known.context(trial),
                rungs=rungs.epochs_of(trial),
                checkpoint=checkpoints.get(trial.id),
            )
        return specs

    def _tuned(
        self, plan: Sequence[Trial], shared: Shared, rungs: Rungs, budget: TimeBudget | None
    ) -> tuple[LedgerCallback, CellASHA]:
        """The Tuner with its scheduler, callbacks and live view, from start to end; gives what they know then."""
        criterion, specs = self._experiment.stopping_criterion, shared.specs
        view = LiveView(self._console)
        scores = scores_of(selection.candidates(self._ledger), criterion)
        state = RunState(plan, self._ledger.states(), scores, criterion)
        requests = {(spec.cpu, spec.gpu) for spec in specs.values()}
        places = {request: self._cluster.places(request) for request in requests}
        deadline = None if budget is None else budget.start_trials()
        scheduler = CellASHA(rungs, {key: spec.trial for key, spec in specs.items()}, places, deadline)
        metrics = Metrics(self._experiment.name, state)

        def listen(event: TrialEvent) -> None:
            view.event(event)
            metrics.event(event)

        pruner = ArtefactPruner(self._ledger, self._folder, self._experiment.criterion)
        recorder = LedgerCallback(self._ledger, specs, self._folder, self._storage, listen, pruner)
        trackers = [TensorBoard(self._folder / "tensorboard", specs)] if self._tensorboard else []
        view.start(state, self._cluster.slots(requests))
        try:
            with self._interruptible(scheduler), cached_trainable_lookup():
                tuner(specs, shared, scheduler, [recorder, *trackers], self._cluster).fit()
        except Exception as error:
            recorder.error = recorder.error or disk_full(str(error), self._folder)
            if recorder.error is None:
                raise
        finally:
            view.stop()
            metrics.show()
        if recorder.error is not None:  # Tune logs some errors of callbacks, and goes on
            raise recorder.error
        return recorder, scheduler

    @contextmanager
    def _interruptible(self, scheduler: CellASHA) -> Iterator[None]:
        """First Ctrl-C: finish the epoch, checkpoint, stop. Second: leave now; what is committed stays."""

        def interrupt(_signal: int, _frame: types.FrameType | None) -> None:
            if scheduler.interrupted:
                os._exit(130)
            scheduler.interrupted = True
            self._console.print(
                "stopping: running trials finish their epoch and save themselves; once more to leave at once",
                markup=False,
                soft_wrap=True,
            )

        old = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
