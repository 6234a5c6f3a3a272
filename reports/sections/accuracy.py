"""What the methods reach: target accuracy, methods × pairs, as a table and as a heat map.

Methods that see target labels stand in tables of their own and are never ranked among the rest.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports.document.elements import Block, Cell, Drawing, Heading, Table
from transfer_sweep.reports.document.plotting import blank
from transfer_sweep.reports.document.text import (
    MISSING,
    SINGLE,
    SINGLE_RUN,
    UNFINISHED,
    average,
    backbone_text,
    beside_labels,
    criterion_name,
    legend,
    names_of,
    params_text,
    percent,
    seeds,
    short_pairs,
    signed,
)
from transfer_sweep.reports.published import remark
from transfer_sweep.reports.results import METHOD, MethodKey, by_method, in_pairs, pairs_of
from transfer_sweep.reports.sections.context import Context, Group
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import ORACLE, by_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACE = Place(Part.RESULTS, 10)

_SEEING = {
    "target_train": "methods that see all other target labels (bounds, not competitors), ",
    "few": "methods that see a few target labels, ",
}


def blocks(context: Context) -> Iterator[Block]:
    """The matrix by each way of choosing, its heat map, and the methods that see target labels."""
    criterion = context.results.criterion
    for group in context.with_labels:
        yield Heading(2, "Results" + (f": {group.title}" if group.of > 1 else ""))
        yield context.variants(partial(matrix, group), offered=[ORACLE], printed=[ORACLE])
        if pairs_of(group.records):
            yield Drawing(
                group.figure_name("accuracy"),
                f"Target accuracy in percent, chosen by {criterion_name(criterion)}",
                "The numbers of the table above, as a heat map.",
                partial(_drawn, group.records, criterion),
                on_page=False,
            )
        bounds = matrix(group, criterion, access="target_train")
        if bounds is not None:
            yield bounds


def matrix(group: Group, chosen_by: str, access: str = "none") -> Table | None:
    """Methods × pairs: target accuracy in percent, with an average.

    Args:
        group: the numbers that may share a table.
        chosen_by: the criterion, or ``oracle``.
        access: which target labels the methods see; those that see none are ranked, the best of each column in bold.
    """
    pairs, ranked = pairs_of(group.by(chosen_by)), access == "none"
    records = group.chosen(chosen_by, access)
    if records.empty or not pairs:
        return None
    seen = [] if ranked else ["target labels"]
    partly = group.choices.results.partly_labelled
    names = [
        f"{name} (of {partly[target].labelled:,} labelled samples)" if target in partly else name
        for name, (_, target) in zip(short_pairs(pairs), pairs, strict=True)
    ]
    headers = ["method", "backbone", *seen, *names, "average"]
    methods = by_method(records)
    means = [[_mean(cell) for cell in in_pairs(rows, pairs)] for _, rows in methods]
    places = _places(means, _single_runs(methods, pairs)) if ranked else [[0] * (len(pairs) + 1) for _ in methods]
    rows: list[list[Cell | str]] = []
    for ((method, backbone, training, few), found), values, place in zip(methods, means, places, strict=True):
        row: list[Cell | str] = [method, backbone_text(backbone, training)]
        if not ranked:
            row.append(few or "all but those scored (upper bound)")
        for cell, value, at in zip(in_pairs(found, pairs), values, place[:-1], strict=True):
            row.append(MISSING if cell is None else _accuracy_cell(cell, value, at))
        complete = sum(values) / len(values)
        single = SINGLE * bool(found["single_run"].any())
        rows.append([*row, Cell(average(values) + single, place[-1], complete)])
    notes = [*legend(pairs), *group.averaged_over(pairs)]
    if records["unfinished"].any():
        notes.append(f"{UNFINISHED} the search of this cell is not finished.")
    if records["single_run"].any():
        notes.append(f"{SINGLE} {SINGLE_RUN}")
    if by_labels(chosen_by):
        notes.append(beside_labels(chosen_by))
    how = "the oracle (best target accuracy; for reporting only)" if chosen_by == ORACLE else criterion_name(chosen_by)
    caption = f"Target accuracy in percent, {_SEEING.get(access, '')}chosen by {how}"
    align = "ll" + "l" * len(seen) + "r" * (len(pairs) + 1)
    return Table(caption, headers, rows, align, notes, shaded=ranked)


def _accuracy_cell(record: Mapping[str, Any], value: float, place: int) -> Cell:
    marks = SINGLE * bool(record["single_run"]) + UNFINISHED * bool(record["unfinished"])
    text = percent(value, record["target_accuracy_std"]) + marks
    return Cell(text, place, value, _details(record))


def _details(record: Mapping[str, Any]) -> list[str]:
    """What stands behind an accuracy: the runs, and the published numbers with their sources."""
    runs = seeds(record["seeds"]) if record["seeds"] == 1 else f"{record['seeds']} seeds"
    lines = [f"{runs}, epoch {record['epoch']} of {record['budget']}"]
    for kind, name in (("paper", "paper"), ("replication", "earlier replication")):
        if not pd.isna(record[kind]):
            difference = signed(record["target_accuracy_mean"] - record[kind], 2)
            trained = remark("", record[f"{kind}_setting"])
            others = json.loads(record[f"{kind}_params"])
            about = (record[f"{kind}_backbone"], trained, params_text(others, others), record[f"{kind}_reference"])
            source = ", ".join(filter(None, about))
            lines.append(f"{name} {percent(record[kind], digits=2)} ({difference}): {source}")
    return lines


def _single_runs(
    methods: Sequence[tuple[MethodKey, pd.DataFrame]], pairs: Sequence[tuple[str, str]]
) -> NDArray[np.bool_]:
    """(methods, pairs) which accuracies are single runs beside means over seeds."""
    return np.array([[bool(cell and cell["single_run"]) for cell in in_pairs(rows, pairs)] for _, rows in methods])


def _places(means: Sequence[Sequence[float]], left_out: NDArray[np.bool_]) -> list[list[int]]:
    """1 for the best of each column as it is printed, 2 for the second, else 0; of the averages, too.

    Args:
        means: an accuracy for each method and pair. A column that fewer than two methods have is not ranked, nor is
            an average over some of the pairs.
        left_out: (methods, pairs) which of them are not ranked, nor the averages over them.
    """
    printed = np.array([[float(f"{value:.1f}") for value in (*row, sum(row) / len(row))] for row in means])
    printed[np.column_stack([left_out, left_out.any(axis=1)])] = np.nan
    places = np.zeros(printed.shape, dtype=int)
    for column, place in zip(printed.T, places.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known) > 1:
            for number, value in enumerate(np.unique(known)[:-3:-1], start=1):
                place[column == value] = number
    return [[int(place) for place in row] for row in places]


def _mean(cell: Mapping[str, Any] | None) -> float:
    return math.nan if cell is None else float(cell["target_accuracy_mean"])


# --- the heat map ---


@dataclass(frozen=True)
class HeatMap:
    """What the heat map shows.

    Attributes:
        methods: names of the rows.
        columns: pairs, then the average over them.
        accuracies: (methods, columns) in percent; NaN where a method did not run, or not on every pair.
        ranked: of each method, whether it sees no target labels.
        chosen_by: what chose the trials.
    """

    methods: list[str]
    columns: list[str]
    accuracies: NDArray[np.float64]
    ranked: list[bool]
    chosen_by: str


def heat_map(records: pd.DataFrame, chosen_by: str) -> HeatMap:
    """The accuracies of a group's methods without few labels, by one way of choosing."""
    records = records[(records["selection"] == chosen_by) & (records["few"] == "")]
    pairs = pairs_of(records)
    accuracies = np.array([[_mean(cell) for cell in in_pairs(rows, pairs)] for _, rows in by_method(records)])
    return HeatMap(
        list(names_of(records).values()),
        [*short_pairs(pairs), "average"],
        np.column_stack([accuracies, accuracies.mean(axis=1)]),
        (records.drop_duplicates(METHOD)["label_access"] == "none").tolist(),
        chosen_by,
    )


def _drawn(records: pd.DataFrame, chosen_by: str) -> Figure:
    return draw(heat_map(records, chosen_by))


def draw(shown: HeatMap) -> Figure:
    """A square per method and pair, the average apart."""
    methods, labels, cells = shown.methods, shown.columns, shown.accuracies
    longest = max(len(label) for label in labels)
    left = 0.4 + 0.085 * max(len(name) for name in methods)
    height = 1.1 + 0.34 * len(methods) + (0.06 * longest if longest > 8 else 0)
    figure = blank(left + 0.75 * len(labels) + 1.3, height)
    axes = figure.add_subplot()
    image = axes.imshow(cells, cmap="viridis", aspect="auto")
    low, high = np.nanmin(cells), np.nanmax(cells)
    axes.set_xticks(
        range(len(labels)), labels, rotation=30 if longest > 8 else 0, ha="right" if longest > 8 else "center"
    )
    axes.set_yticks(range(len(methods)), methods)
    axes.axvline(len(labels) - 1.5, color="white", linewidth=3)
    for i, (above, below) in enumerate(itertools.pairwise(shown.ranked)):
        if above != below:  # methods that see target labels are not to be compared with the rest
            axes.axhline(i + 0.5, color="white", linewidth=3)
    axes.tick_params(length=0)
    for (i, j), value in np.ndenumerate(cells):
        if np.isfinite(value):
            dark = value <= low + 0.6 * (high - low)
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=9, color="white" if dark else "black")
    figure.colorbar(image, ax=axes, label="%")
    axes.set_title(f"Target accuracy in percent, chosen by {criterion_name(shown.chosen_by)}", fontsize=11)
    return figure
