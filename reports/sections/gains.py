"""What adaptation gains over ``source_only``, how much of the way to ``target_only`` that is, and what is its own.

A method whose batch norm sees target samples gains by these statistics alone. Its control is ``source_only`` (``adabn``
where predictions are made with the target's statistics alone) with the same statistics and shared hyperparameters: what
the control gains is batch norm's, the rest is the method's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from transfer_sweep.reports.document.elements import Block, Table
from transfer_sweep.reports.document.text import (
    MISSING,
    SINGLE,
    SINGLE_RUN,
    backbone_text,
    criterion_name,
    interval,
    legend,
    method_text,
    names_of,
    share,
    short_pairs,
    signed,
)
from transfer_sweep.reports.results import by_method, dicts, in_pairs, pairs_of
from transfer_sweep.reports.sections import discriminators
from transfer_sweep.reports.sections.context import Context, Group
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import ORACLE

PLACE = Place(Part.RESULTS, 20)

ADABN = "adabn"
"""The control of methods that predict with the target's batch-norm statistics; the others' is ``source_only``."""

TOTAL = ("gain_over_source_only", "gap_closed_percent", "Gain over source_only")
"""A gain, the share of the gap that it closes, and its name."""
OWN = (
    "gain_by_method",
    "gap_closed_by_method_percent",
    "Gain of the method itself, over its control with the same batch-norm statistics,",
)


def blocks(context: Context) -> Iterator[Block]:
    """The tables by each way of choosing: all that is gained, the method's own part, and methods without one."""
    for group in context.with_labels:
        yield context.variants(partial(table, group), offered=[ORACLE])
        if context.results.controls.accuracies is not None:
            yield context.variants(partial(table, group, part=OWN), offered=[ORACLE])
            warning = below_control(context, group)
            if warning:
                yield warning


def table(group: Group, chosen_by: str, part: tuple[str, str, str] = TOTAL) -> Table | None:
    """Gain over ``source_only`` on the same backbone, and the share of the gap to ``target_only`` that it closes.

    Args:
        group: the numbers that may share a table.
        chosen_by: the criterion, or ``oracle``.
        part: :data:`TOTAL`, or :data:`OWN`.
    """
    gained, closed, name = part
    pairs = pairs_of(group.by(chosen_by))
    records = group.chosen(chosen_by)
    records = records[records[gained].notna()]
    if records.empty:
        return None
    rows = []
    for (method, backbone, training, few), found in by_method(records):
        cells = in_pairs(found, pairs)
        texts = [MISSING if cell is None else _gain(cell[gained], cell[closed], _mark(cell)) for cell in cells]
        known = [cell for cell in cells if cell is not None]
        over = "" if len(known) == len(pairs) else f" ({len(known)} of {len(pairs)})"
        average = _gain(_mean([c[gained] for c in known]), _mean([c[closed] for c in known]), _mark(*known))
        rows.append([method_text(method, few), backbone_text(backbone, training), *texts, average + over])
    caption = f"{name} in points" + (
        ", and the share of the gap between source_only and target_only that it closes"
        if records[closed].notna().any()
        else ""
    )
    notes = [*legend(pairs), *group.averaged_over(pairs)]
    if part is OWN:
        notes += about_controls(records)
    if part is OWN and not records["needs_control"].all():
        notes.append("Where batch norm sees the source alone, or there is none, the whole gain is the method's.")
    if records[closed].notna().any() and records[closed].isna().any():
        notes.append("An average has a share where each of its pairs has one.")
    if records["single_run"].any():
        notes.append(f"{SINGLE} {SINGLE_RUN}")
    return Table(
        f"{caption}, chosen by {'the oracle' if chosen_by == ORACLE else criterion_name(chosen_by)}",
        ["method", "backbone", *short_pairs(pairs), "average"],
        rows,
        "ll" + "r" * (len(pairs) + 1),
        notes,
    )


def about_controls(records: pd.DataFrame) -> list[str]:
    """What controls share with their methods, and which are controls of another kind; nothing where there are none."""
    if not records["control"].any():
        return []
    notes = [
        "A control shares the hyperparameters of every deep method and the batch-norm statistics, and nothing else: "
        "balanced batches, augmentation or several updates in a step count as the method's."
    ]
    names = names_of(records)
    found = by_method(records[records["control"] == ADABN])
    if itself := [names[key] for key, _ in found if key[0] == ADABN]:
        notes.append(f"What {itself[0]} gains is batch norm's by definition: it is its own control.")
    if by_target := [names[key] for key, _ in found if key[0] != ADABN]:
        notes.append(
            f"The control of {', '.join(by_target)} is {ADABN}: predictions are made with the target's batch-norm "
            "statistics alone."
        )
    return notes


def _gain(points: float, closed: float, mark: str) -> str:
    return signed(points) + mark + ("" if math.isnan(closed) else f" ({share(closed / 100)})")


def _mark(*records: Mapping[str, Any]) -> str:
    return SINGLE * any(record["single_run"] for record in records)


def _mean(values: Sequence[float]) -> float:
    """NaN where one of them is: an average is over the pairs beside it, or there is none."""
    return sum(values) / len(values) if values else math.nan


def below_control(context: Context, group: Group) -> str:
    """The methods that are worse than their controls; empty where there are none."""
    records = group.chosen(context.results.criterion)
    records = records[records["needs_control"] & records["gain_by_method"].notna()]
    names, pairs = names_of(records), pairs_of(group.records)
    short = dict(zip(pairs, short_pairs(pairs), strict=True))
    lost = discriminators.won(context.results, records)
    texts = []
    for key, found in by_method(records):
        own = group.gains[names[key]].own if names[key] in group.gains else None
        if own is None or own.mean >= 0:
            continue
        each = ", ".join(f"{short[r['source'], r['target']]} {signed(r['gain_by_method'])}" for r in dicts(found))
        over, found_interval = ("pairs", own.over_pairs) if own.over_pairs else ("seeds", own.over_seeds)
        between = f"95 % interval over {over} {interval(found_interval)}; " if found_interval else ""
        why = [short[r["source"], r["target"]] for r in dicts(lost) if r["trial"] in set(found["trial"])]
        because = f"; its discriminator has won on {', '.join(why)}" if why else ""
        texts.append(f"**{names[key]}** {signed(own.mean)} ({between}{each}{because})")
    if not texts:
        return ""
    return (
        "Below their control with the same batch-norm statistics and shared hyperparameters, by so many points on "
        f"average: {'; '.join(texts)}. What these methods gain over source_only, batch norm alone gives."
    )
