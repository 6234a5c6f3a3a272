"""Figures of an experiment: accuracies, learning curves, early stopping, hyperparameters and average ranks.

Matplotlib is imported where something is drawn: it takes more than a second, and most reports are read as text.
"""

from __future__ import annotations

import io
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports import selection, statistics
from transfer_sweep.reports.document.elements import Drawing
from transfer_sweep.reports.results import METHOD, Results, dicts
from transfer_sweep.reports.sections.tables import (
    MethodKey,
    criterion_name,
    initials,
    names_of,
    pairs_of,
    short_names,
    value_text,
)
from transfer_sweep.reports.statistics import ALPHA, Comparison, Importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TARGET, _SOURCE, _CRITERION = "#1b6ca8", "#d1802f", "#777777"
_DPI = 110
_COLUMNS = 5
_TICKS = 8  # that a small panel has room for
_INK = "#012345"  # of axes and letters in a page, where it stands for the page's own; nothing else has this colour
_PLAIN: dict[Any, Any] = {"text.parse_math": False}  # a name with dollars is a name
_ON_PAGE = _PLAIN | {
    "svg.fonttype": "none",  # letters stay letters: they are small, can be searched, and are the page's own font
    "svg.hashsalt": "report",
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


def blank(width: float, height: float) -> Figure:
    """An empty figure, its size in inches."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width, height), layout="constrained")


def write(drawing: Drawing, file: Path) -> None:
    """Draw a figure as a PNG file; its folder is made if absent."""
    import matplotlib  # noqa: PLC0415

    with matplotlib.rc_context(_PLAIN):
        save(drawing.draw(), file)


def save(figure: Figure, file: Path) -> None:
    """Save a figure as a PNG file; its folder is made if absent."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # No dates or versions inside: the same results give the same bytes.
    figure.savefig(file, dpi=_DPI, metadata={"Software": None})


def svg(drawing: Drawing) -> str:
    """A figure as an ``<svg>`` element for a page: letters and axes in the page's colour, its names its own."""
    import matplotlib  # noqa: PLC0415

    with matplotlib.rc_context(_ON_PAGE):
        figure = drawing.draw()
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{drawing.name}-", text)


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
    height = 1.1 + 0.34 * len(names) + (0.06 * longest if longest > 8 else 0)
    figure = blank(left + 0.75 * len(labels) + 1.3, height)
    axes = figure.add_subplot()
    image = axes.imshow(cells, cmap="viridis", aspect="auto")
    low, high = np.nanmin(cells), np.nanmax(cells)
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
            dark = value <= low + 0.6 * (high - low)
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=9, color="white" if dark else "black")
    figure.colorbar(image, ax=axes, label="%")
    chosen_by = criterion_name(records["selection"].iloc[0])
    axes.set_title(f"Target accuracy in percent, chosen by {chosen_by}", fontsize=11)
    return figure


def learning_curves(curves: pd.DataFrame, records: pd.DataFrame, criterion: str) -> Figure:
    """Target accuracy, source validation and a criterion over the epochs of the chosen trials, a panel per method.

    A thin line is a pair; a thick one is the mean over pairs, as far as all of them ran. The criterion is the one that
    chose, or, where that one compares trials, the one that stopped them; it has its own scale.

    Args:
        curves: the experiment's, see :class:`transfer_sweep.reports.results.Results`.
        records: the cells to draw.
        criterion: what chose.
    """
    names = names_of(records)
    criterion = selection.stopping_criterion_for(criterion)
    figure, grid = panels(len(names))
    by_trial = dict(list(curves.groupby("trial")))
    for axes, (key, name) in zip(grid, names.items(), strict=True):
        own = records[(records[METHOD] == list(key)).all(axis=1)]
        epochs = pd.concat([by_trial[trial] for trial in own["trial"]])
        shown = ["source_validation", "target_accuracy", criterion]
        _panel(axes, {what: epochs.pivot_table(index="epoch", columns="trial", values=what) for what in shown})
        axes.set_title(name, fontsize=8)
    figure.supylabel("%", fontsize=8)
    figure.supxlabel("epoch", fontsize=8)
    handles = [
        *grid[0].plot([], [], color=_TARGET, label="target accuracy"),
        *grid[0].plot([], [], color=_SOURCE, label="source validation"),
        *grid[0].plot([], [], color=_CRITERION, linestyle=":", label=f"{criterion_name(criterion)} (own scale)"),
    ]
    handles = handles if criterion != "source_validation" else handles[:2]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def _panel(axes: Axes, by_epoch: dict[str, pd.DataFrame]) -> None:
    """Each value's epochs × trials; values other than accuracies are drawn on a scale of their own."""
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    for name, values in by_epoch.items():
        mean = values.dropna().mean(axis="columns")
        color = {"source_validation": _SOURCE, "target_accuracy": _TARGET}.get(name)
        if color is None:
            other = axes.twinx()
            other.set_yticks([])
            other.plot(mean, color=_CRITERION, linestyle=":", linewidth=1.4)
        else:
            axes.plot(values, color=color, linewidth=0.6, alpha=0.5)
            axes.plot(mean, color=color, linewidth=1.8)


def panels(number: int) -> tuple[Figure, list[Axes]]:
    """A figure of small panels, and as many axes as asked for."""
    columns = min(_COLUMNS, number)
    rows = math.ceil(number / columns)
    figure = blank(1.0 + 2.2 * columns, 0.7 + 1.5 * rows)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[number:]:
        axes.set_axis_off()
    return figure, grid[:number]


def stopping(lengths: Mapping[str, Mapping[int, int]]) -> Figure:
    """How long trials ran: a bar per method, in parts by the number of epochs after which its trials ended.

    Args:
        lengths: method → epochs → number of trials.
    """
    from matplotlib import colormaps  # noqa: PLC0415

    epochs = sorted({length for counts in lengths.values() for length in counts})
    figure = blank(8.5, 1.2 + 0.24 * len(lengths))
    axes = figure.add_subplot()
    shades = colormaps["viridis"](np.linspace(0.15, 0.85, len(epochs)))
    names = list(lengths)
    left = np.zeros(len(names))
    for length, shade in zip(epochs, shades, strict=True):
        share = np.array([100 * lengths[name].get(length, 0) / sum(lengths[name].values()) for name in names])
        axes.barh(names, share, left=left, color=shade, height=0.7, label=str(length))
        left += share
    axes.invert_yaxis()
    axes.margins(x=0, y=0.02)
    axes.tick_params(labelsize=9, length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("% of the trials", fontsize=9)
    figure.legend(
        title="ended after epoch", loc="outside right upper", fontsize=8, title_fontsize=8, frameon=False, reverse=True
    )
    return figure


def slices(searched: Mapping[MethodKey, pd.DataFrame], found: Mapping[MethodKey, Importance]) -> Figure:
    """What each param's values gave, a panel for each: target accuracy minus the average of its cell.

    A thin line is a pair, of trials that differ in other params the mean; the thick line is the mean over pairs.

    Args:
        searched: the trials of each method, see :func:`transfer_sweep.reports.sections.tables.searched`.
        found: what the params of each method decided, as :func:`importances` finds it.
    """
    names = short_names(searched)
    figure, grid = panels(sum(len(each.shares) for each in found.values()))
    waiting = iter(grid)
    for key, each in found.items():
        own = searched[key]
        for param in each.shares:
            axes = next(waiting)
            effects = statistics.by_value(own, param, each.values[param])
            places = _scale(axes, each.values[param])
            x = [places[i] for i in effects.index]
            axes.axhline(0, color=_CRITERION, linewidth=0.6)
            axes.plot(x, effects, color=_TARGET, linewidth=0.6, alpha=0.5)
            axes.plot(x, effects.mean(axis="columns"), color=_TARGET, linewidth=1.8, marker="o", markersize=3)
            axes.set_title(f"{names[key]}\n{param}", fontsize=8)
            axes.tick_params(labelsize=7)
            axes.grid(alpha=0.25, axis="y")
    figure.supylabel("points above the average of the cell", fontsize=8)
    return figure


def _scale(axes: Axes, values: Sequence[object]) -> Sequence[float]:
    """Set up the horizontal axis for a param's values; returns where each stands."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    labels = [value_text(value) for value in values]
    if len(numbers) < len(values):
        axes.set_xticks(range(len(values)), labels)
        axes.margins(x=0.15)
        return range(len(values))
    if min(numbers) > 0 and max(numbers) >= 8 * min(numbers):
        axes.set_xscale("log")
    if len(numbers) <= _TICKS:
        axes.set_xticks(numbers, labels)
        axes.minorticks_off()
    return numbers


def critical_difference(comparison: Comparison) -> Figure:
    """Average ranks on a line, the best at the left; bars join what Nemenyi's test cannot tell apart (Demšar 2006)."""
    import scikit_posthocs  # noqa: PLC0415
    from matplotlib import rcParams  # noqa: PLC0415

    rows = math.ceil(len(comparison.ranks) / 2) + 3
    figure = blank(8.5, 0.9 + 0.24 * rows)
    axes = figure.add_subplot()
    ink = rcParams["text.color"]
    drawn = scikit_posthocs.critical_difference_diagram(
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
    for bar in (bar for bars in drawn["crossbars"] for bar in bars):
        bar.set_xdata(sorted(bar.get_xdata()))  # they come in the order of a set, another one in each process
    axes.set_xlabel("average rank", fontsize=9)
    axes.xaxis.set_label_position("top")
    return figure


def with_distances(results: Results) -> pd.DataFrame:
    """The records of the chosen trials for which both proxy A-distances were measured."""
    if "pad_representation" not in results.records:
        return results.records.head(0)
    records = results.records[results.records["selection"] == results.criterion]
    return records.dropna(subset=["pad_input", "pad_representation"])


def distances(measured: pd.DataFrame) -> Figure:
    """Proxy A-distance of representations over that of raw inputs, a point a cell.

    As figure 3 of Ganin et al. 2016: below the diagonal, the representation hides the domain better than the inputs.
    What was made of the inputs before (mSDA) counts as representation: the axis is that of the untouched inputs.

    Args:
        measured: see :func:`with_distances`.
    """
    untouched = measured.groupby(["source", "target"])["pad_input"].first()
    short = initials([*measured["source"], *measured["target"]])
    figure = blank(6.4, 4.6)
    axes = figure.add_subplot()
    points = [
        (f"{method}, {backbone}", own, "pad_representation")
        for (method, backbone), own in measured.groupby(["method", "backbone"], sort=False)
    ]
    first = measured["backbone"].iloc[0]
    points += [
        (f"{backbone} itself", own.drop_duplicates(["source", "target"]), "pad_input")
        for backbone, own in measured.groupby("backbone", sort=False)
        if backbone != first
    ]
    for marker, (label, own, column) in zip(itertools.cycle("os^vDPX"), points):
        across = [untouched[s, t] for s, t in zip(own["source"], own["target"], strict=True)]
        axes.scatter(across, own[column], marker=marker, s=28, label=label)
        for x, record in zip(across, dicts(own), strict=True):
            name = f"{short[record['source']]}→{short[record['target']]}"
            axes.annotate(name, (x, record[column]), fontsize=6, xytext=(3, 2), textcoords="offset points")
    low, high = untouched.min() - 0.05, 2.0
    axes.plot([low, high], [low, high], color=_CRITERION, linewidth=0.8, linestyle=":")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 2.05)
    axes.set_xlabel(f"PAD of {first}")
    axes.set_ylabel("PAD of the representation")
    axes.legend(fontsize=7, frameon=False, loc="lower left")
    return figure


def answers(pictures: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8], str, float]]) -> Figure:
    """Pictures that a model classified, with what it saw of them.

    Args:
        pictures: of each (h, w, 3) the picture, (h, w) or (h, w, 3) what the model saw, the label and its
            confidence in percent.
    """
    columns = min(_COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure = blank(2.6 * columns, 1.75 * rows)
    grid = figure.subplots(rows, 2 * columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for index, (picture, seen, label, confidence) in enumerate(pictures):
        left, right = (grid[index // columns, 2 * (index % columns) + side] for side in (0, 1))
        left.imshow(picture)
        right.imshow(seen, cmap="gray", vmin=0, vmax=255)
        left.set_title(label, fontsize=13, fontweight="bold")
        right.set_title(f"{confidence:.0f} %", fontsize=9)
    return figure
