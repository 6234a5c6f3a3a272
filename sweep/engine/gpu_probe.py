"""What trials take of a GPU, measured in a process that has one for itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ray

from transfer_sweep.datasets.base import Progress
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep.engine.object_store import ObjectStore
from transfer_sweep.sweep.engine.trainable import Shared
from transfer_sweep.sweep.resources import gpu_memory, shares

_WHAT = "measuring what trials take of a GPU"


class Probe:
    """Measures trials one after another, in a process that has a GPU for itself.

    Args:
        shared: what trials share.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def measure(self, trial: Trial) -> gpu_memory.Footprint | None:
        """What a trial takes of the GPU that this process sees; None where it sees none."""
        memory = self._shared.memory
        if not memory.there():
            return None
        return gpu_memory.measure(lambda device: self._shared.build(trial, device, {}), memory)


def measure_unknown(
    ledger: Ledger,
    trials: Sequence[Trial],
    known: shares.Shares,
    store: ObjectStore,
    shared: Shared,
    cpu: float,
    progress: Progress,
) -> None:
    """Measure what trials take of a GPU where that is not known, each kind on its largest pair.

    Args:
        ledger: remembers it.
        trials: that are to run.
        known: learns what was measured.
        store: knows how large pairs are.
        shared: what trials share.
        cpu: cores of a trial.
        progress: told of it.
    """
    models = shares.models(ray.nodes())
    missing = list(_missing(trials, models, known, store))
    probes: dict[str, Any] = {}
    for done, (model, trial, samples) in enumerate(missing):
        progress(_WHAT, done, len(missing))
        if model not in probes:
            probes = {model: _probe(model, cpu, shared)}  # the one before gives its GPU back
        try:
            found = ray.get(probes[model].measure.remote(trial))
        except ray.exceptions.RayError:  # the process died; should the trial's die too, Tune will say so
            found = None
            del probes[model]
        if found is not None:
            known.learn(trial, model, found, samples)
            known.remember(ledger)
    if missing:
        progress(_WHAT, len(missing), len(missing))


def _missing(
    trials: Sequence[Trial], models: Sequence[str], known: shares.Shares, store: ObjectStore
) -> Iterator[tuple[str, Trial, int]]:
    """(model of GPU, trial, samples of its pair) of what is to be measured."""
    if not models:
        return
    largest: dict[str, tuple[int, Trial]] = {}
    for trial in trials:
        kind, samples = shares.kind_of(trial), store.samples(trial)
        if kind not in largest or samples > largest[kind][0]:
            largest[kind] = (samples, trial)
    for model in models:
        for samples, trial in largest.values():
            if model in known.unmeasured(trial, models, samples):
                yield model, trial, samples


def _probe(model: str, cpu: float, shared: Shared) -> Any:
    """A process that has a GPU of that model for itself."""
    named = {} if model == shares.UNNAMED else {f"accelerator_type:{model}": 0.001}
    return ray.remote(Probe).options(num_cpus=cpu, num_gpus=1, resources=named).remote(shared)
