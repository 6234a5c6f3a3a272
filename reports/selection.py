"""How trials are chosen: the one place. Scheduler, confirmation pass, ``evaluate`` and reports all call it.

A criterion is computed without target labels; ``oracle`` chooses by target accuracy and is for reporting only. A
trial scores itself by most criteria; some compare the trials of a cell, and can choose but not stop.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports import criteria
from transfer_sweep.reports.ledger.artefacts import FEATURES
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Protocol, canonical

DEFAULT = "information_maximization"
STOPPING = "information_maximization"
"""What early stopping compares where the criterion that chooses cannot stop."""
ORACLE = "oracle"

OWN: dict[str, str] = {
    "information_maximization": "entropy of the mean prediction minus mean entropy, on unlabelled target inputs",
    "entropy": "minus the mean entropy of the predictions on unlabelled target inputs",
    "bnm": "nuclear norm of the prediction matrix on unlabelled target inputs, over its maximum",
    "source_validation": "accuracy on held-out source samples (leave-one-out 1-NN where nothing is held out)",
    "snd": "soft neighbourhood density: mean entropy of the similarities among target predictions",
    "class_cluster": "mutual information, adjusted for chance, of target predictions and k-means on target features",
    "iwcv": "minus the error on held-out source samples, weighted to look like the target",
    "dev": "minus the cross-entropy on held-out source samples, weighted to look like the target, its variance reduced",
    "mixval_intra": "agreement on mixtures of target samples of one predicted class",
    "mixval_inter": "agreement on mixtures of target samples of two predicted classes with that of the larger part",
    "reverse_neighbor": "accuracy on the source of 1-NN among target samples with their predicted classes",
    "reverse_validation": "accuracy on the source of what is learnt back from target predictions, by the method",
}
"""Criteria by which a trial scores itself: they can stop trials, and choose."""

RANKED: dict[str, tuple[str, ...]] = {
    "mixval": ("mixval_intra", "mixval_inter"),
    "im_and_source": ("information_maximization", "source_validation"),
    "ensemble_and_cluster": ("pair_ensemble", "class_cluster"),
}
"""Criteria that are the mean of a trial's ranks in its cell by others."""

ENSEMBLES: dict[str, str] = {
    "ensemble": "agreement with the prediction of all trials of the cell together",
    "pair_ensemble": "agreement with the prediction of all trials of all methods on the pair together",
}
"""Criteria that compare a trial's predictions with those of others."""

CRITERIA: dict[str, str] = {
    **OWN,
    "mixval": "mean rank in the cell by agreement on mixtures of target samples, of one and of two predicted classes",
    "im_and_source": "mean rank in the cell by information maximisation and by source validation",
    **ENSEMBLES,
    "ensemble_and_cluster": "mean rank in the cell by agreement with all trials on the pair and by class clusters",
}
"""Everything that can choose, and what it is."""

_OF_LOGITS = ("information_maximization", "entropy", "bnm", "snd")
"""What can be computed from stored predictions where a trial has not recorded it."""

CELL = ["dataset", "method", "source", "target", "protocol"]
"""Hyperparameters compete among trials that agree in these columns, and nowhere else."""

_SAME = [*CELL, "params", "budget"]

COLLAPSED = 0.5
"""A trial that predicts at most this share of the classes on the target has collapsed."""

# Criteria are of the order of 1 or 100. Tiers this far apart never overlap, and are still small enough for the
# interpolation of a percentile between two of them to keep the digits of a criterion.
_LIMIT = 1e6
_UNDEFINED = -1e8

_GUARD = "predicted_classes"
_CHOSEN_FROM = [
    *CELL,
    "id",
    "position",
    "seed",
    "role",
    "state",
    "target_accuracy",
    _GUARD,
    "declared_access",
    "logits",
]
_LOST = frozenset({"failed", "oom"})


def guarded_score(recorded: Mapping[str, float | None], criterion: str = DEFAULT) -> float:
    """What a trial is ranked by: its criterion, with a guard against collapse. Always finite; higher is better.

    Entropy is best, and information maximisation may be good, where a model puts the target into few classes. In
    closed-set adaptation every class occurs in the target, so a model that predicts at most half of the classes
    gives every sample of the others away: with balanced classes it cannot pass 50 %. Such a trial ranks below
    every one that predicts more, and among its like by the criterion. "At most" half, so that with two classes a
    model that sees only one counts. A criterion that is missing or not finite, or predictions that are
    NaN, rank last of all.

    Args:
        recorded: the values recorded at one epoch; a missing ``predicted_classes`` means no guard.
        criterion: one of :data:`OWN`.

    Raises:
        KeyError: there is no such criterion, or it compares trials.
    """
    if criterion not in OWN:
        raise KeyError(f"no criterion {criterion!r} of a single trial: there are {', '.join(OWN)}")
    return _guarded(recorded.get(criterion), recorded.get(_GUARD, 1.0))


def _guarded(value: float | None, seen: float | None) -> float:
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
        (the best over its epochs) in percent, ``epochs_spent``, ``seconds``, ``logits`` and ``features`` (the files
        of its predictions and of what is kept for figures, or an empty text), ``declared_access`` (which target
        labels its method sees, few ones of the protocol aside), and one column for each criterion of
        :data:`OWN` (NaN where it was not recorded or not finite). ``params`` and ``protocol`` are canonical JSON.
    """
    rows = ledger.outcomes(everything)
    # As in guarded_score, a record without the guard's value is taken for sound; null (of NaN) is not.
    recorded = pd.DataFrame([{_GUARD: 1.0, **json.loads(text)} for text in rows.pop("criteria")], index=rows.index)
    recorded = recorded.reindex(columns=list(dict.fromkeys([*OWN, _GUARD, *recorded])))
    numbers = ["target_accuracy", "best_accuracy"]
    rows[numbers] = rows[numbers].astype(float)
    declared = (ledger.meta("experiment") or {}).get("label_access", {})
    rows["declared_access"] = [declared.get(method, "none") for method in rows["method"]]
    folder = ledger.path.parent
    artefacts = [json.loads(text) for text in rows["artefacts"]]
    for kind in ("logits", FEATURES):
        rows[kind] = [str(folder / stored[kind]) if kind in stored else "" for stored in artefacts]
    return rows.join(recorded.astype(float))


def of_one_trial(criterion: str) -> str:
    """The criterion itself where a trial scores itself by it, else :data:`STOPPING`: what rungs and live views use."""
    return criterion if criterion in OWN else STOPPING


def with_derived(candidates: pd.DataFrame) -> pd.DataFrame:
    """The candidates with what their stored predictions give: criteria that no trial recorded, and the ensembles'.

    To be asked of all candidates, before some are taken out: those of a pair make up its ensemble. ``logits`` are
    gone: all that is wanted of them is there. Candidates without them are returned as they are.
    """
    if "logits" not in candidates:
        return candidates
    rows = _competing(candidates)
    found = {name: values(rows, name) for name in _OF_LOGITS} | dict(_agreement(rows))
    columns = {name: column.reindex(candidates.index) for name, column in found.items()}
    return candidates.drop(columns="logits").assign(
        **{name: candidates[name].fillna(column) if name in candidates else column for name, column in columns.items()}
    )


def available(candidates: pd.DataFrame) -> list[str]:
    """The criteria that can choose here: some candidate has what they need."""
    known = {name for name in (*OWN, *ENSEMBLES) if name in candidates and candidates[name].notna().any()}
    return [name for name in CRITERIA if known.issuperset(RANKED.get(name, (name,)))]


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
    if criterion not in (*CRITERIA, ORACLE):
        raise KeyError(f"no criterion {criterion!r}: there are {', '.join(CRITERIA)}")
    rows = _competing(candidates)
    rows = rows.assign(selection=criterion, score=_scores(rows, criterion))
    order = rows.sort_values("score", ascending=False, kind="stable")
    return order.groupby(CELL, sort=False).head(1).sort_values(["position", "id"], kind="stable")


def _competing(candidates: pd.DataFrame) -> pd.DataFrame:
    """The trials that compete, in plan order: the eligible ones of one seed a cell."""
    rows = eligible(candidates).sort_values(["position", "id"], kind="stable")
    return rows[rows["seed"] == rows.groupby(CELL)["seed"].transform("first")]


def _scores(rows: pd.DataFrame, criterion: str) -> pd.Series:
    """What each trial is ranked by among those of its cell in ``rows``; finite, higher is better."""
    if criterion == ORACLE:
        return rows["target_accuracy"].fillna(_UNDEFINED)
    pairs = zip(values(rows, criterion).tolist(), rows[_GUARD].tolist(), strict=True)
    return pd.Series([_guarded(value, seen) for value, seen in pairs], index=rows.index, dtype=float)


def values(rows: pd.DataFrame, criterion: str) -> pd.Series:
    """A criterion's value for trials that compete: as recorded, else from stored predictions; NaN where there is none.

    Args:
        rows: candidates of one seed a cell.
        criterion: one of :data:`CRITERIA`.
    """
    if criterion in RANKED:
        cells = [rows[name] for name in CELL]
        ranks = [_scores(rows, part).groupby(cells).rank(pct=True) for part in RANKED[criterion]]
        return sum(ranks[1:], start=ranks[0]) / len(ranks)
    if criterion in ENSEMBLES and criterion not in rows:
        return _agreement(rows)[criterion]
    recorded = rows[criterion]
    if criterion not in _OF_LOGITS or "logits" not in rows or recorded.notna().all():
        return recorded
    later = [
        _of_logits(stored(path), criterion) if math.isnan(value) else value
        for path, value in zip(rows["logits"], recorded, strict=True)
    ]
    return pd.Series(later, index=rows.index, dtype=float)


def _of_logits(logits: NDArray[Any] | None, criterion: str) -> float:
    if logits is None:
        return math.nan
    if criterion == "snd":
        return criteria.soft_neighborhood_density(logits)
    return criteria.prediction_criteria(logits)[criterion]


_OF_PROTOCOL = ["options", "profile", "few"]
_PAIR = ["dataset", "source", "target", "declared_access", *_OF_PROTOCOL]


def _agreement(rows: pd.DataFrame) -> pd.DataFrame:
    """:data:`ENSEMBLES` of trials that compete: see :class:`Ensemble`. Collapsed ones have no vote."""
    protocols = {text: Protocol.decode(text).encode() for text in rows["protocol"].unique()}
    # What a pair's trials must share for their target samples to be the same, and none to have seen their labels.
    parts = {
        name: rows["protocol"].map({t: canonical(p.get(name)) for t, p in protocols.items()}) for name in _OF_PROTOCOL
    }
    found = pd.DataFrame(math.nan, index=rows.index, columns=list(ENSEMBLES))
    if (rows["logits"] == "").all():
        return found
    for _, of_pair in rows.assign(**parts).groupby(_PAIR, sort=False):
        together = criteria.Ensemble()
        votes = _votes(of_pair)
        order: list[Any] = []
        for _, of_cell in of_pair.groupby(CELL, sort=False):
            own = criteria.Ensemble()
            order.extend(of_cell.index)
            for path, vote, vote_of_pair in zip(of_cell["logits"], _votes(of_cell), votes[of_cell.index], strict=True):
                predictions = criteria.Predictions.of(stored(path))
                own.add(predictions, vote)
                together.add(predictions, vote_of_pair)
            found.loc[of_cell.index, "ensemble"] = own.agreement()
        found.loc[order, "pair_ensemble"] = together.agreement()
    return found


def _votes(rows: pd.DataFrame) -> pd.Series:
    sound = rows[_GUARD] > COLLAPSED
    return sound if sound.any() else ~sound


def stored(path: str) -> NDArray[Any] | None:
    """Target logits (n, K) of a trial; None where there is no file of them, or a damaged one."""
    if not path:
        return None
    try:
        # np.load reads archives in small pieces, which takes a third longer, and hands out as bytes what is no array.
        with zipfile.ZipFile(io.BytesIO(Path(path).read_bytes())) as arrays:
            return np.asarray(np.lib.format.read_array(io.BytesIO(arrays.read("target.npy"))))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def runs(candidates: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The whole runs, of any seed, of the chosen trials' params in their cells.

    A chosen trial that was stopped early stands for itself until such a run is there.
    """
    whole = candidates[candidates["state"] == "done"].merge(chosen[_SAME], on=_SAME)
    lacking = chosen[~chosen.set_index(_SAME).index.isin(whole.set_index(_SAME).index)]
    return pd.concat([whole, candidates[candidates["id"].isin(lacking["id"])]])


def summarize(candidates: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Each chosen trial's accuracy over seeds: that of its :func:`runs`.

    Args:
        candidates: see :func:`candidates`.
        chosen: see :func:`choose`.

    Returns:
        ``chosen`` with ``target_accuracy_mean``, ``target_accuracy_std`` (ddof = 1; NaN for a single run),
        ``best_accuracy_mean``, ``seeds`` (their number), and ``trials``, ``epochs_spent_cell``: what the
        search of the cell took.
    """
    over_seeds = (
        runs(candidates, chosen)
        .groupby(_SAME)
        .agg(
            target_accuracy_mean=("target_accuracy", "mean"),
            target_accuracy_std=("target_accuracy", "std"),
            best_accuracy_mean=("best_accuracy", "mean"),
            seeds=("seed", "nunique"),
        )
    )
    search = candidates[candidates["role"] == "search"].groupby(CELL)
    effort = search.agg(trials=("id", "size"), epochs_spent_cell=("epochs_spent", "sum"))
    return chosen.join(over_seeds, on=_SAME).join(effort, on=CELL)


def with_choice(candidates: pd.DataFrame) -> pd.DataFrame:
    """The eligible candidates of the cells that have two or more: where there is something to choose."""
    pool = eligible(candidates)
    return pool[pool.groupby(CELL)["id"].transform("size") > 1]


def regret(candidates: pd.DataFrame, criterion: str = DEFAULT) -> pd.DataFrame:
    """What choosing by a criterion costs against the oracle, cell by cell.

    Returns:
        One row a cell: its columns, ``chosen`` and ``oracle`` (target accuracies in percent), ``regret`` (their
        difference, in points, never negative) and ``trials`` that competed.
    """
    # A report asks for this for every criterion; most of its columns are of no use here.
    wanted = {*_CHOSEN_FROM, criterion, *RANKED.get(criterion, ())}
    candidates = candidates[[name for name in candidates if name in wanted]]
    picked = choose(candidates, criterion).set_index(CELL)["target_accuracy"].rename("chosen")
    best = _competing(candidates).groupby(CELL)["target_accuracy"].max().rename("oracle")
    table = pd.concat([picked, best], axis=1)
    table["regret"] = table["oracle"] - table["chosen"]
    return table.join(eligible(candidates).groupby(CELL).size().rename("trials")).reset_index()
