"""The nouns of a run, typed: what is decoded once where it enters and encoded once where it leaves.

Canonical JSON is what ledgers store and what trial ids are hashes of; it stays byte for byte what it is. A key that is
added later is left out at the value that reproduces what was before, so that former trials keep their ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal, NamedTuple

import pandas as pd

Role = Literal["search", "confirm", "control"]
Training = Literal["raw", "frozen", "finetune", "scratch"]

RAW = "raw"
"""The representation of inputs that are a data set's own, see :meth:`Protocol.representation`."""


def canonical(value: object) -> str:
    """Canonical JSON: sorted keys, no spaces; equal values give equal texts. Rejects NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class TrialState(StrEnum):
    """Where a trial stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    OOM = "oom"

    @property
    def finished(self) -> bool:
        """Whether there is a result that stands: after the whole budget, or stopped early."""
        return self in FINISHED

    @property
    def lost(self) -> bool:
        """Whether it ended without a result, and is tried again by the next run."""
        return self in LOST

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of this attempt."""
        return self.finished or self.lost


FINISHED = frozenset({TrialState.DONE, TrialState.STOPPED})
LOST = frozenset({TrialState.FAILED, TrialState.OOM})


class Pair(NamedTuple):
    """A source and a target domain."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


@dataclass(frozen=True)
class FewLabels:
    """The few-label setting: labelled target samples that methods learn from and that are never scored.

    Attributes:
        per_class: labelled target samples of each class.
        classes: how many classes have them; then only samples of the others are scored. None: all.
        source: whether methods have the source, too.
    """

    per_class: int
    classes: int | None = None
    source: bool = True

    def text(self, count: bool = True) -> str:
        """In words; ``count``: whether to say how many labels a class has."""
        parts = [f"{self.per_class} per class"] if count else []
        parts += [f"of {self.classes} classes"] if self.classes is not None else []
        parts += [] if self.source else ["without source"]
        return ", ".join(parts)

    @property
    def tag(self) -> str:
        """As part of a cell's name: ``+3``, ``+3of15``, ``+3only``."""
        of = "" if self.classes is None else f"of{self.classes}"
        return f"+{self.per_class}{of}" + ("" if self.source else "only")


# Keys of a protocol that came later, and the values at which they are left out.
_LEFT_OUT_AT: Mapping[str, Any] = {"inputs": {}, "version": 1, "target_classes": None}


@dataclass(frozen=True, eq=False)
class Protocol:
    """What, besides method, pair and params, decides a result; resolved for a method.

    Attributes:
        backbone: what turns inputs into features: a network's name, or what the raw vectors are called.
        training: how it is trained: ``raw`` (not at all), ``frozen``, ``finetune`` or ``scratch``.
        weights: digest of a file of pretrained weights; None: the published ones, or none at all.
        options: those of the data set.
        inputs: options that change what vectors hold and nothing else, and ``msda``; empty where there are none.
        holdout: share of the source held out as source validation.
        transductive: whether methods adapt to the very (unlabelled) samples that they are scored on.
        profile: of the experiment; no part of a trial's identity.
        few: the few-label setting; None: no target labels, or all that are never scored.
        version: of the method's behaviour, which is raised when it changes.
        target_classes: of how many of the source's classes the target has samples, or ``unknown``; None: of all.
    """

    backbone: str
    training: Training = "raw"
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    holdout: float = 0.0
    transductive: bool = False
    profile: str = ""
    few: FewLabels | None = None
    version: int = 1
    target_classes: int | Literal["unknown"] | None = None

    @classmethod
    def decode(cls, text: str) -> Protocol:
        """From canonical JSON. The same text gives the same object.

        Raises:
            ValueError: the text is no protocol.
        """
        return _protocol(text)

    @cached_property
    def text(self) -> str:
        """As canonical JSON."""
        return canonical(self.encode())

    @property
    def stored(self) -> dict[str, Any]:
        """What the text says, key by key in its order, whatever version wrote it."""
        record: dict[str, Any] = json.loads(self.text)
        return record

    def encode(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        few = self.few
        record = {
            "backbone": self.backbone,
            "training": self.training,
            "weights": self.weights,
            "options": dict(self.options),
            "inputs": dict(self.inputs),
            "holdout": self.holdout,
            "transductive": self.transductive,
            "profile": self.profile,
            "few": None if few is None else {"per_class": few.per_class, "classes": few.classes, "source": few.source},
            "version": self.version,
            "target_classes": self.target_classes,
        }
        return {key: value for key, value in record.items() if _LEFT_OUT_AT.get(key, ...) != value}

    def identity(self) -> dict[str, Any]:
        """What of it is part of a trial's identity."""
        return {key: value for key, value in self.encode().items() if key != "profile"}

    def representation(self, pair: Pair) -> str:
        """Which arrays of a domain a trial on this pair works on.

        :data:`RAW`, a backbone's name or, as canonical JSON, what makes the inputs. mSDA is learned from both domains
        of a pair, in either direction.
        """
        if self.training == "frozen":
            return self.backbone
        if not self.inputs:
            return RAW
        return canonical({**self.inputs, "pair": sorted(set(pair))} if "msda" in self.inputs else dict(self.inputs))

    @property
    def few_text(self) -> str:
        """The few-label setting in words; empty where there is none."""
        return "" if self.few is None else self.few.text()

    @property
    def few_tag(self) -> str:
        """The few-label setting as part of a cell's name; empty where there is none."""
        return "" if self.few is None else self.few.tag

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Protocol) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@lru_cache(maxsize=4096)
def _protocol(text: str) -> Protocol:
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError(f"not a protocol: {text}")
    few = record.get("few")
    protocol = Protocol(
        backbone=record.get("backbone", ""),
        training=record.get("training", "raw"),
        weights=record.get("weights"),
        options=record.get("options") or {},
        inputs=record.get("inputs") or {},
        holdout=record.get("holdout", 0.0),
        transductive=bool(record.get("transductive", False)),
        profile=record.get("profile", ""),
        few=None if few is None else FewLabels(**few),
        version=record.get("version", 1),
        target_classes=record.get("target_classes"),
    )
    protocol.__dict__["text"] = text  # trials are found by it: it stays as it is stored
    return protocol


@dataclass(frozen=True)
class Cell:
    """Method × pair under one protocol: hyperparameters compete inside it and nowhere else."""

    dataset: str
    method: str
    pair: Pair
    protocol: Protocol

    COLUMNS: ClassVar[tuple[str, ...]] = ("dataset", "method", "source", "target", "protocol")
    """Its parts as columns of tables, and as parts of :attr:`key`, in the one order that there is."""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """The values of :attr:`COLUMNS`."""
        return self.dataset, self.method, *self.pair, self.protocol.text

    @property
    def name(self) -> str:
        """As on a command line: ``dann:amazon-webcam``, ``dann+3:amazon-webcam``."""
        return f"{self.method}{self.protocol.few_tag}:{self.pair}"

    def __lt__(self, other: Cell) -> bool:
        return self.key < other.key


@dataclass(frozen=True)
class Trial:
    """A planned trial: everything that decides its result.

    Attributes:
        id: a hash of that.
        role: part of the search, one of more seeds of what it chose, or a control of that: the same without the
            method's loss of the domains.
        cell: where it competes.
        params: the method's, resolved, as its class encodes them.
        seed: of splits, draws and training.
        budget: epochs of a full run.
    """

    id: str
    role: Role
    cell: Cell
    params: Mapping[str, Any]
    seed: int
    budget: int

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "id", "role", "dataset", "protocol", "method", "source", "target", "params", "seed", "budget"
    )  # fmt: skip
    """Its parts as the ledger's table has them."""

    @classmethod
    def decode(cls, record: Mapping[str, Any]) -> Trial:
        """From a record with (at least) :attr:`COLUMNS`; ``protocol`` and ``params`` are canonical JSON."""
        pair = Pair(str(record["source"]), str(record["target"]))
        cell = Cell(str(record["dataset"]), str(record["method"]), pair, Protocol.decode(record["protocol"]))
        params = json.loads(record["params"])
        return cls(str(record["id"]), record["role"], cell, params, int(record["seed"]), int(record["budget"]))

    def encode(self) -> dict[str, Any]:
        """As a record with :attr:`COLUMNS`."""
        return {
            "id": self.id,
            "role": self.role,
            "dataset": self.cell.dataset,
            "protocol": self.protocol.text,
            "method": self.method,
            "source": self.pair.source,
            "target": self.pair.target,
            "params": canonical(dict(self.params)),
            "seed": self.seed,
            "budget": self.budget,
        }

    @property
    def method(self) -> str:
        """Its cell's."""
        return self.cell.method

    @property
    def pair(self) -> Pair:
        """Its cell's."""
        return self.cell.pair

    @property
    def protocol(self) -> Protocol:
        """Its cell's."""
        return self.cell.protocol

    @property
    def representation(self) -> str:
        """Which arrays of its domains it works on, see :meth:`Protocol.representation`."""
        return self.protocol.representation(self.pair)

    def __hash__(self) -> int:
        return hash(self.id)


def planned(trials: pd.DataFrame) -> list[Trial]:
    """The rows of :meth:`Ledger.trials`, or of anything that has their columns, as the plan has them."""
    names = list(Trial.COLUMNS)
    rows = zip(*(trials[name].tolist() for name in names), strict=True)
    return [Trial.decode(dict(zip(names, row, strict=True))) for row in rows]


def protocols(texts: Iterable[str]) -> list[Protocol]:
    """A column of protocols, decoded."""
    return [Protocol.decode(text) for text in texts]


@dataclass(frozen=True)
class EpochReport:
    """What a trial says of one epoch.

    Attributes:
        epoch: counted from 1.
        target_accuracy: percent of the scored target samples, the oracle's view: for reporting only.
        criteria: computed without target labels, by the key under which they are recorded.
        losses: of training, by name.
        seconds: that it took, scoring included.
    """

    epoch: int
    target_accuracy: float
    criteria: Mapping[str, float]
    losses: Mapping[str, float]
    seconds: float
