"""Figures of an experiment: heat maps methods × pairs, and the learning curves of the chosen trials."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.blocks import Drawing
from reports.results import METHOD, Results, dicts
from reports.statistics import ALPHA, Comparison
from reports.tables import criterion_name, initials, names_of, pairs_of

_TARGET, _SOURCE, _CRITERION = "#1b6ca8", "#d1802f", "#777777"
_DPI = 110


def write(drawing: Drawing, file: Path) -> None:
    """Draw a figure as a PNG file; its folder is made if absent."""
    figure = drawing.draw()
    file.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    # No dates or versions inside: the same results give the same bytes.
    figure.savefig(file, dpi=_DPI, metadata={"Software": None})


def that_learned(results: Results, group: pd.DataFrame) -> pd.DataFrame:
    """The records of a group whose chosen trials ran for more than one epoch, on a pair."""
    own = group[group["selection"] == results.criterion]
    lengths = results.curves.groupby("trial").size()
    return own[(own["trial"].map(lengths).fillna(0) > 1) & (own["source"] != own["target"])]


def heat_map(records: pd.DataFrame) -> Figure:
    """Methods × pairs: target accuracy in percent, with the average of methods that ran on every pair.

    Args:
        records: the records of one group, by one way of choosing.
    """
    names = names_of(records)
    pairs = pairs_of(records)
    cells = np.full((len(names), len(pairs)), np.nan)
    for i, key in enumerate(names):
        own = records[(records[METHOD] == list(key)).all(axis=1)]
        found = {(r["source"], r["target"]): r["target_accuracy_mean"] for r in dicts(own)}
        cells[i] = [found.get(pair, found.get((pair[1], pair[1]), np.nan)) for pair in pairs]
    cells = np.column_stack([cells, cells.mean(axis=1)])
    short = initials(name for pair in pairs for name in pair)
    labels = [f"{short[s]}→{short[t]}" for s, t in pairs] + ["average"]
    longest = max(len(label) for label in labels)
    left = 0.4 + 0.085 * max(len(name) for name in names.values())
    size = (left + 0.75 * len(labels) + 1.3, 1.1 + 0.34 * len(names) + (0.06 * longest if longest > 8 else 0))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    shade = Normalize(np.nanmin(cells), np.nanmax(cells))
    image = axes.imshow(cells, cmap="viridis", aspect="auto", norm=shade)
    axes.set_xticks(
        range(len(labels)), labels, rotation=30 if longest > 8 else 0, ha="right" if longest > 8 else "center"
    )
    axes.set_yticks(range(len(names)), list(names.values()))
    axes.axvline(len(pairs) - 0.5, color="white", linewidth=3)
    ranked = (records.drop_duplicates(METHOD)["label_access"] == "none").tolist()
    for i, (above, below) in enumerate(itertools.pairwise(ranked)):
        if above != below:  # methods that see target labels are not to be compared with the rest
            axes.axhline(i + 0.5, color="white", linewidth=3)
    axes.tick_params(length=0)
    for (i, j), value in np.ndenumerate(cells):
        if np.isfinite(value):
            dark = shade(value) < 0.6
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=9, color="white" if dark else "black")
    figure.colorbar(image, ax=axes, label="%")
    chosen_by = criterion_name(records["selection"].iloc[0])
    axes.set_title(f"Target accuracy in percent, chosen by {chosen_by}", fontsize=11)
    return figure


def learning_curves(results: Results, records: pd.DataFrame) -> Figure:
    """Source validation, target accuracy and the criterion over the epochs of each cell's chosen trial.

    Args:
        results: the experiment.
        records: the cells to draw: methods are rows of panels, pairs are columns.
    """
    names = names_of(records)
    pairs = pairs_of(records)
    figure = Figure(figsize=(1.0 + 1.9 * len(pairs), 0.9 + 1.35 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), len(pairs), squeeze=False, sharex="row", sharey="row")
    curves = dict(list(results.curves.groupby("trial")))
    for row, (key, name) in zip(grid, names.items(), strict=True):
        own = records[(records[METHOD] == list(key)).all(axis=1)]
        chosen = {(r["source"], r["target"]): curves[r["trial"]] for r in dicts(own)}
        values = [curve[results.criterion] for curve in chosen.values()]
        bounds = (min(v.min() for v in values), max(v.max() for v in values))
        for axes, pair in zip(row, pairs, strict=True):
            axes.tick_params(labelsize=7)
            if pair in chosen:
                _panel(axes, chosen[pair], results.criterion, bounds)
            else:
                axes.set_axis_off()
        # Text, not the axis's own label: the first panel may be one that is not drawn.
        row[0].text(-0.3, 0.5, name, transform=row[0].transAxes, rotation=90, ha="right", va="center", fontsize=8)
    for axes, (source, target) in zip(grid[0], pairs, strict=True):
        axes.set_title(f"{source} → {target}", fontsize=8)
    figure.supylabel("%", fontsize=8)
    figure.supxlabel("epoch", fontsize=8)
    handles = [
        Line2D([], [], color=_TARGET, label="target accuracy"),
        Line2D([], [], color=_SOURCE, label="source validation"),
        Line2D([], [], color=_CRITERION, linestyle=":", label=f"{criterion_name(results.criterion)} (own scale)"),
    ]
    handles = handles if results.criterion != "source_validation" else handles[:2]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def _panel(axes: Axes, curve: pd.DataFrame, criterion: str, bounds: tuple[float, float]) -> None:
    axes.plot(curve["epoch"], curve["source_validation"], color=_SOURCE, linewidth=1.2)
    axes.plot(curve["epoch"], curve["target_accuracy"], color=_TARGET, linewidth=1.6)
    axes.grid(alpha=0.25)
    if criterion == "source_validation":
        return
    other = axes.twinx()
    other.plot(curve["epoch"], curve[criterion], color=_CRITERION, linestyle=":", linewidth=1.2)
    other.set_yticks([])
    low, high = bounds
    if np.isfinite(low) and np.isfinite(high) and high > low:
        other.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def critical_difference(comparison: Comparison) -> Figure:
    """Average ranks on a line, the best at the left; bars join what Nemenyi's test cannot tell apart (Demšar 2006)."""
    import scikit_posthocs  # noqa: PLC0415  # see reports.statistics.compare

    rows = math.ceil(len(comparison.ranks) / 2) + 3
    figure = Figure(figsize=(8.5, 0.9 + 0.24 * rows), layout="constrained")
    axes = figure.add_subplot()
    ink = matplotlib.rcParams["text.color"]
    scikit_posthocs.critical_difference_diagram(
        comparison.ranks,
        comparison.nemenyi,
        alpha=ALPHA,
        ax=axes,
        label_fmt_left="{label}  {rank:.1f} ",
        label_fmt_right=" {rank:.1f}  {label}",
        label_props={"fontsize": 9},
        elbow_props={"color": ink, "linewidth": 0.7},
        marker_props={"color": _TARGET, "s": 16},
        crossbar_props={"color": _SOURCE, "linewidth": 3},
        text_h_margin=0.02 * len(comparison.ranks),
    )
    axes.set_xlabel("average rank", fontsize=9)
    axes.xaxis.set_label_position("top")
    return figure
