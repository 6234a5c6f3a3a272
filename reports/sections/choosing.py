"""How the numbers were chosen, and what choosing without target labels costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from transfer_sweep.reports import regret, selection
from transfer_sweep.reports.document.elements import Block, Cell, Heading, Table
from transfer_sweep.reports.document.text import FLATTERS, MISSING, NOT_SCORED, criterion_name, percent
from transfer_sweep.reports.results import Results, dicts
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place
from transfer_sweep.reports.selection import CRITERIA, TARGET_LABELS

PLACE = Place(Part.BACKGROUND, 20)


def blocks(context: Context) -> Iterator[Block]:
    """The rules in words, and the regret of each criterion."""
    if not context.groups:
        return
    yield Heading(2, "How the numbers were chosen")
    yield _rules(context.results)
    regrets = table(context.results)
    if regrets is not None:
        yield regrets


def _rules(results: Results) -> str:
    rules = _by_labels(results) if selection.by_labels(results.criterion) else _without_labels(results)
    if not results.has_labels:
        return rules
    return rules + (
        " Accuracy ± its sample standard deviation is over seeds of the chosen params; a number "
        "without ± is a single run. The oracle takes the best target accuracy among the same trials at their last "
        "epoch, as most papers do, and best over epochs the best of any epoch, too: both use the labels that they are "
        "scored on, and are for comparison only."
    )


def _by_labels(results: Results) -> str:
    text = (
        f"Inside each cell (method × pair) the trial with the best {selection.describe(results.criterion)} is taken, "
        "at its last epoch, trials that were stopped early included; one that predicts at most half of the classes "
        "wins only where all do."
    )
    if results.criterion == TARGET_LABELS:
        return f"{text} The labels that chose are those that accuracy is measured on. {FLATTERS}"
    return (
        f"{text} So no number here is an unsupervised result. {NOT_SCORED} Methods that are trained on target labels "
        f"are chosen among by {criterion_name(selection.DEFAULT)}: drawn labels may be among theirs."
    )


def _without_labels(results: Results) -> str:
    transductive = results.records["transductive"].any()
    seen = (
        "the unlabelled target samples, which are also the scored ones"
        if transductive
        else "the unlabelled target training samples"
    )
    blind = "no label of a scored sample" if results.records["few"].any() else "no target label"
    name = criterion_name(results.criterion)
    best = f"chosen by {name}" if results.criterion in selection.BY_FAMILY else f"with the best {name}"
    return (
        f"Inside each cell (method × pair) the trial {best} ({selection.describe(results.criterion)}) at its last "
        "epoch is taken, trials that were stopped early included; one that predicts at most half of the classes wins "
        f"only where all do. Criteria look at {seen}; {blind} takes part."
    )


def table(results: Results) -> Table | None:
    """What choosing by each criterion costs against the oracle, over the cells where there was a choice."""
    pool = regret.pool(results)
    if pool.empty:
        return None
    rows = []
    families = results.candidates["family"].unique()
    for name in results.criteria:
        if name == TARGET_LABELS:
            continue  # by the same labels as the oracle
        cells = selection.regret(pool, name)
        worst = max(dicts(cells.dropna(subset="regret")), key=lambda cell: cell["regret"], default=None)
        mark = " (used here)" if selection.same(name, results.criterion, families) else ""
        where = "" if worst is None else f" ({worst['method']}, {worst['source']} → {worst['target']})"
        rows.append(
            [
                criterion_name(name) + mark,
                percent(cells["chosen"].mean(), digits=2),
                percent(cells["regret"].mean(), digits=2),
                percent(cells["regret"].max(), digits=2) + where,
            ]
        )
    chance = regret.by_chance(pool)
    rows.append(
        [
            "a random trial",
            percent(chance["mean"].mean(), digits=2),
            percent(chance["regret"].mean(), digits=2),
            MISSING,
        ]
    )
    rows.append(["oracle", percent(chance["oracle"].mean(), digits=2), percent(0.0, digits=2), MISSING])
    without = "" if selection.by_labels(results.criterion) else " without target labels"
    return Table(
        f"What choosing{without} costs, over {len(chance)} cells with a choice (points of target accuracy)",
        ["chosen by", "mean accuracy", "mean regret to the oracle", "worst cell"],
        rows,
        "lrrl",
    )


def across_experiments(found: pd.DataFrame) -> Table:
    """Mean (and worst) regret, criteria × experiments; a criterion's last column is its worst mean.

    Args:
        found: see :func:`transfer_sweep.reports.regret.regrets`.

    Raises:
        ValueError: nothing was found.
    """
    if found.empty:
        raise ValueError("no cell of these runs has two trials to choose from")
    experiments = list(dict.fromkeys(found["experiment"]))
    values = found.set_index(["criterion", "experiment"])
    names = [name for name in (*CRITERIA, "random") if name in set(found["criterion"])]
    means = found.pivot(index="criterion", columns="experiment", values="mean").reindex(names)[experiments]
    order = means.max(axis=1, skipna=False).sort_values(kind="stable").index
    ranks = means.drop(index="random").rank(method="min")
    rows: list[list[Cell | str]] = []
    for name in order:
        cells: list[Cell | str] = []
        for experiment in experiments:
            if pd.isna(means.loc[name, experiment]):
                cells.append(MISSING)
                continue
            one = values.loc[(name, experiment)]
            text = f"{percent(one['mean'], digits=2)} ({percent(one['worst'])})"
            place = ranks[experiment].get(name, np.inf)
            cells.append(Cell(text, int(place) if place <= 2 else 0, float(one["mean"])))
        rows.append([f"`{name}`", *cells, percent(means.loc[name].max(skipna=False), digits=2)])
    sizes = found.groupby("experiment")["cells"].max()
    return Table(
        "Mean (worst) regret to the oracle inside a cell, in points of target accuracy",
        ["chosen by", *(f"{name}, {sizes[name]} cells" for name in experiments), "worst mean"],
        rows,
        "l" + "r" * (len(experiments) + 1),
        ["`random` is the mean over the trials of a cell. A dash: that run did not record it."],
    )
