"""Risks and distances between domains that trials measured of themselves, beside those of earlier replications.

Part of the section :mod:`~transfer_sweep.reports.sections.published`, whose list of sources it shares.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from transfer_sweep.reports import published
from transfer_sweep.reports.document.elements import Block, Drawing, Table
from transfer_sweep.reports.document.plotting import OTHER, blank
from transfer_sweep.reports.document.text import backbone_text, initials, percent
from transfer_sweep.reports.results import Results, dicts
from transfer_sweep.reports.sections.context import Context, References

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MEASURES = {
    "training_risk": "training risk",
    "validation_risk": "validation risk",
    "test_risk": "test risk",
    "iterations": "iterations",
    "pad_input": "PAD of inputs",
    "pad_representation": "PAD of representation",
}


def blocks(context: Context) -> Iterator[Block]:
    """The table of risks and the figure of distances; nothing where no trial measured them."""
    risks = table(context.results, context.references)
    if risks is not None:
        yield risks
    measured = with_distances(context.results)
    if not measured.empty:
        yield Drawing(
            "proxy_a_distance",
            "Proxy A-distance of the representations over that of the inputs",
            "The distances of the table of risks; below the dotted line, the representation hides the domain better.",
            partial(_drawn, measured),
        )


def table(results: Results, references: References) -> Table | None:
    """What the chosen trials measured of themselves, beside earlier replications, where they measure risks or PADs."""
    records = results.records[results.records["selection"] == results.criterion]
    losses = results.losses.rename(columns={"passes": "iterations"})
    measured = records.merge(losses, on="trial", suffixes=("", "_loss"))
    measured["test_risk"] = 1 - measured["target_accuracy"] / 100
    measures = [name for name in _MEASURES if name in measured and (name != "test_risk" or results.has_labels)]
    if not {"training_risk", "pad_representation"} & set(measures):
        return None
    measured = measured.dropna(subset=[name for name in measures if name != "test_risk"], how="all")
    rows = [
        [
            f"{record['source']} → {record['target']}",
            record["method"],
            backbone_text(record["backbone"], record["training"]),
            *(_measured(record, name, references) for name in measures),
        ]
        for record in dicts(measured)
    ]
    return Table(
        "Risks (shares of wrong predictions), passes until the network was kept, and proxy A-distances (0 to 2)",
        ["pair", "method", "input", *(_MEASURES[name] for name in measures)],
        rows,
        "lll" + "r" * len(measures),
        ["In brackets: the earlier replication, then the paper's (read off a figure), with their sources."],
    )


def _measured(record: Mapping[str, Any], name: str, references: References) -> str:
    digits = 0 if name == "iterations" else 3
    found = published.lookup(
        record["dataset"], record["method"], record["source"], record["target"], record["backbone"], name
    )
    others = [value for value in (found.replication, found.paper) if value and value.backbone == record["backbone"]]
    texts = [
        f"{value.value:.{digits}f} [{references.number(value.reference, value.backbone, value.remark)}]"
        for value in others
    ]
    return percent(record[name], digits=digits) + (f" ({'; '.join(texts)})" if texts else "")


# --- the figure ---


@dataclass(frozen=True)
class Points:
    """Proxy A-distances of one kind of representation.

    Attributes:
        label: the method and the backbone, or a backbone alone.
        inputs: of each pair, the distance of the untouched inputs.
        representation: that of the representation.
        pairs: names of the pairs.
    """

    label: str
    inputs: list[float]
    representation: list[float]
    pairs: list[str]


def with_distances(results: Results) -> pd.DataFrame:
    """The records of the chosen trials for which both proxy A-distances were measured."""
    if "pad_representation" not in results.records:
        return results.records.head(0)
    records = results.records[results.records["selection"] == results.criterion]
    return records.dropna(subset=["pad_input", "pad_representation"])


def points(measured: pd.DataFrame) -> list[Points]:
    """The distances of each method on each backbone, and of backbones other than the first.

    What was made of the inputs before (mSDA) counts as a representation of the untouched inputs, which are those of
    the first backbone.

    Args:
        measured: see :func:`with_distances`.
    """
    untouched = measured.groupby(["source", "target"])["pad_input"].first()
    short = initials([*measured["source"], *measured["target"]])

    def of(label: str, records: pd.DataFrame, column: str) -> Points:
        pairs = list(zip(records["source"], records["target"], strict=True))
        inputs = [float(untouched[pair]) for pair in pairs]
        return Points(label, inputs, records[column].tolist(), [f"{short[s]}→{short[t]}" for s, t in pairs])

    found = [
        of(f"{method}, {backbone}", records, "pad_representation")
        for (method, backbone), records in measured.groupby(["method", "backbone"], sort=False)
    ]
    first = measured["backbone"].iloc[0]
    return found + [
        of(f"{backbone} itself", records.drop_duplicates(["source", "target"]), "pad_input")
        for backbone, records in measured.groupby("backbone", sort=False)
        if backbone != first
    ]


def _drawn(measured: pd.DataFrame) -> Figure:
    return draw(points(measured), measured["backbone"].iloc[0])


def draw(shown: list[Points], untouched: str) -> Figure:
    """Proxy A-distance of representations over that of raw inputs, a point a cell.

    As figure 3 of Ganin et al. 2016: below the diagonal, the representation hides the domain better than the inputs.

    Args:
        shown: the points.
        untouched: name of the untouched inputs.
    """
    figure = blank(6.4, 4.6)
    axes = figure.add_subplot()
    for marker, each in zip(itertools.cycle("os^vDPX"), shown):
        axes.scatter(each.inputs, each.representation, marker=marker, s=28, label=each.label)
        for x, y, name in zip(each.inputs, each.representation, each.pairs, strict=True):
            axes.annotate(name, (x, y), fontsize=6, xytext=(3, 2), textcoords="offset points")
    low, high = min(x for each in shown for x in each.inputs) - 0.05, 2.0
    axes.plot([low, high], [low, high], color=OTHER, linewidth=0.8, linestyle=":")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 2.05)
    axes.set_xlabel(f"PAD of {untouched}")
    axes.set_ylabel("PAD of the representation")
    axes.legend(fontsize=7, frameon=False, loc="lower left")
    return figure
