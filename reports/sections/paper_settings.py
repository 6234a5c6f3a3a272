"""Methods whose papers fixed their params on this data set: what those give here, beside what the papers print."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from transfer_sweep.reports import published, selection
from transfer_sweep.reports.document.elements import Block, Table
from transfer_sweep.reports.document.text import legend, method_title, params_text, percent, short_pairs, signed
from transfer_sweep.reports.results import GROUP, by_method, in_pairs, pairs_of
from transfer_sweep.reports.sections.context import Context, Group, References
from transfer_sweep.reports.sections.registry import Part, Place

PLACE = Place(Part.RESULTS, 15)


def blocks(context: Context) -> Iterator[Block]:
    """A table for each group in which a trial has the params that its paper fixed."""
    for group in context.with_labels:
        found = table(group, context.references)
        if found is not None:
            yield found


def table(group: Group, references: References) -> Table | None:
    """Ours at the papers' settings, the published number, and the difference, methods × pairs.

    Only numbers with the same backbone stand here: with another one, the setting is not the paper's.

    Args:
        group: the numbers that may share a table.
        references: sources of published values, which get their numbers from it.
    """
    results, pairs = group.choices.results, pairs_of(group.records)
    first = group.records.iloc[0]
    fixed: Mapping[str, Mapping[str, Any]] = {
        method: of_method[first["dataset"]]
        for method, of_method in results.experiment.get("paper_settings", {}).items()
        if first["dataset"] in of_method
    }
    candidates = results.candidates[(results.candidates[GROUP] == first[GROUP]).all(axis=1)]
    candidates = candidates[(candidates["few"] == "") & candidates["method"].isin(list(fixed))]
    at_setting = [
        fixed[method].items() <= json.loads(params).items()
        for method, params in zip(candidates["method"], candidates["params"], strict=True)
    ]
    if not any(at_setting):
        return None
    ours = selection.summarize(candidates, selection.choose(candidates[at_setting], results.criterion))
    rows: list[list[str]] = []
    notes = []
    for key, trials in by_method(ours):
        method, backbone, _, _ = key
        found = [
            published.lookup(first["dataset"], method, *pair, backbone, params=fixed[method]).paper for pair in pairs
        ]
        papers = [paper if paper is not None and paper.backbone == backbone else None for paper in found]
        values = [math.nan if paper is None else paper.value for paper in papers]
        reached = [
            math.nan if trial is None else float(trial["target_accuracy_mean"]) for trial in in_pairs(trials, pairs)
        ]
        differences = [own - value for own, value in zip(reached, values, strict=True)]
        if all(map(math.isnan, differences)):
            continue
        sources = dict.fromkeys(references.number(p.reference, p.backbone, p.note) for p in papers if p is not None)
        title = method_title(key)
        rows += [
            [title, "ours", *(percent(value, digits=2) for value in reached), percent(_mean(reached), digits=2)],
            [title, _paper(sources), *(percent(value, digits=2) for value in values), percent(_mean(values), digits=2)],
            [title, "− paper", *(signed(value, 2) for value in differences), signed(_mean(differences), 2)],
        ]
        notes.append(f"{method}: {params_text(fixed[method], fixed[method])}.")
    if not rows:
        return None
    return Table(
        "Target accuracy in percent at the setting that the paper fixed for all pairs",
        ["method", "", *short_pairs(pairs), "average"],
        rows,
        "ll" + "r" * (len(pairs) + 1),
        [*notes, *legend(pairs)],
    )


def _paper(sources: Iterable[int]) -> str:
    return " ".join(["paper", *(f"[{number}]" for number in sources)])


def _mean(values: Sequence[float]) -> float:
    """Over all pairs; NaN where one is missing."""
    return sum(values) / len(values)
