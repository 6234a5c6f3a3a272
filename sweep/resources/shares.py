"""What a trial takes, and whether any node can give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Trial, canonical
from transfer_sweep.sweep.config.schema import Resources
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.resources import gpu_memory

_META = "gpu_memory"  # of the ledger: kind of trial → model of GPU → what it takes
Request = tuple[float, float]
"""Cores and GPUs of a trial."""

UNNAMED = "GPU"  # a model of GPU that Ray does not know


def kind_of(trial: Trial) -> str:
    """What its need of a GPU's memory is remembered under: all that a batch and the network depend on.

    That is the method, the backbone and how it is trained, the batch size, the form of samples, and whether labelled
    target samples come with each batch.
    """
    protocol = trial.protocol
    parts = [
        trial.method,
        protocol.backbone,
        protocol.training,
        trial.params.get("batch_size"),
        protocol.few is not None,
    ]
    return canonical([*parts, dict(protocol.options)])


def models(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """The models of GPU that there are, as Ray names them.

    Args:
        nodes: as ``ray.nodes()`` lists them.
    """
    with_gpu = [n["Resources"] for n in nodes if n.get("Alive", True) and n["Resources"].get("GPU", 0)]
    types = ([name.partition(":")[2] for name in node if name.startswith("accelerator_type:")] for node in with_gpu)
    return sorted({own[0] if own else UNNAMED for own in types})


@dataclass(frozen=True)
class Need:
    """What is remembered of a kind of trial on a model of GPU.

    Attributes:
        share: of the GPU.
        peak, context, total: bytes, as :class:`~transfer_sweep.sweep.resources.gpu_memory.Footprint` has them.
        samples: of both domains of the pair it was measured on.
    """

    share: float
    peak: int
    context: int
    total: int
    samples: int


class Shares:
    """What each trial takes of a GPU: what the experiment says, or what was measured.

    Args:
        wanted: the experiment's.
        gpus: that the cluster has.
        ledger: remembers what was measured; None: nothing is known.
        fresh: whether trials begin anew, whatever they ran out of memory with before.
    """

    def __init__(self, wanted: Resources, gpus: float, ledger: Ledger | None = None, fresh: bool = False) -> None:
        self._wanted, self._gpus = wanted, gpus
        stored = ledger.meta(_META, {}) if ledger is not None else {}
        self._needs = {kind: {m: Need(**need) for m, need in own.items()} for kind, own in stored.items()}
        self._too_little = ledger.out_of_memory() if ledger is not None and not fresh else {}

    def of(self, trial: Trial) -> Request:
        """(cpu, gpu) of a trial; a whole GPU for one that is yet to be measured.

        Shallow methods never take one. A trial that ran out of memory takes twice what it had then.
        """
        if not self._takes_gpu(trial):
            return self._wanted.cpu, 0.0
        if self._wanted.gpu == "auto":
            needs = self._needs.get(kind_of(trial), {})
            share = max((need.share for need in needs.values()), default=1.0)
        else:
            share = float(self._wanted.gpu)
        return self._wanted.cpu, max(share, _twice(self._too_little.get(trial.id, 0.0)))

    def shown(self, trial: Trial) -> tuple[str, str]:
        """:meth:`of` for people; ``auto`` for a share that is yet to be measured."""
        cpu, share = self.of(trial)
        unknown = self._wanted.gpu == "auto" and share == 1 and kind_of(trial) not in self._needs
        return f"{cpu:g}", "auto" if unknown else f"{share:.4g}"

    def _takes_gpu(self, trial: Trial) -> bool:
        if method_registry.get(trial.method).family == "shallow" or self._wanted.gpu == 0:
            return False
        # gpu: 0.5 on a cluster without GPUs is refused by `check`, not silently run on the CPU.
        return bool(self._gpus) or self._wanted.gpu != "auto"

    def context(self, trial: Trial) -> int:
        """Bytes of a GPU that the trial's process takes besides what its allocator does."""
        return max((need.context for need in self._needs.get(kind_of(trial), {}).values()), default=gpu_memory.CONTEXT)

    def unmeasured(self, trial: Trial, on: Iterable[str], samples: int) -> list[str]:
        """The models of GPU on which such a trial is to be measured, on a pair of so many samples, before it runs."""
        if self._wanted.gpu != "auto" or not self._takes_gpu(trial):
            return []
        known = self._needs.get(kind_of(trial), {})
        return [model for model in on if model not in known or known[model].samples < samples]

    def learn(self, trial: Trial, model: str, found: gpu_memory.Footprint, samples: int) -> None:
        """Remember what was measured; a share that was too little before is not taken again."""
        known = self._needs.setdefault(kind_of(trial), {})
        before = known[model].share if model in known else 0.0
        known[model] = Need(max(found.share, before), **asdict(found), samples=samples)

    def ran_out(self, trial: Trial, share: float) -> None:
        """A trial ran out of memory with this share: it and its kind take twice that from now on."""
        self._too_little[trial.id] = share
        for model, need in self._needs.get(kind_of(trial), {}).items():
            raised = Need(**(asdict(need) | {"share": max(need.share, _twice(share))}))
            self._needs[kind_of(trial)][model] = raised

    def remember(self, ledger: Ledger) -> None:
        """Write what is known into the ledger."""
        ledger.set_meta(
            _META, {kind: {m: asdict(need) for m, need in own.items()} for kind, own in self._needs.items()}
        )


def _twice(share: float) -> float:
    return min(1.0, 2 * share)


def check(requests: Iterable[Request], nodes: Iterable[Mapping[str, Any]]) -> None:
    """Refuse what no node can give, before anything is launched.

    Args:
        requests: (cpu, gpu) of each kind of trial.
        nodes: as ``ray.nodes()`` lists them.

    Raises:
        SweepError: names the request and the largest node.
    """
    alive = [n["Resources"] for n in nodes if n.get("Alive", True)]
    for cpu, share in requests:
        if not any(n.get("CPU", 0) >= cpu and n.get("GPU", 0) >= share for n in alive):
            best: Mapping[str, float] = max(alive, key=lambda n: (n.get("GPU", 0), n.get("CPU", 0)), default={})
            raise SweepError(
                f"resources: a trial asks for cpu {cpu:g} and gpu {share:g}, but the largest node has "
                f"cpu {best.get('CPU', 0):g} and gpu {best.get('GPU', 0):g}; lower `resources` in the experiment, "
                "with --set resources.gpu=…, or join a larger node"
            )
