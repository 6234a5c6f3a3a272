"""The one Tune Trainable: it can become any method on any pair, one after another in the same process.

It catches its own exceptions: a trial that fails ends as ``failed`` or ``oom`` with its traceback in the
ledger, and the others go on. Only the loss of the process reaches Tune, which continues from the checkpoint.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import pickle
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT
from threadpoolctl import threadpool_limits

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.datasets.base import Domain, Samples
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.artefacts import FEATURES, MODEL
from transfer_sweep.reports.ledger.ledger import TrialRow
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.resources import gpu_memory as gpu
from transfer_sweep.sweep.resources.gpu_memory import CONTEXT
from transfer_sweep.sweep.trial import model_files as artefacts
from transfer_sweep.sweep.trial import task as tasks
from transfer_sweep.sweep.trial.inputs import representation

CHECKPOINT = "state.pt"
REPORT_SECONDS = 1.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialSpec:
    """What a trial needs to know of itself.

    Attributes:
        row: its identity.
        epochs: the experiment's budget, which schedules depend on.
        cpu, gpu: its share of cores and of a GPU.
        context: bytes of its share of a GPU that its process takes besides what it computes with.
        rungs: epochs at which early stopping decides, or would: every criterion is computed there, and at the end.
        checkpoint: folder to continue from, in the storage; None starts anew.
    """

    row: TrialRow
    epochs: int
    cpu: float = 1
    gpu: float = 0
    context: int = CONTEXT
    rungs: frozenset[int] = frozenset()
    checkpoint: str | None = None


@dataclass(frozen=True)
class Shared:
    """What all trials of a pass share; large arrays by reference into Ray's object store.

    Attributes:
        specs: trial id → its spec.
        domains: (domain, representation) → reference to ``(inputs, labels, test inputs, test labels)``.
        pretrained: backbone → reference to its weights, for fine-tuning.
        num_classes: of the dataset.
        folder: the experiment's results folder, at the driver.
        node: Ray's id of the driver's node.
        storage: where checkpoints lie.
        criterion: what early stopping compares.
        checkpoint_seconds: a trial that has run this long since it last saved itself does so.
        proxy_a_distance: whether trials measure it.
        memory: of the GPU that a trial sees.
    """

    specs: dict[str, TrialSpec]
    domains: dict[tuple[str, str], ray.ObjectRef]
    storage: Storage
    folder: str
    node: str
    pretrained: dict[str, ray.ObjectRef] = field(default_factory=dict)
    num_classes: int = 0
    criterion: str = selection.DEFAULT
    checkpoint_seconds: float = 20
    proxy_a_distance: bool = False
    memory: gpu.Memory = field(default_factory=gpu.Memory)


class Probe:
    """Measures trials one after another, in a process that has a GPU for itself.

    Args:
        shared: what trials share.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def measure(self, spec: TrialSpec) -> gpu.Footprint | None:
        """What a trial takes of the GPU that this process sees; None where it sees none."""
        memory = self._shared.memory
        return gpu.measure(lambda device: _build(spec, self._shared, device, {}), memory) if memory.there() else None


def _build(
    spec: TrialSpec, shared: Shared, device: str, domains: dict[tuple[str, str], Domain]
) -> tuple[Algorithm, tasks.Scoring]:
    """A trial's model and what scores it. ``domains`` keeps what this process has looked up."""
    row = spec.row
    protocol = json.loads(row.protocol)
    cls = method_registry.get(row.method)
    weights = shared.pretrained.get(protocol["backbone"]) if protocol["training"] == "finetune" else None
    pretrained = None if weights is None else ray.get(weights)
    form = representation(row)
    for name in (row.source, row.target):
        if (name, form) not in domains:  # zero-copy from the object store
            inputs, labels, test_inputs, test_labels = ray.get(shared.domains[name, form])
            test = None if test_inputs is None else Samples(test_inputs, test_labels)
            domains[name, form] = Domain(name, Samples(inputs, labels), test)
    return tasks.build(
        cls,
        cls.params_type.model_validate_json(row.params),
        domains[row.source, form],
        domains[row.target, form],
        tasks.setting_of(row, spec.epochs, shared.num_classes, pretrained, shared.proxy_a_distance),
        device,
    )


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
        self._become(shared.specs[config["trial"]["id"]])
        # What is loaded by now stays for good: a collection need not look at it again, which takes it 0.2 s a trial.
        gc.freeze()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial; nothing of the former one stays, on the GPU neither.

        After an error of CUDA nothing works any more in a process: it ends, and the next trial goes to another.
        """
        if self._failure is not None and "CUDA error" in self._failure[1]:
            os._exit(1)
        self._release()
        self._shared.memory.release()
        self._become(self._shared.specs[new_config["trial"]["id"]])
        return True

    def _become(self, spec: TrialSpec) -> None:
        self._spec, self._epoch, self._failure = spec, 0, None
        self._saved_at = time.monotonic()
        self._release()
        try:
            self._use_share(spec)
            self._build(spec)
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
            memory.cap(gpu.allowance(spec.gpu, spec.context, memory.total()))

    def _build(self, spec: TrialSpec) -> None:
        self._model, self._scoring = _build(spec, self._shared, self._device, self._domains)

    def step(self) -> dict[str, Any]:
        """Some epochs, scored, as one report; or the failure that ended the trial.

        A report takes longer than a short epoch, so one stands for all epochs of :data:`REPORT_SECONDS`. It
        never goes past a rung: early stopping decides there.
        """
        started = time.monotonic()
        epochs: list[dict[str, Any]] = []
        scored: tasks.Scored | None = None
        kept: dict[str, str] = {}
        try:
            while self._failure is None:
                scored, epoch = self._one_epoch()
                epochs.append(epoch)
                if self._decides(self._epoch) or time.monotonic() - started >= REPORT_SECONDS:
                    break
            if scored is not None:
                kept = {"logits": self._keep_logits(scored)}
                if self._decides(self._epoch):
                    kept |= self._keep_model(scored)
        except Exception as error:
            self._failure = self._describe(error)
        result: dict[str, Any] = {
            "epochs": epochs,
            "epoch": self._epoch,
            "artefacts": kept,
            "score": selection.guarded_score(scored.criteria if scored else {}, self._shared.criterion),
            "state": "running",
            "done": False,
        }
        if self._sends:
            result["files"] = self._sent(kept.values())
        if self._failure is not None:
            state, trace = self._failure
            return result | {"state": state, "error": trace, "score": selection.guarded_score({}), "done": True}
        if self._finished:
            return result | {"state": "done", "done": True}
        if time.monotonic() - self._saved_at >= self._shared.checkpoint_seconds:
            result[SHOULD_CHECKPOINT] = True
        return result

    def _sent(self, paths: Iterable[str]) -> dict[str, ray.ObjectRef]:
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
        return self._epoch >= self._spec.row.budget

    def _decides(self, epoch: int) -> bool:
        """Whether that epoch's report may be the last."""
        return epoch >= self._spec.row.budget or epoch in self._spec.rungs

    def _one_epoch(self) -> tuple[tasks.Scored, dict[str, Any]]:
        started = time.perf_counter()
        losses = self._model.fit_epoch()
        scored = self._scoring(self._model, thorough=self._decides(self._epoch + 1))
        self._epoch += 1
        return scored, {
            "epoch": self._epoch,
            "target_accuracy": scored.target_accuracy,
            "criteria": scored.criteria,
            "losses": losses,
            "seconds": time.perf_counter() - started,
        }

    def _keep_logits(self, scored: tasks.Scored) -> str:
        """Logits so far, so that other criteria on predictions can be computed later without training."""
        relative = f"logits/{self._spec.row.id[:2]}/{self._spec.row.id}.npz"
        arrays: dict[str, NDArray[Any]] = {"target": scored.target.astype(np.float16)}
        if scored.validation is not None:
            arrays["validation"] = scored.validation.astype(np.float16)

        def write(path: Path) -> None:
            with path.open("wb") as file:  # by its name, NumPy would append .npz
                np.savez(file, allow_pickle=False, **arrays)

        artefacts.replace(self._folder / relative, write)
        return relative

    def _keep_model(self, scored: tasks.Scored) -> dict[str, str]:
        """The model and some features, where this may be the cell's chosen trial; the driver removes the others'."""
        row, folder = self._spec.row, self._folder
        if row.role != "search" or not self._model.can_be_saved:
            return {}
        classes = self._shared.num_classes
        kept = {MODEL: artefacts.save_model(folder, row, self._spec.epochs, classes, self._model)}
        if scored.features is not None:
            kept[FEATURES] = artefacts.save_features(folder, row.id, scored.features)
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
                if gpu.is_out_of_memory(error):
                    raise
                logger.warning("%s: the checkpoint %s cannot be used: %s", self._spec.row.id, candidate.name, error)
        self._epoch = 0
        self._build(self._spec)

    @staticmethod
    def _describe(error: Exception) -> tuple[str, str]:
        return "oom" if gpu.is_out_of_memory(error) else "failed", "".join(traceback.format_exception(error))
