"""Which criterion to trust: what each costs against the oracle, over the recorded trials of several experiments.

It reads what :func:`transfer_sweep.reports.results.trials_csv` wrote beside the reports of claimed runs.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from transfer_sweep.reports import selection
from transfer_sweep.reports.document.elements import Cell, Table
from transfer_sweep.reports.results import COMPARED
from transfer_sweep.reports.sections.tables import MISSING, percent
from transfer_sweep.reports.selection import CELL, CRITERIA

SUFFIX = ".trials.csv.gz"


def read(path: Path) -> pd.DataFrame:
    """The candidates of a file of trials, those of methods that see target labels left out.

    Returns:
        As :func:`transfer_sweep.reports.selection.candidates` gives them, as far as choosing needs it.

    Raises:
        ValueError: the file is damaged, or holds no trials.
        OSError: it cannot be read.
    """
    try:
        rows = pd.read_csv(path)
    except (zlib.error, EOFError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} is damaged ({' '.join(str(error).split())})") from None
    lacking = {*CELL, "params", "seed", "role", "state", "predicted_classes", "target_accuracy"} - {*rows}
    if lacking:
        raise ValueError(f"{path} holds no trials: it lacks the columns {', '.join(sorted(lacking))}")
    rows = selection.of_these_versions(rows)
    known = [name for name in (*selection.PER_TRIAL, *selection.ENSEMBLES) if name in rows]
    try:
        numbers = {name: pd.to_numeric(rows[name]) for name in ("predicted_classes", "target_accuracy", *known)}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({' '.join(str(error).split())})") from None
    rows = rows.assign(**numbers)
    unlabelled = rows["protocol"].astype(str).str.contains('"few":null', regex=False)
    chosen = (rows["source"] != rows["target"]) & unlabelled & ~rows["method"].isin(COMPARED)
    rows = rows[chosen].reset_index(drop=True)
    return rows.assign(id=rows.index.astype(str), position=rows.index)


def regrets(experiments: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What choosing by each criterion costs in each experiment.

    Args:
        experiments: name → its candidates. One where no cell has two trials has nothing to say, and is left out.

    Returns:
        One row per experiment and criterion that some of its trials have (``random``, the mean over the trials of a
        cell, among them): ``experiment``, ``criterion``, ``mean`` and ``worst`` regret over the cells with a choice,
        in points of target accuracy, ``cells``.
    """
    rows = []
    for name, candidates in experiments.items():
        pool = selection.with_choice(candidates)
        if pool.empty:
            continue
        cells = pool.groupby(CELL)["target_accuracy"]
        expected = cells.max() - cells.mean()
        usable = selection.available(_with_all(pool))
        found = {criterion: selection.regret(pool, criterion)["regret"] for criterion in usable}
        for criterion, regret in {**found, "random": expected}.items():
            rows.append((name, criterion, regret.mean(), regret.max(), len(regret)))
    return pd.DataFrame(rows, columns=["experiment", "criterion", "mean", "worst", "cells"])


def _with_all(candidates: pd.DataFrame) -> pd.DataFrame:
    """The candidates with a column of every criterion of a single trial: files have those that were recorded."""
    return candidates.assign(**{name: np.nan for name in selection.PER_TRIAL if name not in candidates})


def regret_table(found: pd.DataFrame) -> Table:
    """Mean (and worst) regret, criteria × experiments; a criterion's last column is its worst mean.

    Args:
        found: see :func:`regrets`.

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
