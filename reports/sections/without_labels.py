"""What there is to see of methods on targets without labels: criteria, agreement, predicted classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from transfer_sweep.reports import recommendation, selection
from transfer_sweep.reports.document.elements import Block, Cell, Heading, Table
from transfer_sweep.reports.document.text import (
    MISSING,
    UNFINISHED,
    backbone_text,
    criterion_name,
    legend,
    method_text,
    percent,
    short_pairs,
)
from transfer_sweep.reports.recommendation import Choice
from transfer_sweep.reports.results import by_method, in_pairs, pairs_of
from transfer_sweep.reports.sections.context import Context, Group
from transfer_sweep.reports.sections.recommendation import predicted_text
from transfer_sweep.reports.sections.registry import Part, Place

PLACE = Place(Part.RESULTS, 5)


def blocks(context: Context) -> Iterator[Block]:
    """Methods × pairs: the criterion, agreement and predicted classes; nothing where all targets have labels."""
    for group in context.groups:
        if group.without_labels(context.results.criterion).empty:
            continue
        title = "Without target labels" if context.with_labels else "Results without target labels"
        yield Heading(2, title + (f": {group.title}" if group.of > 1 else ""))
        yield context.variants(partial(criteria, group))
        yield context.variants(partial(agreement, group))
        yield context.variants(partial(predicted, group))


def criteria(group: Group, chosen_by: str) -> Table | None:
    """Methods × pairs: what chooses, of each chosen trial.

    Args:
        group: the numbers that may share a table.
        chosen_by: the criterion.
    """

    def text(record: Mapping[str, Any]) -> str:
        value, collapsed = selection.unguarded(record["score"])
        return percent(value, digits=3) + " (collapsed)" * collapsed + UNFINISHED * bool(record["unfinished"])

    caption = f"{criterion_name(chosen_by).capitalize()} of the trials that it chose, on targets without labels"
    notes = ["Values of one method can be compared with each other, those of methods of two families cannot."]
    if chosen_by in selection.RANKED:
        notes = ["A mean of ranks, as shares, inside each cell: no two methods can be compared by it."]
    return _table(group, chosen_by, caption, text, notes)


def agreement(group: Group, chosen_by: str) -> Table | None:
    """Methods × pairs: on how many target samples a method predicts what others do.

    Args:
        group: the numbers that may share a table.
        chosen_by: the criterion.
    """
    found = _choices(group, chosen_by)
    if all(math.isnan(choice.agreement) for choice in found.values()):
        return None
    return _table(
        group,
        chosen_by,
        f"Agreement of methods in percent of target samples, chosen by {criterion_name(chosen_by)}",
        lambda record: percent(found[record["id"]].agreement) if record["id"] in found else MISSING,
        ["With the prediction of another method's chosen trial, the mean over the others that saw no target label."],
    )


def predicted(group: Group, chosen_by: str) -> Table | None:
    """Methods × pairs: how many of the classes a method predicts.

    Args:
        group: the numbers that may share a table.
        chosen_by: the criterion.
    """
    found = _choices(group, chosen_by)
    return _table(
        group,
        chosen_by,
        f"Classes that are predicted at least once, chosen by {criterion_name(chosen_by)}",
        lambda record: predicted_text(found[record["id"]]) if record["id"] in found else MISSING,
        [],
    )


def _choices(group: Group, chosen_by: str) -> dict[str, Choice]:
    ranked = recommendation.rankings(group.choices.by(chosen_by))
    return {choice.row["id"]: choice for ranking in ranked.values() for choice in ranking.choices}


def _table(
    group: Group, chosen_by: str, caption: str, text: Callable[[Mapping[str, Any]], str], notes: list[str]
) -> Table | None:
    records = group.without_labels(chosen_by)
    pairs = pairs_of(records)
    rows: list[list[Cell | str]] = [
        [
            method_text(method, few),
            backbone_text(backbone, training),
            *(MISSING if cell is None else text(cell) for cell in in_pairs(found, pairs)),
        ]
        for (method, backbone, training, few), found in by_method(records)
    ]
    if not rows or not pairs:
        return None
    if records["unfinished"].any():
        notes = [*notes, f"{UNFINISHED} the search of this cell is not finished."]
    headers = ["method", "backbone", *short_pairs(pairs)]
    return Table(caption, headers, rows, "ll" + "r" * len(pairs), [*legend(pairs), *notes])
