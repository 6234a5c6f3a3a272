"""What adaptation gains over ``source_only``, and how much of the way to ``target_only`` that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from transfer_sweep.reports.document.elements import Block, Table
from transfer_sweep.reports.document.text import (
    MISSING,
    backbone_text,
    criterion_name,
    legend,
    method_text,
    share,
    short_pairs,
    signed,
)
from transfer_sweep.reports.results import by_method, in_pairs, pairs_of
from transfer_sweep.reports.sections.context import Context, Group
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import ORACLE

PLACE = Place(Part.RESULTS, 20)


def blocks(context: Context) -> Iterator[Block]:
    """The table by each way of choosing."""
    for group in context.with_labels:
        yield context.variants(partial(table, group), offered=[ORACLE])


def table(group: Group, chosen_by: str) -> Table | None:
    """Gain over ``source_only`` on the same backbone, and the share of the gap to ``target_only`` that it closes.

    Args:
        group: the numbers that may share a table.
        chosen_by: the criterion, or ``oracle``.
    """
    pairs = pairs_of(group.by(chosen_by))
    records = group.chosen(chosen_by)
    records = records[records["gain_over_source_only"].notna()]
    if records.empty:
        return None
    rows = []
    for (method, backbone, training, few), found in by_method(records):
        cells = in_pairs(found, pairs)
        texts = [MISSING if cell is None else _gain(cell) for cell in cells]
        known = [cell for cell in cells if cell is not None]
        gain = sum(cell["gain_over_source_only"] for cell in known) / len(known)
        closed = [cell["gap_closed_percent"] for cell in known if not math.isnan(cell["gap_closed_percent"])]
        average = {
            "gain_over_source_only": gain,
            "gap_closed_percent": sum(closed) / len(closed) if closed else math.nan,
        }
        part = "" if len(known) == len(pairs) else f" ({len(known)} of {len(pairs)})"
        rows.append([method_text(method, few), backbone_text(backbone, training), *texts, _gain(average) + part])
    with_gap = records["gap_closed_percent"].notna().any()
    caption = "Gain over source_only in points" + (
        ", and the share of the gap between source_only and target_only that it closes" if with_gap else ""
    )
    return Table(
        f"{caption}, chosen by {'the oracle' if chosen_by == ORACLE else criterion_name(chosen_by)}",
        ["method", "backbone", *short_pairs(pairs), "average"],
        rows,
        "ll" + "r" * (len(pairs) + 1),
        [*legend(pairs), *group.averaged_over(pairs)],
    )


def _gain(cell: Mapping[str, Any]) -> str:
    gap = cell["gap_closed_percent"]
    closed = "" if math.isnan(gap) else f" ({share(gap / 100)})"
    return signed(cell["gain_over_source_only"]) + closed
