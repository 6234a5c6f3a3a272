"""What trained methods make of samples: features before and after adaptation, and which classes they confuse.

Both are drawn of the chosen trials whose features are kept (:mod:`transfer_sweep.reports.ledger.artefacts`): of a
baseline that does not adapt and of the methods of its family with the best accuracy (without target labels: the best
criterion), on the first pairs of the plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports.document.elements import Block, Drawing, Heading
from transfer_sweep.reports.document.plotting import SOURCE, TARGET, blank
from transfer_sweep.reports.document.text import names_of
from transfer_sweep.reports.ledger import artefacts
from transfer_sweep.reports.ledger.artefacts import Features
from transfer_sweep.reports.results import METHOD, MethodKey, Results, dicts, pairs_of
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLACE = Place(Part.BACKGROUND, 50)

_BASELINES = ("source_only", "nearest_neighbor")
_METHODS = 2  # besides the baseline
_PAIRS = 4
_POINTS = 300  # of each domain
_COMPONENTS = 50  # principal ones that t-SNE starts from, as van der Maaten & Hinton 2008 have it
_FEW_CLASSES = 12  # so many have their counts written into the squares


def blocks(context: Context) -> Iterator[Block]:
    """Features and confusions; nothing where no features are kept."""
    found = [(group, panels(context.results, group.all_records)) for group in context.groups]
    if any(rows for _, rows in found):
        yield Heading(2, "Features")
    for group, rows in found:
        if rows:
            yield Drawing(
                group.figure_name("features"),
                "Features before and after adaptation, by t-SNE",
                "Source and target samples as the last classifier sees them: without adaptation in the first column, "
                f"and with the {'most accurate' if not group.records.empty else 'best'} methods.",
                partial(t_sne, rows),
            )
            labelled = with_confusions(rows)
            if labelled:
                yield Drawing(
                    group.figure_name("confusions"),
                    "Confusions on the scored target samples, in percent of the true class",
                    "A square per method and pair: rows are true classes, columns predicted ones.",
                    partial(confusions, labelled),
                )


class Panel(NamedTuple):
    """A method on a pair.

    Attributes:
        method: its name.
        pair: source and target.
        accuracy: on the scored target samples, in percent; NaN where they have no labels.
        features: of the chosen trial.
    """

    method: str
    pair: tuple[str, str]
    accuracy: float
    features: Features


def panels(results: Results, group: pd.DataFrame) -> list[list[Panel | None]]:
    """What there is to draw: a row a pair, a column a method, the baseline first; empty where nothing is.

    Args:
        results: the experiment.
        group: the records of one protocol.
    """
    paths = results.candidates.set_index("id")["features"]
    records = group[(group["selection"] == results.criterion) & (group["label_access"] == "none")]
    records = records[records["trial"].map(paths).fillna("") != ""]
    baseline = next((name for name in _BASELINES if name in set(records["method"])), None)
    if baseline is None:
        return []
    family = records[records["method"] == baseline]["family"].iloc[0]
    records = records[records["family"] == family]
    pairs = pairs_of(records)[:_PAIRS]
    by = "target_accuracy" if records["target_accuracy"].notna().any() else "score"
    mean = records.groupby(METHOD, sort=False)[by].mean().sort_values(ascending=False, kind="stable")
    best = [key for key in mean.index if key[0] not in _BASELINES][:_METHODS]
    first = next(key for key in mean.index if key[0] == baseline)
    names = names_of(records)
    cells = {(*(r[c] for c in METHOD), r["source"], r["target"]): r for r in dicts(records)}

    def panel(key: MethodKey, pair: tuple[str, str]) -> Panel | None:
        record = cells.get((*key, *pair))
        found = None if record is None else artefacts.read(paths[record["trial"]])
        if record is None or found is None or not (np.isfinite(found.source).all() and np.isfinite(found.target).all()):
            return None
        scored = results.without_drawn(record["trial"], record["target"], found.confusion)
        return Panel(names[key], pair, record["target_accuracy"], replace(found, confusion=scored))

    return [[panel(key, pair) for key in (first, *best)] for pair in pairs]


def with_confusions(rows: list[list[Panel | None]]) -> list[list[Panel | None]]:
    """The rows of pairs some of whose scored target samples have labels."""
    return [row for row in rows if any(panel is not None and panel.features.confusion.any() for panel in row)]


def t_sne(rows: list[list[Panel | None]]) -> Figure:
    """Features of both domains in two dimensions, by t-SNE (van der Maaten & Hinton 2008), each panel for itself."""
    figure = blank(0.4 + 2.6 * len(rows[0]), 0.6 + 2.5 * len(rows))
    for axes, panel in _each(figure, rows):
        source, target = embedded(panel.features)
        for points, color in ((source, SOURCE), (target, TARGET)):
            axes.scatter(points[:, 0], points[:, 1], s=5, color=color, linewidths=0, alpha=0.7)
        axes.set_xticks([])
        axes.set_yticks([])
    handles = [
        figure.axes[0].plot([], [], color=color, marker="o", linestyle="", markersize=4, label=label)[0]
        for color, label in ((SOURCE, "source"), (TARGET, "target"))
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    return figure


def embedded(features: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Some source and some target samples in the plane, (n, 2) and (m, 2); the same ones every time."""
    from sklearn.decomposition import PCA  # noqa: PLC0415 - takes a second to import
    from sklearn.manifold import TSNE  # noqa: PLC0415

    source, target = features.source[:_POINTS], features.target[:_POINTS]
    points = np.concatenate([source, target]).astype(np.float32)
    components = min(_COMPONENTS, *points.shape)
    points = PCA(components, random_state=0).fit_transform(points)
    perplexity = min(30.0, (len(points) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(points)
    return plane[: len(source)], plane[len(source) :]


def confusions(rows: list[list[Panel | None]], classes: list[str] | None = None) -> Figure:
    """Scored target samples by true class (rows) and prediction (columns), in percent of the true class.

    Args:
        rows: see :func:`panels`.
        classes: names of the classes, shown where they are few.
    """
    figure = blank(0.6 + 3.0 * len(rows[0]), 0.4 + 2.9 * len(rows))
    for axes, panel in _each(figure, rows):
        counts = panel.features.confusion
        share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
        if len(counts) > _FEW_CLASSES:
            axes.set_xticks([])
            axes.set_yticks([])
            continue
        names = classes or [str(k) for k in range(len(counts))]
        axes.set_xticks(range(len(counts)), names, fontsize=6)
        axes.set_yticks(range(len(counts)), names, fontsize=6)
        axes.tick_params(length=0)
        for (i, j), value in np.ndenumerate(share):
            if value >= 0.5:
                ink = "white" if value > 50 else "black"
                axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=5, color=ink)
    figure.supylabel("true class", fontsize=8)
    figure.supxlabel("predicted class", fontsize=8)
    return figure


def _each(figure: Figure, rows: list[list[Panel | None]]) -> Iterator[tuple[Axes, Panel]]:
    """The axes of every panel that there is, with their titles; the others stay empty."""
    grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for axes, panel in zip(grid.flat, (panel for row in rows for panel in row), strict=True):
        if panel is None:
            axes.set_axis_off()
            continue
        source, target = panel.pair
        accuracy = "" if math.isnan(panel.accuracy) else f", {panel.accuracy:.1f} %"
        axes.set_title(f"{panel.method}, {source} → {target}{accuracy}", fontsize=7)
        yield axes, panel
