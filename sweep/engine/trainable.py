"""The one Tune Trainable: it can become any method on any pair, one after another in the same process.

It catches its own exceptions: a trial that fails ends as ``failed`` or ``oom`` with its traceback in the
ledger, and the others go on. Only the loss of the process reaches Tune, which continues from the checkpoint.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ray
import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT
from threadpoolctl import threadpool_limits

from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.datasets.base import Domain, Samples
from transfer_sweep.plugins import Bundle
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.artefacts import FEATURES, LOGITS, MODEL, save_features, save_predictions
from transfer_sweep.reports.ledger.records import EpochReport, Trial, TrialState
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.resources import gpu_memory
from transfer_sweep.sweep.trial.model_files import Preparation, save_model
from transfer_sweep.sweep.trial.report import TrialReport
from transfer_sweep.sweep.trial.scoring import Scored, Scoring
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

CHECKPOINT = "state.pt"
REPORT_SECONDS = 1.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialSpec:
    """What a trial needs to know of itself.

    Attributes:
        trial: its identity.
        cpu, gpu: its share of cores and of a GPU.
        context: bytes of its share of a GPU that its process takes besides what it computes with.
        rungs: epochs at which early stopping decides, or would: every criterion is computed there, and at the end.
        checkpoint: folder to continue from, in the storage; None starts anew.
    """

    trial: Trial
    cpu: float = 1
    gpu: float = 0
    context: int = gpu_memory.CONTEXT
    rungs: frozenset[int] = frozenset()
    checkpoint: str | None = None


@dataclass(frozen=True)
class Shared:
    """What all trials of a pass share; large arrays by reference into Ray's object store.

    Attributes:
        plugins: those in use, first: what is unpickled after them may be theirs.
        specs: trial id → its spec.
        domains: (domain, representation) → reference to ``(inputs, labels, test inputs, test labels)``.
        storage: where checkpoints lie.
        folder: the experiment's results folder, at the driver.
        node: Ray's id of the driver's node.
        epochs: the experiment's budget, which schedules depend on.
        num_classes: of the dataset.
        preparations: (target, representation) → what its models need to know of the dataset.
        criterion: what early stopping compares.
        checkpoint_seconds: a trial that has run this long since it last saved itself does so.
        pretrained: backbone → reference to its weights, for fine-tuning.
        proxy_a_distance: whether trials measure it.
        memory: of the GPU that a trial sees.
    """

    plugins: Bundle
    specs: dict[str, TrialSpec]
    domains: dict[tuple[str, str], ray.ObjectRef[Any]]
    storage: Storage
    folder: str
    node: str
    epochs: int
    num_classes: int
    preparations: Mapping[tuple[str, str], Preparation]
    criterion: str
    checkpoint_seconds: float
    pretrained: dict[str, ray.ObjectRef[Any]]
    proxy_a_distance: bool
    memory: gpu_memory.Memory

    def build(self, trial: Trial, device: str, domains: dict[tuple[str, str], Domain]) -> tuple[Algorithm, Scoring]:
        """A trial's model and what scores it, from the object store.

        Args:
            trial: which.
            device: where it computes.
            domains: keeps what this process has looked up.

        Raises:
            PluginError: a plug-in is missing, broken or another in this process.
        """
        self.plugins.check()
        protocol = trial.protocol
        weights = self.pretrained.get(protocol.backbone) if protocol.training == "finetune" else None
        for name in trial.pair:
            key = (name, trial.representation)
            if key not in domains:  # zero-copy from the object store
                inputs, labels, test_inputs, test_labels, train_size = ray.get(self.domains[key])
                test = None if test_inputs is None else Samples(test_inputs, test_labels)
                domains[key] = Domain(name, Samples(inputs, labels), test, train_size=train_size)
        source, target = (domains[name, trial.representation] for name in trial.pair)
        config = TaskConfig(
            epochs=self.epochs,
            num_classes=self.num_classes,
            pretrained=None if weights is None else ray.get(weights),
            proxy_a_distance=self.proxy_a_distance,
        )
        return build_trial(trial, source, target, config, device)


class _Failure(NamedTuple):
    """How a trial failed, and the traceback."""

    state: TrialState
    error: str


class TransferTrial(tune.Trainable):
    """One trial. Tune calls ``setup`` once a process, then ``reset_config`` for every further trial in it."""

    def setup(self, config: dict[str, Any], shared: Shared | None = None) -> None:
        """Become the trial that ``config["trial"]`` names."""
        if shared is None:
            raise TypeError("TransferTrial needs its shared state (tune.with_parameters)")
        self._shared = shared
        self._domains: dict[tuple[str, str], Domain] = {}
        self._limits: Any = None
        # The driver's folder need not exist on other nodes: from there, files go with the report.
        self._sends = ray.get_runtime_context().get_node_id() != shared.node
        self._folder = Path(tempfile.mkdtemp(prefix="sweep-") if self._sends else shared.folder)
        self._start_trial(shared.specs[config["trial"]["id"]])
        # What is loaded by now stays for good: a collection need not look at it again, which takes it 0.2 s a trial.
        gc.freeze()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial; nothing of the former one stays, on the GPU neither.

        After an error of CUDA nothing works any more in a process: it ends, and the next trial goes to another.
        """
        if self._failure is not None and "CUDA error" in self._failure.error:
            os._exit(1)
        self._release()
        self._shared.memory.release()
        self._start_trial(self._shared.specs[new_config["trial"]["id"]])
        return True

    def _start_trial(self, spec: TrialSpec) -> None:
        self._spec, self._epoch = spec, 0
        self._failure: _Failure | None = None
        self._saved_at = time.monotonic()
        self._release()
        try:
            self._use_share(spec)
            self._build()
            if spec.checkpoint is not None:
                with self._shared.storage.fetched(spec.checkpoint) as folder:
                    self._continue_from(folder)
        except Exception as error:
            self._failure = self._describe(error)

    def _release(self) -> None:
        self._model: Any = None
        self._scoring: Any = None

    def _use_share(self, spec: TrialSpec) -> None:
        """Compute on our share of the cores, whatever the libraries would take."""
        threads = max(1, int(spec.cpu))
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if self._limits is None:
            self._limits = threadpool_limits(threads)
        memory = self._shared.memory
        self._device = memory.device() if spec.gpu else "cpu"
        if 0 < spec.gpu < 1 and memory.there():
            memory.cap(gpu_memory.allowance(spec.gpu, spec.context, memory.total()))

    def _build(self) -> None:
        self._model, self._scoring = self._shared.build(self._spec.trial, self._device, self._domains)

    def step(self) -> dict[str, Any]:
        """Some epochs, scored, as one report; or the failure that ended the trial.

        A report takes longer than a short epoch, so one stands for all epochs of :data:`REPORT_SECONDS`. It
        never goes past a rung: early stopping decides there.
        """
        started = time.monotonic()
        epochs: list[EpochReport] = []
        scored: Scored | None = None
        kept: dict[str, str] = {}
        try:
            while self._failure is None:
                scored, epoch = self._one_epoch()
                epochs.append(epoch)
                if self._decides(self._epoch) or time.monotonic() - started >= REPORT_SECONDS:
                    break
            if scored is not None:
                kept = self._keep(scored)
        except Exception as error:
            self._failure = self._describe(error)
        state, error_text = self._failure or (TrialState.DONE if self._finished else TrialState.RUNNING, "")
        if scored is None or self._failure is not None:  # a criterion of a plug-in may be unknown here then
            score = selection.guarded(None, None)
        else:
            score = selection.guarded_score(scored.criteria, self._shared.criterion)
        report = TrialReport(
            epochs=epochs,
            epoch=self._epoch,
            score=score,
            state=state,
            artefacts=kept,
            error=error_text,
            files=self._sent(kept.values()) if self._sends else {},
        )
        result: dict[str, Any] = {"report": report, "epoch": report.epoch, "score": report.score, "done": state.ended}
        saved_long_ago = time.monotonic() - self._saved_at >= self._shared.checkpoint_seconds
        return result | ({SHOULD_CHECKPOINT: True} if not state.ended and saved_long_ago else {})

    def _sent(self, paths: Iterable[str]) -> dict[str, ray.ObjectRef[Any]]:
        """Files of ours, into the object store."""
        sent = {}
        for path in paths:
            sent[path] = ray.put((self._folder / path).read_bytes())
            (self._folder / path).unlink()
        return sent

    def cleanup(self) -> None:
        """Leave nothing on a node that is not the driver's."""
        if self._sends:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _finished(self) -> bool:
        return self._epoch >= self._spec.trial.budget

    def _decides(self, epoch: int) -> bool:
        """Whether that epoch's report may be the last."""
        return epoch >= self._spec.trial.budget or epoch in self._spec.rungs

    def _one_epoch(self) -> tuple[Scored, EpochReport]:
        started = time.perf_counter()
        losses = self._model.fit_epoch()
        scored = self._scoring(self._model, all_criteria=self._decides(self._epoch + 1))
        self._epoch += 1
        seconds = time.perf_counter() - started
        return scored, EpochReport(self._epoch, scored.target_accuracy, scored.criteria, losses, seconds)

    def _keep(self, scored: Scored) -> dict[str, str]:
        """Write predictions and, where this may be the cell's chosen trial, the model and some features.

        The driver removes those of trials that are not chosen.
        """
        trial, folder = self._spec.trial, self._folder
        kept = {LOGITS: save_predictions(folder, trial.id, scored.target, scored.validation)}
        if self._decides(self._epoch) and trial.role == "search" and self._model.can_be_saved:
            preparation = self._shared.preparations[trial.pair.target, trial.representation]
            kept[MODEL] = save_model(folder, trial, self._shared.epochs, self._model, preparation)
            if scored.features is not None:
                kept[FEATURES] = save_features(folder, trial.id, scored.features)
        return kept

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """All that is needed to continue bit for bit."""
        if self._failure is None:
            torch.save({"epoch": self._epoch, "model": self._model.state_dict()}, Path(checkpoint_dir) / CHECKPOINT)
            self._saved_at = time.monotonic()

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue after Tune lost this trial's process."""
        if self._failure is None:
            self._continue_from(Path(checkpoint))

    def _continue_from(self, folder: Path) -> None:
        """Continue from a checkpoint; from the one before it where it is damaged; else from the start."""
        siblings = sorted(folder.parent.glob("checkpoint_*"), reverse=True)
        for candidate in [folder, *(s for s in siblings if s.name < folder.name)]:
            try:
                # To the CPU: the state of its random numbers stays there, and models copy the rest to their device.
                state = torch.load(candidate / CHECKPOINT, map_location="cpu", weights_only=True)
                self._model.load_state_dict(state["model"])
                self._epoch = int(state["epoch"])
                return
            except (OSError, RuntimeError, LookupError, TypeError, ValueError, EOFError, pickle.PickleError) as error:
                if gpu_memory.is_out_of_memory(error):
                    raise
                logger.warning("%s: the checkpoint %s cannot be used: %s", self._spec.trial.id, candidate.name, error)
        self._epoch = 0
        self._build()

    @staticmethod
    def _describe(error: Exception) -> _Failure:
        state = TrialState.OOM if gpu_memory.is_out_of_memory(error) else TrialState.FAILED
        return _Failure(state, "".join(traceback.format_exception(error)))
