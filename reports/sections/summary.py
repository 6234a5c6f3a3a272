"""An experiment in a few sentences: how far it is, what came out, and how much of that holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from transfer_sweep.reports.results import METHOD, Results, dicts
from transfer_sweep.reports.sections import tables
from transfer_sweep.reports.selection import CELL, ORACLE
from transfer_sweep.reports.statistics import Comparison


def summary(own: Results, comparisons: Sequence[Comparison | None]) -> str:
    """The sentences.

    Args:
        own: the experiment.
        comparisons: between the methods of each of its groups, where there is enough to test.
    """
    return " ".join(_sentences(own, comparisons))


def _sentences(own: Results, comparisons: Sequence[Comparison | None]) -> Iterator[str]:
    methods, cells = own.trials["method"].nunique(), len(own.trials[CELL].drop_duplicates())
    yield f"{_many(methods, 'method')} in {_many(cells, 'cell')} (method × pair)."
    groups = own.groups()
    if len(groups) == 1:
        yield from _best(own, groups[0])
    regret = tables.mean_regrets(own)
    if regret is not None:
        cost, at_random = regret
        yield (
            f"Choosing without target labels costs {tables.percent(cost, digits=2)} points a cell against the oracle, "
            f"a random choice {tables.percent(at_random, digits=2)}."
        )
    if len(groups) == 1 and comparisons[0] is not None:
        yield _holds(comparisons[0])


def _best(own: Results, group: pd.DataFrame) -> Iterator[str]:
    averages = {name: _averages(group, name) for name in (own.criterion, ORACLE)}
    chosen = averages[own.criterion]
    if len(chosen) < 2:
        return
    best = max(chosen, key=lambda name: chosen[name])
    text = (
        f"Chosen by {tables.criterion_name(own.criterion)}, **{best}** has the best average target accuracy, "
        f"{tables.percent(chosen[best])} %"
    )
    if best != "source_only" and "source_only" in chosen:
        text += f" (source_only {tables.percent(chosen['source_only'])} %)"
    by_oracle = averages[ORACLE]
    top = max(by_oracle, key=lambda name: by_oracle[name])
    yield f"{text}; by the oracle it is **{top}** with {tables.percent(by_oracle[top])} %."


def _averages(group: pd.DataFrame, chosen_by: str) -> Mapping[str, float]:
    """Method → average over all pairs of the group; those that see target labels or lack a pair are left out."""
    own = group[(group["selection"] == chosen_by) & (group["label_access"] == "none")]
    names, pairs = tables.names_of(own), len(tables.pairs_of(group))
    rows = {names[key]: rows for key, rows in own.groupby(METHOD, sort=False)}  # type: ignore[index]
    means = {name: float(each["target_accuracy_mean"].mean()) for name, each in rows.items() if len(each) == pairs}
    return {name: mean for name, mean in means.items() if not pd.isna(mean)}


def _holds(comparison: Comparison) -> str:
    found = sum(len(comparison.better_than(method)) for method in comparison.ranks)
    pairs = len(comparison.accuracies)
    return (
        f"Tests over the {pairs} pairs support {found or 'none'} of the {comparison.comparisons} differences between "
        "two methods."
    )


def stopping(own: Results) -> tuple[str, dict[str, dict[int, int]]] | None:
    """How early stopping went: in words, and method → epochs → trials of the search that ended after so many.

    None where no trial could be stopped.
    """
    trials = own.trials[(own.trials["role"] == "search") & (own.trials["budget"] > 1)]
    ended = trials[trials["state"].isin(["done", "stopped"])].join(
        own.candidates.set_index("id")[["epochs_spent"]], on="id", how="inner"
    )
    if not (ended["state"] == "stopped").any():
        return None
    stopped = set(ended.loc[ended["state"] == "stopped", "id"])
    full, spent = int(ended["budget"].sum()), int(ended["epochs_spent"].sum())
    names = tables.names_of(ended)
    lengths: dict[str, dict[int, int]] = {name: {} for name in names.values()}
    for row in dicts(ended.groupby([*METHOD, "epochs_spent"], sort=False).size().reset_index(name="trials")):
        key = (row["method"], row["backbone"], row["training"], row["few"])
        lengths[names[key]][int(row["epochs_spent"])] = row["trials"]
    touched = set(ended.loc[ended["state"] == "stopped", CELL].itertuples(index=False, name=None))
    lost = _chosen_among(own, ORACLE, stopped)
    taken = _chosen_among(own, own.criterion, stopped)
    return (
        f"{len(stopped)} of {_many(len(ended), 'trial')} that could be stopped early were, which saved "
        f"{100 * (full - spent) / full:.0f} % of their epochs. Of {_many(len(touched), 'cell')} with stopped trials, "
        f"{lost} have the best target accuracy (oracle) at the last epoch of a stopped one; "
        f"{tables.criterion_name(own.criterion)} chose a stopped one in {taken}.",
        lengths,
    )


def _chosen_among(own: Results, chosen_by: str, trials: set[str]) -> int:
    return len(set(own.records.loc[own.records["selection"] == chosen_by, "trial"]) & trials)


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
