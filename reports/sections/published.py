"""Each method beside the published numbers, pair by pair, with the sources of those numbers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from transfer_sweep.reports import published
from transfer_sweep.reports.document.elements import Block, Fold, Heading, Items, Table
from transfer_sweep.reports.document.text import (
    MISSING,
    OTHER_BACKBONE,
    OTHER_PARAMS,
    OTHER_SETTING,
    SINGLE,
    SINGLE_RUN,
    UNFINISHED,
    backbone_text,
    criterion_name,
    method_title,
    params_text,
    percent,
    seeds,
    signed,
)
from transfer_sweep.reports.published import remark
from transfer_sweep.reports.results import METHOD, MethodKey, dicts
from transfer_sweep.reports.sections import distances
from transfer_sweep.reports.sections.context import Context, Group, References
from transfer_sweep.reports.sections.hyperparameters import ParamSummary, param_summaries
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import ORACLE, criterion_for

PLACE = Place(Part.BACKGROUND, 30)


def blocks(context: Context) -> Iterator[Block]:
    """What a method measured of itself, then a table for each method, then the sources that they name."""
    if not context.with_labels:
        yield from distances.blocks(context)  # which need no target labels
        return
    yield Heading(2, "Beside the published numbers")
    yield (
        "Accuracies and differences in percent. Of several published numbers, the one with our backbone and training "
        "samples stands here, else that of the first paper; of its variants the one with our params, else the best of "
        "those that state none, else the best. Of several replications it is the best plausible one in the same order."
    )
    yield from distances.blocks(context)
    params = param_summaries(context.results)
    for group in context.with_labels:
        if group.of > 1:
            yield Heading(3, group.title)
        without_labels = group.records[group.records["few"] == ""]
        for key in without_labels[METHOD].drop_duplicates().itertuples(index=False, name=None):
            make = partial(table, context, group, key, params[key])
            yield Fold(method_title(key), [context.variants(make)])
    if context.references.texts:
        sources = [f"[{number}] {text}" for text, number in context.references.texts.items()]
        yield Items("Sources of the published numbers:", sources)


def table(context: Context, group: Group, key: MethodKey, params: ParamSummary, chosen_by: str) -> Table:
    """One method beside the published numbers, pair by pair.

    Args:
        context: what the report speaks of; sources of published numbers get their numbers from it.
        group: the numbers that may share a table.
        key: the method.
        params: its params.
        chosen_by: the criterion.
    """
    method, backbone, training, _ = key
    records = group.by(chosen_by)
    records = records[(records[METHOD] == list(key)).all(axis=1)]
    by_criterion = dicts(records[records["selection"] == chosen_by])
    by_oracle = {(r["source"], r["target"]): r for r in dicts(records[records["selection"] == ORACLE])}
    several_epochs = (records["budget"] > 1).any()
    paper = _PublishedColumn("paper", by_criterion, backbone, training, context.references)
    replication = _PublishedColumn("replication", by_criterion, backbone, training, context.references)
    rows = []
    for record in by_criterion:
        oracle = by_oracle[record["source"], record["target"]]
        ours, best = record["target_accuracy_mean"], oracle["target_accuracy_mean"]
        pair = record["target"] if record["source"] == record["target"] else f"{record['source']} → {record['target']}"
        rows.append(
            [
                pair + (UNFINISHED if record["unfinished"] else ""),
                paper.cell(record),
                replication.cell(record),
                percent(ours, record["target_accuracy_std"], 2),
                seeds(record["seeds"]),
                signed(ours - record["paper"], 2),
                percent(best, oracle["target_accuracy_std"], 2) + SINGLE * bool(oracle["single_run"]),
                signed(best - record["paper"], 2),
                percent(oracle["best_over_epochs"] if several_epochs else float("nan"), digits=2),
                params_text(json.loads(record["params"]), params.varied),
                params_text(json.loads(oracle["params"]), params.varied),
            ]
        )
    total = len(by_criterion) > 1
    if total:
        rows.append(_average_row(by_criterion, [by_oracle[r["source"], r["target"]] for r in by_criterion]))
    name = criterion_name(criterion_for(chosen_by, records["family"].iloc[0]))
    headers = [
        "pair",
        f"paper{paper.heading}",
        f"earlier replication{replication.heading}",
        f"ours, by {name}",
        "seeds",
        "− paper",
        "ours, by oracle",
        "− paper",
        "best over epochs (oracle)",
        f"params by {name}",
        "params by oracle",
    ]
    notes = []
    if any(oracle["single_run"] for oracle in by_oracle.values()):
        notes.append(f"{SINGLE} {SINGLE_RUN}")
    if different := list(dict.fromkeys([*paper.settings, *replication.settings])):
        notes.append(
            f"{OTHER_SETTING} measured on other training samples than ours ({'; '.join(different)}): the difference "
            "is not the method's alone."
        )
    if variants := list(dict.fromkeys([*paper.variants, *replication.variants])):
        notes.append(
            f"{OTHER_PARAMS} of a variant with other params than ours ({'; '.join(variants)}): the difference is not "
            "one of implementations alone."
        )
    if paper.other or replication.other:
        others = ", ".join(dict.fromkeys([*paper.other, *replication.other]))
        notes.append(
            f"{OTHER_BACKBONE} measured with {others}, which is trained; ours is {backbone_text(backbone, training)}: "
            "the difference is not the method's alone."
        )
    if params.fixed:
        notes.append(f"The same in every trial: {params.fixed}.")
    if source := context.results.citations.get(method):
        notes.append(f"{method}: {source}.")
    return _without_empty_columns(Table(method_title(key), headers, rows, "lrrrlrrrrll", notes, total=total))


class _PublishedColumn:
    """A column of published values: one reference in the heading where all share it, else one in each cell."""

    def __init__(
        self, kind: str, records: Sequence[Mapping[str, Any]], backbone: str, training: str, references: References
    ) -> None:
        self.kind, self.backbone, self.training = kind, backbone, training
        self.numbers = {
            (r["source"], r["target"]): references.number(
                r[f"{kind}_reference"], r[f"{kind}_backbone"], remark(r[f"{kind}_note"], r[f"{kind}_setting"])
            )
            for r in records
            if not pd.isna(r[kind])
        }
        shared = set(self.numbers.values())
        self.heading = f" [{next(iter(shared))}]" if len(shared) == 1 else ""
        self.other = [r[f"{kind}_backbone"] for r in records if not pd.isna(r[kind]) and self._differs(r)]
        self.settings = [
            f"{remark('', r[f'{kind}_setting'])}, ours {remark('', r['setting'])}"
            for r in records
            if self._other_setting(r)
        ]

        self.variants = [self._variant(r) for r in records if self._variant(r)]

    def _variant(self, record: Mapping[str, Any]) -> str:
        """The params that tell the published variant from ours; empty where none does."""
        others = json.loads(record[f"{self.kind}_params"] or "{}")
        return (
            f"{params_text(others, others)}, ours {params_text(json.loads(record['params']), others)}" if others else ""
        )

    def _differs(self, record: Mapping[str, Any]) -> bool:
        # What is published of networks is of trained ones: our frozen features differ even with the same backbone.
        return bool(record[f"{self.kind}_backbone"] != self.backbone) or self.training == "frozen"

    def _other_setting(self, record: Mapping[str, Any]) -> bool:
        return published.differs(record[f"{self.kind}_setting"], record["setting"])

    def cell(self, record: Mapping[str, Any]) -> str:
        if pd.isna(record[self.kind]):
            return MISSING
        mark = OTHER_BACKBONE * self._differs(record) + OTHER_SETTING * self._other_setting(record)
        mark += OTHER_PARAMS * bool(self._variant(record))
        number = "" if self.heading else f" [{self.numbers[record['source'], record['target']]}]"
        return f"{percent(record[self.kind], digits=2)}{mark}{number}"


def _average_row(by_criterion: Sequence[Mapping[str, Any]], by_oracle: Sequence[Mapping[str, Any]]) -> list[str]:
    def mean(records: Sequence[Mapping[str, Any]], column: str, minus: str | None = None) -> float:
        values: list[float] = [r[column] - (r[minus] if minus else 0.0) for r in records]
        return sum(values) / len(values)

    return [
        "average",
        percent(mean(by_criterion, "paper"), digits=2),
        percent(mean(by_criterion, "replication"), digits=2),
        percent(mean(by_criterion, "target_accuracy_mean"), digits=2),
        "",
        signed(mean(by_criterion, "target_accuracy_mean", "paper"), 2),
        percent(mean(by_oracle, "target_accuracy_mean"), digits=2),
        signed(mean(by_oracle, "target_accuracy_mean", "paper"), 2),
        percent(mean(by_oracle, "best_over_epochs"), digits=2),
        "",
        "",
    ]


def _without_empty_columns(table: Table) -> Table:
    """The table without the columns that hold nothing in any pair's row (no paper has the method, say)."""
    pairs = table.rows[:-1] if table.total else table.rows
    keep = [i for i in range(len(table.headers)) if any(row[i] not in ("", MISSING) for row in pairs)]
    return dataclasses.replace(
        table,
        headers=[table.headers[i] for i in keep],
        rows=[[row[i] for i in keep] for row in table.rows],
        align="".join(table.align[i] for i in keep),
    )
