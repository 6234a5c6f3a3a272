"""Which criterion to trust: what choosing by each costs against the oracle, in one experiment and in several.

Several experiments are read from what :func:`transfer_sweep.reports.formats.data.trials_csv` wrote beside the reports
of claimed runs.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.records import protocols
from transfer_sweep.reports.results import COMPARED, Results
from transfer_sweep.reports.selection import CELL, TARGET_LABELS

SUFFIX = ".trials.csv.gz"


def pool(results: Results) -> pd.DataFrame:
    """The trials that compete, of cells with more than one, by methods that see no target labels.

    Cells of targets without labels are left out: nothing is known of what a choice costs there.
    """
    rows = results.derived[~results.derived["target"].isin(results.unlabelled)]
    return selection.with_choice(rows[results.unsupervised(rows)])


def by_chance(pool: pd.DataFrame) -> pd.DataFrame:
    """What a random choice gives in each cell: ``mean`` and best target accuracy (``oracle``), and its ``regret``."""
    accuracies = pool.groupby(CELL)["target_accuracy"]
    cells = pd.DataFrame({"mean": accuracies.mean(), "oracle": accuracies.max()})
    return cells.assign(regret=cells["oracle"] - cells["mean"])


def means(results: Results) -> tuple[float, float] | None:
    """The mean regret of the experiment's criterion and of a random choice.

    None where there was no choice, or where the labels made it that accuracy is measured on: nothing is known then.
    """
    if results.criterion == TARGET_LABELS:
        return None
    trials = pool(results)
    if trials.empty:
        return None
    chosen = selection.regret(trials, results.criterion)["regret"].mean()
    return float(chosen), float(by_chance(trials)["regret"].mean())


def read(path: Path, families: Mapping[str, str]) -> pd.DataFrame:
    """The candidates of a file of trials, those of methods that see target labels left out, and of targets without.

    Args:
        path: the file.
        families: method → its family, which such files do not hold.

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
    criteria = [name for name in (*selection.PER_TRIAL, *selection.ENSEMBLES) if name in rows]
    try:
        numbers = {name: pd.to_numeric(rows[name]) for name in ("predicted_classes", "target_accuracy", *criteria)}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({' '.join(str(error).split())})") from None
    rows = rows.assign(**numbers)
    try:
        without_few = np.array([protocol.few is None for protocol in protocols(rows["protocol"])], dtype=bool)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({' '.join(str(error).split())})") from None
    known = rows["target_accuracy"].notna().groupby(rows["target"]).transform("any")
    chosen = (rows["source"] != rows["target"]) & without_few & ~rows["method"].isin(COMPARED) & known
    rows = rows[chosen].reset_index(drop=True)
    family = [families.get(method, "") for method in rows["method"]]
    return rows.assign(id=rows.index.astype(str), position=rows.index, family=family)


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
        trials = selection.with_choice(candidates)
        if trials.empty:
            continue
        usable = selection.available(_with_all(trials))
        found = {criterion: selection.regret(trials, criterion)["regret"] for criterion in usable}
        for criterion, regret in {**found, "random": by_chance(trials)["regret"]}.items():
            rows.append((name, criterion, regret.mean(), regret.max(), len(regret)))
    return pd.DataFrame(rows, columns=["experiment", "criterion", "mean", "worst", "cells"])


def _with_all(candidates: pd.DataFrame) -> pd.DataFrame:
    """The candidates with a column of every criterion of a single trial: files have those that were recorded."""
    return candidates.assign(**{name: np.nan for name in selection.PER_TRIAL if name not in candidates})
