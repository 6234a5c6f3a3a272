"""How trials are chosen: the one place. Scheduler, confirmation pass, ``evaluate`` and reports all call it.

A criterion is computed without target labels; ``oracle`` chooses by target accuracy and is for reporting only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pandas as pd

from reports.ledger import FINISHED, Ledger

DEFAULT = "information_maximization"
ORACLE = "oracle"

CRITERIA: dict[str, str] = {
    "information_maximization": "entropy of the mean prediction minus mean entropy, on unlabelled target inputs",
    "entropy": "minus the mean entropy of the predictions on unlabelled target inputs",
    "bnm": "nuclear norm of the prediction matrix on unlabelled target inputs, over its maximum",
    "source_validation": "accuracy on held-out source samples (leave-one-out 1-NN where nothing is held out)",
}

CELL = ["dataset", "method", "source", "target", "protocol"]
"""Hyperparameters compete among trials that agree in these columns, and nowhere else."""

COLLAPSED = 0.5
"""A trial that predicts at most this share of the classes on the target has collapsed."""

# Criteria are of the order of 1 or 100. Tiers this far apart never overlap, and are still small enough for the
# interpolation of a percentile between two of them to keep the digits of a criterion.
_LIMIT = 1e6
_UNDEFINED = -1e8

_GUARD = "predicted_classes"
_LOST = frozenset({"failed", "oom"})


def _known(criterion: str) -> None:
    if criterion not in CRITERIA:
        raise KeyError(f"no criterion {criterion!r}: there are {', '.join(CRITERIA)}")


def guarded_score(criteria: Mapping[str, float | None], criterion: str = DEFAULT) -> float:
    """What a trial is ranked by: its criterion, with a guard against collapse. Always finite; higher is better.

    Entropy is best, and information maximisation may be good, where a model puts the target into few classes. In
    closed-set adaptation every class occurs in the target, so a model that predicts at most half of the classes
    gives every sample of the others away: with balanced classes it cannot pass 50 %. Such a trial ranks below
    every one that predicts more, and among its like by the criterion. "At most" half, so that with two classes a
    model that sees only one counts. A criterion that is missing or not finite, or predictions that are
    NaN, rank last of all.

    Args:
        criteria: the values recorded at one epoch; a missing ``predicted_classes`` means no guard.
        criterion: one of :data:`CRITERIA`.

    Raises:
        KeyError: there is no such criterion.
    """
    _known(criterion)
    value, seen = criteria.get(criterion), criteria.get(_GUARD, 1.0)
    if value is None or seen is None or not math.isfinite(value) or not math.isfinite(seen):
        return _UNDEFINED
    score = max(-_LIMIT, min(_LIMIT, float(value)))
    return score - 4 * _LIMIT if seen <= COLLAPSED else score


def candidates(ledger: Ledger, everything: bool = False) -> pd.DataFrame:
    """Every trial that reported at least once, at its last reported epoch, stopped ones included; in plan order.

    Args:
        ledger: an open ledger.
        everything: trials of former plans, too.

    Returns:
        One row a trial: the columns of the ledger's trials, ``epoch``, ``target_accuracy`` and ``best_accuracy``
        (the best over its epochs) in percent, ``epochs_spent``, ``seconds``, and one column a criterion (NaN where
        it was not finite). ``params`` and ``protocol`` are canonical JSON.
    """
    rows = ledger.outcomes(everything)
    # As in guarded_score, a record without the guard's value is taken for sound; null (of NaN) is not.
    recorded = pd.DataFrame([{_GUARD: 1.0, **json.loads(text)} for text in rows.pop("criteria")], index=rows.index)
    for name in (*CRITERIA, _GUARD):
        if name not in recorded:
            recorded[name] = math.nan
    numbers = ["target_accuracy", "best_accuracy"]
    rows[numbers] = rows[numbers].astype(float)
    return rows.join(recorded.astype(float))


def eligible(candidates: pd.DataFrame) -> pd.DataFrame:
    """The candidates that may be chosen: trials of the search that did not fail."""
    return candidates[(candidates["role"] == "search") & ~candidates["state"].isin(_LOST)]


def choose(candidates: pd.DataFrame, criterion: str = DEFAULT) -> pd.DataFrame:
    """The chosen trial of each cell.

    Trials of the search compete, those of one seed (that of the cell's first trial in the plan: only ``--all``
    brings others); confirmation runs do not, nor trials that failed, which the next run tries again. Equal scores
    are decided by the place in the plan.

    Args:
        candidates: see :func:`candidates`.
        criterion: one of :data:`CRITERIA`, or ``oracle``: the highest target accuracy.

    Returns:
        One row of ``candidates`` a cell, in plan order, with the columns ``selection`` (the criterion) and
        ``score`` added.

    Raises:
        KeyError: there is no such criterion.
    """
    rows = eligible(candidates)
    if criterion == ORACLE:
        score = rows["target_accuracy"].fillna(_UNDEFINED)
    else:
        _known(criterion)
        pairs = zip(rows[criterion].tolist(), rows[_GUARD].tolist(), strict=True)
        scores = [guarded_score({criterion: value, _GUARD: seen}, criterion) for value, seen in pairs]
        score = pd.Series(scores, index=rows.index, dtype=float)
    rows = rows.assign(selection=criterion, score=score).sort_values(["position", "id"], kind="stable")
    rows = rows[rows["seed"] == rows.groupby(CELL)["seed"].transform("first")]
    order = rows.sort_values("score", ascending=False, kind="stable")
    return order.groupby(CELL, sort=False).head(1).sort_values(["position", "id"], kind="stable")


def summarize(candidates: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Each chosen trial's accuracy over seeds: itself and the finished runs of the same params in its cell.

    Args:
        candidates: see :func:`candidates`.
        chosen: see :func:`choose`.

    Returns:
        ``chosen`` with ``target_accuracy_mean``, ``target_accuracy_std`` (ddof = 1; NaN for a single run),
        ``best_accuracy_mean``, ``seeds`` (their number), and ``trials``, ``epochs_spent_cell``: what the
        search of the cell took.
    """
    same = [*CELL, "params", "budget"]
    usable = candidates["state"].isin(FINISHED) | candidates["id"].isin(chosen["id"])
    runs = candidates[usable].merge(chosen[same], on=same)
    over_seeds = runs.groupby(same).agg(
        target_accuracy_mean=("target_accuracy", "mean"),
        target_accuracy_std=("target_accuracy", "std"),
        best_accuracy_mean=("best_accuracy", "mean"),
        seeds=("seed", "nunique"),
    )
    search = candidates[candidates["role"] == "search"].groupby(CELL)
    effort = search.agg(trials=("id", "size"), epochs_spent_cell=("epochs_spent", "sum"))
    return chosen.join(over_seeds, on=same).join(effort, on=CELL)


def regret(candidates: pd.DataFrame, criterion: str = DEFAULT) -> pd.DataFrame:
    """What choosing by a criterion costs against the oracle, cell by cell.

    Returns:
        One row a cell: its columns, ``chosen`` and ``oracle`` (target accuracies in percent), ``regret`` (their
        difference, in points, never negative) and ``trials`` that competed.
    """
    picked = choose(candidates, criterion).set_index(CELL)["target_accuracy"].rename("chosen")
    best = choose(candidates, ORACLE).set_index(CELL)["target_accuracy"].rename("oracle")
    table = pd.concat([picked, best], axis=1)
    table["regret"] = table["oracle"] - table["chosen"]
    return table.join(eligible(candidates).groupby(CELL).size().rename("trials")).reset_index()
