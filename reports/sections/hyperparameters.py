"""Which hyperparameters mattered, and what each of their values gave. For understanding: no choice is made by it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from transfer_sweep.reports import importance, selection
from transfer_sweep.reports.document.elements import Block, Cell, Drawing, Heading, Table
from transfer_sweep.reports.document.plotting import OTHER, TARGET, panels
from transfer_sweep.reports.document.text import (
    MISSING,
    STOPPED,
    average,
    legend,
    names_of,
    percent,
    share,
    short_names,
    short_pairs,
    value_text,
)
from transfer_sweep.reports.importance import Importance
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.reports.results import METHOD, MethodKey, Results, by_method, in_pairs, pairs_of
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import ORACLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLACE = Place(Part.BACKGROUND, 70)

_SHOWN_VALUES = 8
_GEOMETRIC = 1.9  # ratio of neighbours from which on a grid goes by factors
_TICKS = 8  # that a small panel has room for


def blocks(context: Context) -> Iterator[Block]:
    """Methods that searched one param, the importance of params, and slices through them."""
    if not context.groups:
        return
    trials = searched(context.results)
    found = importance.importances(trials)
    single = [single_params(context.results, group.records) for group in context.groups]
    at_edges = edge_table(edges(context.results))
    if found or any(single) or at_edges:
        yield Heading(2, "Hyperparameters")
    if at_edges:
        yield at_edges
    yield from filter(None, single)
    if found:
        yield importance_table(trials, found)
        yield Drawing(
            "hyperparameters",
            "What each value of a hyperparameter gave: target accuracy in points above the average of the cell "
            "(a thin line is a pair, the thick one their mean)",
            "A panel per method and hyperparameter, the most important of each method first.",
            partial(_drawn, trials, found),
        )


def searched(results: Results) -> dict[MethodKey, pd.DataFrame]:
    """What importance is learnt from, of each method that sees no, or a few, target labels."""
    candidates = results.candidates[results.access(results.candidates) != "target_train"]
    return {key: trials[importance.LEARNT_FROM] for key, trials in by_method(candidates)}


# --- tables ---


def importance_table(methods: Iterable[MethodKey], found: Mapping[MethodKey, Importance]) -> Table:
    """Which hyperparameters mattered.

    Args:
        methods: all that were :func:`searched`, which short names have to tell apart.
        found: the importance of their params, of those of which there was something to learn.
    """
    rows: list[list[Cell | str]] = []
    names = short_names(methods)
    for key, each in found.items():
        for param, decided in each.shares.items():
            values = ", ".join(value_text(value) for value in each.values[param][:_SHOWN_VALUES])
            more = ", …" if len(each.values[param]) > _SHOWN_VALUES else ""
            holds = each.explained > 0
            text = f"{max(decided, 0):.2f}" if holds else MISSING
            rows.append(
                [names[key], str(each.trials), share(each.explained) if holds else "none", param, values + more, text]
            )
    return Table(
        "Importance of hyperparameters, by permutation",
        ["method", "trials", "explained on unseen pairs", "param", "values", "importance"],
        rows,
        "lrrllr",
        [
            "Explained: share of the variance of target accuracy inside cells that a random forest on the params "
            "explains on pairs that it has not seen. Importance: by how much that share drops where the param's "
            "values are shuffled. Both look at target labels, for understanding only."
        ],
    )


@dataclass(frozen=True)
class Edge:
    """A param whose chosen value is the smallest or largest one searched on more than half of the pairs.

    Attributes:
        method: a short name.
        key: of the experiment file.
        value: the smallest or largest one.
        by_criterion: on how many pairs the criterion chose it.
        by_oracle: on how many the oracle did; None where no target has labels.
        pairs: how many there are.
        beyond: the value to search next; None where the method's bounds do not allow the grid's next one, or the
            driver recorded no bounds.
    """

    method: str
    key: str
    value: float
    by_criterion: int
    by_oracle: int | None
    pairs: int
    beyond: float | None


def edges(results: Results) -> list[Edge]:
    """The params whose best values may lie outside of what was searched, in the order of the methods.

    Of params with so few values that they are a grid, for a draw is hardly ever at an edge, but with three at least: of
    two, every choice is at an edge. A value that is a bound of the param itself is none.
    """
    bounds = results.experiment.get("bounds", {})
    search = selection.eligible(results.candidates)
    records = results.records[results.records["source"] != results.records["target"]]
    names, found = names_of(search), []
    for key, trials in by_method(search):
        tried = pd.DataFrame([json.loads(text) for text in trials["params"]])
        own = records[(records[METHOD] == list(key)).all(axis=1)]
        by_criterion, by_oracle = (
            pd.DataFrame([json.loads(text) for text in own.loc[own["selection"] == by, "params"]])
            for by in (results.criterion, ORACLE)
        )
        for name in map(str, tried):
            values = importance.in_order(tried[name])
            if not 3 <= len(values) <= _SHOWN_VALUES or not all(type(value) in (int, float) for value in values):
                continue
            for edge, inner in (values[:2], values[:-3:-1]):
                next_one = beyond(edge, inner)
                counts = [
                    int((chosen[name] == edge).sum()) if len(chosen) else 0 for chosen in (by_criterion, by_oracle)
                ]
                often = 2 * counts[0] > len(by_criterion) or 2 * counts[1] > len(by_oracle)
                limits = bounds.get(key[0], {}).get(name)
                if next_one is not None and often and not at_bound(edge, limits or {}):
                    if limits is None or not allowed(next_one, limits):
                        next_one = None
                    of_oracle = counts[1] if len(by_oracle) else None
                    config_key = f"methods.{key[0]}.{name}"
                    found.append(Edge(names[key], config_key, edge, counts[0], of_oracle, len(by_criterion), next_one))
    return found


def allowed(value: float, limits: Mapping[str, float]) -> bool:
    """Whether a value is within a param's bounds, which are named as in JSON schema."""
    return limits.get("minimum", -math.inf) <= value <= limits.get("maximum", math.inf) and limits.get(
        "exclusiveMinimum", -math.inf
    ) < value < limits.get("exclusiveMaximum", math.inf)


def at_bound(value: float, limits: Mapping[str, float]) -> bool:
    """Whether nothing beyond a value is allowed, since it is a bound itself."""
    return value in (limits.get("minimum"), limits.get("maximum"))


def beyond(edge: float, inner: float) -> float | None:
    """The next value outside of a grid, by its last step; None where that is not positive.

    Args:
        edge: the smallest or largest value.
        inner: its neighbour.
    """
    factor = edge / inner if edge > 0 and inner > 0 else 1.0
    by_factors = max(factor, 1 / factor) >= _GEOMETRIC
    value = edge * factor if by_factors else 2 * edge - inner
    if isinstance(edge, int) and isinstance(inner, int):
        value = round(value)
    elif by_factors:
        value = float(f"{value:.1g}")
    return value if value > 0 and value != edge else None


def edge_table(found: Sequence[Edge]) -> Table | None:
    """The edges, with what to search next; None where there are none."""
    if not found:
        return None
    rows: list[list[Cell | str]] = [
        [
            each.method,
            f"`{each.key}`",
            value_text(each.value),
            f"{each.by_criterion} of {each.pairs}",
            MISSING if each.by_oracle is None else f"{each.by_oracle} of {each.pairs}",
            MISSING if each.beyond is None else f"add {value_text(each.beyond)}",
        ]
        for each in found
    ]
    return Table(
        "Values at the edge of what was searched, chosen on more than half of the pairs: the best may lie outside",
        ["method", "key of the experiment file", "edge", "pairs by criterion", "pairs by oracle", "next"],
        rows,
        "llrrrl",
        [
            "Next goes on by the last step of the grid; `run` then trains what is new alone. A dash: that step would "
            "leave the param's bounds, or they were not recorded."
        ],
    )


@dataclass(frozen=True)
class ParamSummary:
    """A method's params: the names of those that the search varied, and a text of those that it did not."""

    varied: Sequence[str]
    fixed: str


def param_summaries(results: Results) -> dict[MethodKey, ParamSummary]:
    """What the search tried of each method."""
    search = results.trials[results.trials["role"] == "search"]
    return {key: _summarized(trials["params"].unique()) for key, trials in by_method(search)}


def _summarized(texts: Iterable[str]) -> ParamSummary:
    tried = [json.loads(text) for text in texts]
    names = sorted({name for params in tried for name in params})
    varied = [name for name in names if len({value_text(params.get(name)) for params in tried}) > 1]
    fixed = [name for name in names if name not in varied]
    return ParamSummary(varied, ", ".join(f"{name} {value_text(tried[0].get(name))}" for name in fixed))


def single_params(results: Results, group: pd.DataFrame) -> Table | None:
    """What each value gave of methods that searched a single param: target accuracy by pair, of the search's seed.

    Args:
        results: the experiment.
        group: one of its :meth:`Results.groups`.

    Returns:
        None where no method searched one param alone, with few enough values to list.
    """
    rows: list[list[Cell | str]] = []
    candidates = selection.eligible(results.candidates)
    candidates = candidates[candidates["protocol"].isin(group["protocol"]) & results.unsupervised(candidates)]
    candidates = candidates[~candidates["target"].isin(results.unlabelled)]
    pairs, names, params = pairs_of(candidates), names_of(candidates), param_summaries(results)
    stopped = False
    for key, trials in by_method(candidates):
        varied = params[key].varied
        if len(varied) != 1:
            continue
        (name,) = varied
        tried = trials["params"].map(json.loads).str.get(name)
        values = importance.in_order(tried)
        if len(values) > _SHOWN_VALUES:
            continue
        for value in values:
            cells = in_pairs(trials[[other == value for other in tried]], pairs)
            accuracies = [math.nan if cell is None else float(cell["target_accuracy"]) for cell in cells]
            early = [cell is not None and cell["state"] == TrialState.STOPPED for cell in cells]
            stopped |= any(early)
            texts = [percent(a) + (STOPPED if e else "") for a, e in zip(accuracies, early, strict=True)]
            rows.append([names[key], f"{name} {value_text(value)}", *texts, average(accuracies)])
    if not rows or not pairs:
        return None
    notes = legend(pairs)
    if stopped:
        notes.append(f"{STOPPED} stopped early: the accuracy is that of its last epoch.")
    return Table(
        "Target accuracy in percent by the value of the only param searched, for understanding only",
        ["method", "param", *short_pairs(pairs), "average"],
        rows,
        "ll" + "r" * (len(pairs) + 1),
        notes,
    )


# --- the figure ---


@dataclass(frozen=True)
class Slice:
    """What the values of a param gave.

    Attributes:
        method: its name.
        param: the param's.
        values: those tried, in order.
        effects: places in ``values`` × pairs: target accuracy in points above the average of the cell, of trials
            that differ in other params the mean.
    """

    method: str
    param: str
    values: Sequence[Any]
    effects: pd.DataFrame


def slices(trials: Mapping[MethodKey, pd.DataFrame], found: Mapping[MethodKey, Importance]) -> list[Slice]:
    """A slice for each param, the most important of each method first.

    Args:
        trials: of each method that was :func:`searched`.
        found: what the params of each method decided.
    """
    names = short_names(trials)
    return [
        Slice(names[key], param, each.values[param], importance.by_value(trials[key], param, each.values[param]))
        for key, each in found.items()
        for param in each.shares
    ]


def _drawn(trials: Mapping[MethodKey, pd.DataFrame], found: Mapping[MethodKey, Importance]) -> Figure:
    return draw(slices(trials, found))


def draw(shown: list[Slice]) -> Figure:
    """A panel for each param. A thin line is a pair; the thick line is the mean over pairs."""
    figure, grid = panels(len(shown))
    for axes, each in zip(grid, shown, strict=True):
        places = _scale(axes, each.values)
        x = [places[i] for i in each.effects.index]
        axes.axhline(0, color=OTHER, linewidth=0.6)
        axes.plot(x, each.effects, color=TARGET, linewidth=0.6, alpha=0.5)
        axes.plot(x, each.effects.mean(axis="columns"), color=TARGET, linewidth=1.8, marker="o", markersize=3)
        axes.set_title(f"{each.method}\n{each.param}", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25, axis="y")
    figure.supylabel("points above the average of the cell", fontsize=8)
    return figure


def _scale(axes: Axes, values: Sequence[Any]) -> Sequence[float]:
    """Set up the horizontal axis for a param's values; returns where each stands."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    labels = [value_text(value) for value in values]
    if len(numbers) < len(values):
        axes.set_xticks(range(len(values)), labels)
        axes.margins(x=0.15)
        return range(len(values))
    if min(numbers) > 0 and max(numbers) >= 8 * min(numbers):
        axes.set_xscale("log")
    if len(numbers) <= _TICKS:
        axes.set_xticks(numbers, labels)
        axes.minorticks_off()
    return numbers
