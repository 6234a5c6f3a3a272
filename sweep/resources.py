"""What a trial takes, and whether any node can give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import algorithms.registry
from reports.ledger import TrialRow
from sweep import SweepError
from sweep.experiment import Resources


def share(row: TrialRow, training: str, wanted: Resources, gpus: float) -> tuple[float, float]:
    """(cpu, gpu) of a trial.

    Shallow methods never take a GPU. ``auto``: where the cluster has GPUs, a whole one for fine-tuning and a
    quarter for smaller networks.
    """
    if algorithms.registry.get(row.method).family == "shallow" or not gpus:
        # gpu: 0.5 on a cluster without GPUs is refused by `check`, not silently run on the CPU.
        explicit = wanted.gpu not in ("auto", 0) and algorithms.registry.get(row.method).family == "deep"
        return wanted.cpu, float(wanted.gpu) if explicit else 0.0
    if wanted.gpu == "auto":
        return wanted.cpu, 1.0 if training == "finetune" else 0.25
    return wanted.cpu, float(wanted.gpu)


def check(requests: Iterable[tuple[float, float]], nodes: Iterable[Mapping[str, Any]]) -> None:
    """Refuse what no node can give, before anything is launched.

    Args:
        requests: (cpu, gpu) of each kind of trial.
        nodes: as ``ray.nodes()`` lists them.

    Raises:
        SweepError: names the request and the largest node.
    """
    alive = [n["Resources"] for n in nodes if n.get("Alive", True)]
    for cpu, gpu in requests:
        if not any(n.get("CPU", 0) >= cpu and n.get("GPU", 0) >= gpu for n in alive):
            best: Mapping[str, float] = max(alive, key=lambda n: (n.get("GPU", 0), n.get("CPU", 0)), default={})
            raise SweepError(
                f"resources: a trial asks for cpu {cpu:g} and gpu {gpu:g}, but the largest node has "
                f"cpu {best.get('CPU', 0):g} and gpu {best.get('GPU', 0):g}; lower `resources` in the experiment, "
                "with --set resources.gpu=…, or join a larger node"
            )
