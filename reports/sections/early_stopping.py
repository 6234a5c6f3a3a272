"""How early stopping went: what it saved, what it lost, and after how many epochs trials ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from transfer_sweep.reports.document.elements import Block, Drawing, Heading
from transfer_sweep.reports.document.plotting import blank
from transfer_sweep.reports.document.text import counted, criterion_name, names_of
from transfer_sweep.reports.ledger.records import FINISHED, TrialState
from transfer_sweep.reports.results import METHOD, Results, dicts
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import CELL, ORACLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACE = Place(Part.BACKGROUND, 60)


def blocks(context: Context) -> Iterator[Block]:
    """A sentence and a figure; nothing where no trial was stopped."""
    found = stopping(context.results) if context.groups else None
    if found is None:
        return
    yield Heading(2, "How early stopping went")
    yield _prose(found, context.results.criterion)
    yield Drawing(
        "early_stopping",
        "After how many epochs the trials of the search ended",
        "A bar per method, in parts by the number of epochs: stopped early at the left, whole runs at the right.",
        partial(draw, found.lengths),
    )


@dataclass(frozen=True)
class Stopping:
    """What early stopping did to the trials of the search that ended.

    Attributes:
        lengths: method → epochs → number of trials that ended after so many.
        ended: trials that could have been stopped.
        stopped: those that were.
        saved: share of all their epochs that was not run, in percent.
        cells: number of cells with stopped trials.
        labelled: how many of these have target labels.
        lost: number of cells where a stopped trial has the best target accuracy at its last epoch.
        chosen: number of cells where the criterion chose a stopped trial.
    """

    lengths: dict[str, dict[int, int]]
    ended: int
    stopped: int
    saved: float
    cells: int
    labelled: int
    lost: int
    chosen: int


def stopping(results: Results) -> Stopping | None:
    """How early stopping went; None where no trial was stopped."""
    trials = results.trials[(results.trials["role"] == "search") & (results.trials["budget"] > 1)]
    ended = trials[trials["state"].isin(FINISHED)].join(
        results.candidates.set_index("id")[["epochs_spent"]], on="id", how="inner"
    )
    stopped = ended[ended["state"] == TrialState.STOPPED]
    if stopped.empty:
        return None
    cells = stopped[CELL].drop_duplicates()
    full, spent = int(ended["budget"].sum()), int(ended["epochs_spent"].sum())
    names = names_of(ended)
    lengths: dict[str, dict[int, int]] = {name: {} for name in names.values()}
    for row in dicts(ended.groupby([*METHOD, "epochs_spent"], sort=False).size().reset_index(name="trials")):
        key = (row["method"], row["backbone"], row["training"], row["few"])
        lengths[names[key]][int(row["epochs_spent"])] = row["trials"]

    def chosen(by: str) -> int:
        return len(set(results.records.loc[results.records["selection"] == by, "trial"]) & set(stopped["id"]))

    return Stopping(
        lengths,
        len(ended),
        len(stopped),
        100 * (full - spent) / full,
        len(cells),
        int((~cells["target"].isin(results.unlabelled)).sum()),
        chosen(ORACLE),
        chosen(results.criterion),
    )


def _prose(found: Stopping, criterion: str) -> str:
    lost = ""
    if found.labelled:
        among = "" if found.labelled == found.cells else f"of the {found.labelled} with target labels "
        lost = f"{among}{found.lost} have the best target accuracy (oracle) at the last epoch of a stopped one; "
    return (
        f"{found.stopped} of {counted(found.ended, 'trial')} that could be stopped early were, which saved "
        f"{found.saved:.0f} % of their epochs. Of {counted(found.cells, 'cell')} with stopped trials, {lost}"
        f"{criterion_name(criterion)} chose a stopped one in {found.chosen}."
    )


def draw(lengths: dict[str, dict[int, int]]) -> Figure:
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
