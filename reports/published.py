"""Published numbers, and those of earlier replications, from ``paper_results.csv``.

One row of the file is one number: dataset, backbone, method, pair, metric, unit, value, std, kind, reference, note,
setting, params. ``kind`` is ``paper`` (published), ``replication`` (what somebody else's code got) or ``quoted`` (a
misquote, kept for the record and never shown as a result). ``setting`` says on which training samples it was measured
where papers differ in that (``whole``, or ``mnist 2000, usps 1800``), ``params`` (as ``affine_std=0 translation=0``)
which of the method's params tell it from its neighbours.

Where several numbers answer the same question:

- those with the asked backbone come before the others, then those in the asked setting (a caller marks the others:
  ``backbone`` or ``setting`` differs);
- of papers, the one of the earliest year; of its variants (CDAN with and without entropy weighting, MCD's num_k,
  self-ensembling's augmentation) one with our params before one that states none, and that before one whose params
  are others (a caller marks it); of several alike the one with the highest accuracy, since that is what a paper claims;
- of replications, the same, the highest being the better tuned one; those whose note calls the number implausible
  (100 % from a folder reader that found one class) come last.

The rest stays available in :attr:`Published.others`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd

Kind = Literal["paper", "replication", "quoted"]
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_IMPLAUSIBLE = "implausible"


@dataclass(frozen=True)
class Value:
    """One number.

    Attributes:
        value: in the unit of its metric; accuracies in percent.
        std: as published, or None.
        kind: ``paper``, ``replication`` or ``quoted``.
        backbone: what it was measured with.
        reference: citation.
        note: what a reader should know; may be empty.
        setting: the training samples, where papers differ in that; else empty.
        params: those of the method's params that tell the number from those of its other variants.
    """

    value: float
    std: float | None
    kind: Kind
    backbone: str
    reference: str
    note: str
    setting: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, params: Mapping[str, Any]) -> bool:
        """Whether it states params, and a run with these has them all."""
        return bool(self.params) and all(name in params and params[name] == v for name, v in self.params.items())

    def others_than(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Those of its params that a run with these has otherwise."""
        return {name: value for name, value in self.params.items() if name in params and params[name] != value}

    @property
    def remark(self) -> str:
        """The note, and the setting in words."""
        return remark(self.note, self.setting)

    @property
    def plausible(self) -> bool:
        """Whether nothing in the note says otherwise."""
        return _IMPLAUSIBLE not in self.note

    @property
    def year(self) -> int:
        """The first year that the reference names; 9999 where it names none."""
        found = _YEAR.search(self.reference)
        return int(found.group()) if found else 9999


@dataclass(frozen=True)
class Published:
    """What is known of one method on one pair: the two numbers to stand beside ours, and the rest."""

    paper: Value | None = None
    replication: Value | None = None
    others: tuple[Value, ...] = ()


@cache
def table() -> pd.DataFrame:
    """The whole file; ``note``, ``setting`` and ``params`` are empty text where there is nothing."""
    with resources.files("transfer_sweep.reports").joinpath("paper_results.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file).fillna({"note": "", "setting": "", "params": ""})


@cache
def _index() -> dict[tuple[str, str, str, str, str], tuple[Value, ...]]:
    found: dict[tuple[str, str, str, str, str], list[Value]] = {}
    for row in table().to_dict("records"):
        std = None if pd.isna(row["std"]) else float(row["std"])
        value = Value(
            float(row["value"]),
            std,
            row["kind"],
            row["backbone"],
            row["reference"],
            row["note"],
            row["setting"],
            {name: json.loads(text) for name, _, text in (part.partition("=") for part in row["params"].split())},
        )
        # The upper bound needs no source: it is found by its target, too.
        for source in {row["source"], row["target"] if row["method"] == "target_only" else row["source"]}:
            key = (row["dataset"], row["method"], source, row["target"], row["metric"])
            found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def differs(setting: str, other: str) -> bool:
    """Whether two settings are of other training samples, as far as both are known."""
    return bool(setting and other) and setting != other


def remark(note: str, setting: str) -> str:
    """A note, and on which training samples a number was measured, in words."""
    trained = {"": "", "whole": "trained on whole sets"}.get(setting, f"trained on {setting} images")
    return "; ".join(filter(None, [note, trained]))


def setting_of(options: Mapping[str, Any], source: str, target: str) -> str:
    """Which training samples of a pair a run has, as ``setting`` in the file says it.

    Args:
        options: of the data set. Empty text where these say nothing of training samples.
        source: source domain.
        target: target domain.
    """
    if not isinstance(options.get("train"), Mapping):
        return ""
    drawn = {domain: options["train"][domain] for domain in sorted({source, target}) if domain in options["train"]}
    return ", ".join(f"{domain} {number}" for domain, number in drawn.items()) or "whole"


def lookup(
    dataset: str,
    method: str,
    source: str,
    target: str,
    backbone: str,
    metric: str = "target_accuracy",
    *,
    setting: str = "",
    params: Mapping[str, Any] = MappingProxyType({}),
) -> Published:
    """What is published of a method on a pair, by the rules above.

    Args:
        dataset: as in the file, like the other names.
        method: its name.
        source: source domain; of ``target_only``, which has none, the target again.
        target: target domain.
        backbone: ours; numbers with another one are used where there are none with this one.
        metric: ``target_accuracy`` in percent, or another of the file's.
        setting: ours, see :func:`setting_of`.
        params: ours.
    """
    values = _index().get((dataset, method, source, target, metric), ())

    def variant(value: Value) -> tuple[bool, bool, float]:
        return bool(value.others_than(params)), not value.fits(params), -value.value

    paper = min(
        (v for v in values if v.kind == "paper"),
        key=lambda v: (v.backbone != backbone, differs(v.setting, setting), v.year, *variant(v)),
        default=None,
    )
    replication = min(
        (v for v in values if v.kind == "replication"),
        key=lambda v: (v.backbone != backbone, differs(v.setting, setting), not v.plausible, *variant(v)),
        default=None,
    )
    return Published(paper, replication, tuple(v for v in values if v is not paper and v is not replication))
