"""An experiment in a few sentences: how far it is, what came out, and how much of that holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from transfer_sweep.reports import regret, selection
from transfer_sweep.reports.document.elements import Block, Heading
from transfer_sweep.reports.document.text import FLATTERS, NOT_SCORED, counted, criterion_name, names_of, percent
from transfer_sweep.reports.ledger.records import FINISHED, TrialState
from transfer_sweep.reports.results import METHOD, Results, by_method, pairs_of
from transfer_sweep.reports.sections import differences
from transfer_sweep.reports.sections.context import Context, Group
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import CELL, ORACLE, TARGET_LABELS

PLACE = Place(Part.OPENING, 10)


def blocks(context: Context) -> Iterator[Block]:
    """The experiment's name, and the sentences."""
    yield Heading(1, context.results.name)
    yield " ".join([_progress(context.results), *_labels(context.results), *_outcome(context)])


def _progress(results: Results) -> str:
    """How far the experiment is."""
    counts, total = results.states, len(results.every_trial)
    ended = sum(counts.get(state, 0) for state in FINISHED)
    if ended == total and total:
        return f"All {total} trials have ended."
    states = ", ".join(f"{counts[state]} {state}" for state in TrialState if state in counts and not state.finished)
    cells = results.trials[CELL].drop_duplicates()
    reported = results.records[CELL].drop_duplicates()
    return (
        f"**Unfinished: {total - ended} of {total} trials are missing ({states}); {len(cells) - len(reported)} of "
        f"{len(cells)} cells have no result yet.** `python -m sweep run {results.name}` continues."
    )


def _labels(results: Results) -> Iterator[str]:
    """Which targets have no labels, or labels of some samples alone."""
    if results.unlabelled:
        names, one = ", ".join(results.unlabelled), len(results.unlabelled) == 1
        yield (
            f"**No labels are known of {'the target domain' if one else 'the target domains'} {names}:** nothing "
            "there has an accuracy, and criteria and the agreement of methods stand in its place."
        )
    if any(labels.scored is not None for labels in results.drawn.values()):
        number = max(len(labels.rows) for labels in results.drawn.values())
        yield f"Labels to choose trials by were drawn of {counted(number, 'sample')} of each target. {NOT_SCORED}"
    for domain, counts in results.partly_labelled.items():
        if domain not in results.unlabelled:
            yield (
                f"Of {domain}, {counts.labelled:,} of {counts.total:,} samples have labels: accuracies are of scored "
                "samples with labels."
            )


def _outcome(context: Context) -> Iterator[str]:
    results = context.results
    methods, cells = results.trials["method"].nunique(), len(results.trials[CELL].drop_duplicates())
    yield f"{counted(methods, 'method')} in {counted(cells, 'cell')} (method × pair)."
    only = context.with_labels[0] if len(context.groups) == len(context.with_labels) == 1 else None
    if only is not None:
        yield from _best(only, results.criterion)
    costs = regret.means(results)
    if costs is not None:
        chosen, at_random = costs
        where = " where labels are known" if results.unlabelled else ""
        by = "by drawn labels" if selection.by_labels(results.criterion) else "without target labels"
        yield (
            f"Choosing {by} costs {percent(chosen, digits=2)} points a cell against the oracle, "
            f"a random choice {percent(at_random, digits=2)}{where}."
        )
    if only is not None and only.gains:
        yield differences.holds(only.gains)


def _best(group: Group, criterion: str) -> Iterator[str]:
    chosen, by_oracle = (_averages(group, by) for by in (criterion, ORACLE))
    if len(chosen) < 2:
        return
    best = max(chosen, key=lambda name: chosen[name])
    text = (
        f"Chosen by {criterion_name(criterion)}, **{best}** has the best average target accuracy"
        f"{_over(group)}, {percent(chosen[best])} %"
    )
    if best != "source_only" and "source_only" in chosen:
        text += f" (source_only {percent(chosen['source_only'])} %)"
    if criterion == TARGET_LABELS:  # by the oracle it would be the same, but for collapsed trials
        yield f"{text}. {FLATTERS}"
        return
    if len(by_oracle) < len(chosen):
        yield f"{text}; some of the oracle's choices are single runs, which are not compared with means over seeds."
        return
    top = max(by_oracle, key=lambda name: by_oracle[name])
    yield f"{text}; by the oracle it is **{top}** with {percent(by_oracle[top])} %."


def _over(group: Group) -> str:
    """Over which pairs, where not over all."""
    known, all_pairs = len(pairs_of(group.records)), len(pairs_of(group.all_records))
    return "" if known == all_pairs else f" over the {counted(known, 'pair')} with target labels"


def _averages(group: Group, chosen_by: str) -> Mapping[str, float]:
    """Method → average over all pairs of the group.

    Those that see target labels, lack a pair or have single runs beside means over seeds are left out.
    """
    records = group.chosen(chosen_by)
    single = records.groupby(METHOD, sort=False)["single_run"].transform("any")
    names, pairs = names_of(records), len(pairs_of(group.records))
    records = records[~single]
    means = {
        names[key]: float(rows["target_accuracy_mean"].mean()) for key, rows in by_method(records) if len(rows) == pairs
    }
    return {name: mean for name, mean in means.items() if not pd.isna(mean)}
