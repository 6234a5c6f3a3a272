"""Learning curves of the chosen trials: accuracies and the criterion over the epochs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from transfer_sweep.reports import selection
from transfer_sweep.reports.document.elements import Block, Drawing, Heading
from transfer_sweep.reports.document.plotting import OTHER, SOURCE, TARGET, panels
from transfer_sweep.reports.document.text import criterion_name, names_of
from transfer_sweep.reports.results import Results, by_method
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLACE = Place(Part.BACKGROUND, 40)

_COLORS = {"source_validation": SOURCE, "target_accuracy": TARGET}


def blocks(context: Context) -> Iterator[Block]:
    """A figure for each group; nothing where no chosen trial ran for more than one epoch."""
    learned = [(group, with_epochs(context.results, group.all_records)) for group in context.groups]
    accuracy = ", target accuracy" if context.results.curves["target_accuracy"].notna().any() else ""
    if any(not records.empty for _, records in learned):
        yield Heading(2, "Learning curves")
    for group, records in learned:
        if not records.empty:
            yield Drawing(
                group.figure_name("learning_curves"),
                "Learning curves of the chosen trials",
                f"Source validation{accuracy} and the criterion over the epochs, for each method and pair.",
                partial(_drawn, context.results, records),
            )


@dataclass(frozen=True)
class Curves:
    """What a method's chosen trials recorded over their epochs.

    Attributes:
        name: the method's.
        values: what was recorded → epochs × trials; target accuracy is missing where no target has labels.
    """

    name: str
    values: dict[str, pd.DataFrame]


def with_epochs(results: Results, group: pd.DataFrame) -> pd.DataFrame:
    """The records of a group whose chosen trials ran for more than one epoch, on a pair."""
    records = group[group["selection"] == results.criterion]
    lengths = results.curves.groupby("trial").size()
    return records[(records["trial"].map(lengths).fillna(0) > 1) & (records["source"] != records["target"])]


def curves(results: Results, records: pd.DataFrame) -> list[Curves]:
    """The curves of each method.

    Args:
        results: the experiment.
        records: the cells to show, see :func:`with_epochs`.
    """
    shown = ["source_validation", "target_accuracy", selection.stopping_criterion_for(results.criterion)]
    by_trial = dict(list(results.curves.groupby("trial")))
    names, found = names_of(records), []
    for key, rows in by_method(records):
        epochs = pd.concat([by_trial[trial] for trial in rows["trial"]])
        values = {what: epochs.pivot_table(index="epoch", columns="trial", values=what) for what in shown}
        found.append(Curves(names[key], {what: each for what, each in values.items() if not each.empty}))
    return found


def _drawn(results: Results, records: pd.DataFrame) -> Figure:
    return draw(curves(results, records), selection.stopping_criterion_for(results.criterion))


def draw(shown: list[Curves], criterion: str) -> Figure:
    """Target accuracy, source validation and a criterion over the epochs, a panel per method.

    A thin line is a pair; a thick one is the mean over pairs, as far as all of them ran.

    Args:
        shown: the curves.
        criterion: the one that chose, or, where that one compares trials, the one that stopped them; it has a scale
            of its own.
    """
    figure, grid = panels(len(shown))
    for axes, each in zip(grid, shown, strict=True):
        _panel(axes, each)
    figure.supylabel("%", fontsize=8)
    figure.supxlabel("epoch", fontsize=8)
    handles = [
        *grid[0].plot([], [], color=SOURCE, label="source validation"),
        *grid[0].plot([], [], color=OTHER, linestyle=":", label=f"{criterion_name(criterion)} (own scale)"),
    ]
    handles = handles if criterion != "source_validation" else handles[:1]
    if any("target_accuracy" in each.values for each in shown):
        handles = [*grid[0].plot([], [], color=TARGET, label="target accuracy"), *handles]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=8, frameon=False)
    return figure


def _panel(axes: Axes, curves: Curves) -> None:
    """One method; values other than accuracies are drawn on a scale of their own."""
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    for name, values in curves.values.items():
        mean = values.dropna().mean(axis="columns")
        if name in _COLORS:
            axes.plot(values, color=_COLORS[name], linewidth=0.6, alpha=0.5)
            axes.plot(mean, color=_COLORS[name], linewidth=1.8)
        else:
            other = axes.twinx()
            other.set_yticks([])
            other.plot(mean, color=OTHER, linestyle=":", linewidth=1.4)
    axes.set_title(curves.name, fontsize=8)
