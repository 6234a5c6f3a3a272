"""How trials are chosen: the one place. Scheduler, confirmation pass, ``evaluate`` and reports all call it.

A criterion is computed without target labels; ``oracle`` chooses by target accuracy and is for reporting only. A
trial scores itself by most criteria; some compare the trials of a cell, and can choose but not stop. Which there are,
:mod:`transfer_sweep.reports.criteria` says, a file each. A few labels of the target can choose, too, and can neither
stop nor be offered where there are none: ``target_labels`` are those that the user gave, which accuracy is measured
on as well; ``labels(50)`` are drawn ones that are taken out of it, see :mod:`transfer_sweep.reports.drawn_labels`.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep import UserError, plugins
from transfer_sweep.reports import drawn_labels
from transfer_sweep.reports.criteria import registry
from transfer_sweep.reports.criteria.base import ByFamily, EnsembleCriterion, Evidence, MeanRank, Need, TrialCriterion
from transfer_sweep.reports.criteria.outputs import Outputs
from transfer_sweep.reports.drawn_labels import ON_DRAWN, PREDICTIONS, ByLabels
from transfer_sweep.reports.label_posterior import PRIOR, LabelPosterior, Prior
from transfer_sweep.reports.ledger import records
from transfer_sweep.reports.ledger.artefacts import FEATURES, LOGITS, predicted_classes
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import LOST, Cell, TrialState, canonical

AUTO = "auto"
"""What experiments choose by that name nothing else."""
DEFAULT = "information_maximization"
"""What trials of any family are compared by: in ledgers that name no criterion, and among equals."""
STOPPING = "information_maximization"
"""What early stopping compares where the criterion that chooses cannot stop."""
ORACLE = "oracle"
CONTROL = "control"
"""The role of trials of ``source_only`` with another trial's batch-norm statistics and shared hyperparameters."""
TARGET_LABELS = "target_labels"
"""Chooses by accuracy on the labels that the user gave of the target. What it chooses is no unsupervised result."""

CLASSICAL = "shallow"
"""The family of methods whose scores have no common scale."""
AMONG_CLASSICAL = "class_cluster"
"""What trials of classical methods are compared by across methods, where they recorded it."""

CRITERIA: Mapping[str, str] = registry.Selected(lambda each: each.text)
"""Everything that can choose, and what it is."""

PER_TRIAL = registry.of_kind(TrialCriterion)  # type: ignore[type-abstract]
"""Criteria by which a trial scores itself: they can stop trials, and choose."""

ENSEMBLES = registry.of_kind(EnsembleCriterion)  # type: ignore[type-abstract]
"""Criteria that compare a trial's predictions with those of others."""

RANKED = registry.of_kind(MeanRank)
"""Criteria that are the mean of a trial's ranks in its cell by others."""

BY_FAMILY = registry.of_kind(ByFamily)
"""Criteria that are another one in cells of deep methods than in those of classical ones."""

_FROM_LOGITS = registry.Selected(
    lambda each: each if isinstance(each, TrialCriterion) and each.needs == {Need.PREDICTIONS} else None
)
"""What can be computed from stored predictions where a trial has not recorded it."""

CELL = [*Cell.COLUMNS]
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
    "family",
    "logits",
    ON_DRAWN,
    PREDICTIONS,
]


def guarded_score(recorded: Mapping[str, float | None], criterion: str = DEFAULT) -> float:
    """What a trial is ranked by: its criterion, with a guard against collapse. Always finite; higher is better.

    Entropy is best, and information maximisation may be good, where a model puts the target into few classes. In
    closed-set adaptation every class occurs in the target, so a model that predicts at most half of the classes
    gives every sample of the others away: with balanced classes it cannot pass 50 %. Such a trial ranks below
    every one that predicts more, and among its like by the criterion. "At most" half, so that with two classes a
    model that sees only one counts. A criterion that is missing or not finite, or predictions that are
    NaN, rank last of all.

    Args:
        recorded: the values of one epoch, as they are recorded; a missing ``predicted_classes`` means no guard.
        criterion: one of :data:`PER_TRIAL`.

    Raises:
        KeyError: there is no such criterion, or it compares trials.
    """
    if criterion not in PER_TRIAL:
        raise KeyError(f"no criterion {criterion!r} of a single trial: there are {', '.join(PER_TRIAL)}")
    return guarded(recorded.get(PER_TRIAL[criterion].key), recorded.get(_GUARD, 1.0))


def guarded(value: float | None, seen: float | None) -> float:
    """:func:`guarded_score` of a criterion's value where ``seen`` is the share of classes that are predicted."""
    if value is None or seen is None or not math.isfinite(value) or not math.isfinite(seen):
        return _UNDEFINED
    score = max(-_LIMIT, min(_LIMIT, float(value)))
    return score - 4 * _LIMIT if seen <= COLLAPSED else score


def unguarded(score: float) -> tuple[float, bool]:
    """The criterion's value that a :func:`guarded` score was made of, NaN of none; and whether the trial collapsed."""
    if score <= _UNDEFINED:
        return math.nan, False
    collapsed = score < -2 * _LIMIT
    return (score + 4 * _LIMIT if collapsed else score), collapsed


def candidates(ledger: Ledger, everything: bool = False) -> pd.DataFrame:
    """What is chosen among and averaged: the :func:`reported` trials but for controls, which never compete."""
    rows = reported(ledger, everything)
    return rows[rows["role"] != CONTROL].reset_index(drop=True)


def reported(ledger: Ledger, everything: bool = False) -> pd.DataFrame:
    """Every trial that reported at least once, at its last reported epoch, stopped ones included; in plan order.

    Args:
        ledger: an open ledger.
        everything: trials of former plans, too, but for :func:`outdated` ones.

    Returns:
        One row a trial: the columns of the ledger's trials, ``epoch``, ``target_accuracy`` and ``best_accuracy``
        (the best over its epochs) in percent, ``epochs_spent``, ``seconds``, ``logits`` and ``features`` (the files
        of its predictions and of what is kept for figures, or an empty text), ``declared_access`` (which target
        labels its method sees, few ones of the protocol aside), the ``family`` of its method, and one column for each
        criterion of :data:`PER_TRIAL` (NaN where it was not recorded, as by another version of it, or not finite).
        ``params`` and ``protocol`` are canonical JSON. Where labels were drawn to choose by, accuracies are without
        those samples, and :func:`drawn_labels.apply` says what is added.
    """
    rows = ledger.outcomes(everything)
    if everything:
        rows = rows[~rows["id"].isin(outdated(ledger))]
    # As in guarded_score, a record without the guard's value is taken for sound; null (of NaN) is not.
    recorded = pd.DataFrame(
        [{_GUARD: 1.0, **registry.by_name(json.loads(text))} for text in rows.pop("criteria")], index=rows.index
    )
    recorded = recorded.reindex(columns=list(dict.fromkeys([*PER_TRIAL, _GUARD, *recorded])))
    numbers = ["target_accuracy", "best_accuracy"]
    rows[numbers] = rows[numbers].astype(float)
    experiment = ledger.meta("experiment") or {}
    for column, key, otherwise in (("declared_access", "label_access", "none"), ("family", "family", "")):
        rows[column] = [experiment.get(key, {}).get(method, otherwise) for method in rows["method"]]
    folder = ledger.path.parent
    artefacts = [json.loads(text) for text in rows["artefacts"]]
    for kind in (LOGITS, FEATURES):
        rows[kind] = [str(folder / stored[kind]) if kind in stored else "" for stored in artefacts]
    rows = drawn_labels.apply(rows, drawn_labels.decode(ledger.meta(drawn_labels.META)))
    return rows.join(recorded.astype(float))


def outdated(ledger: Ledger) -> frozenset[str]:
    """Ids of trials by an earlier version of their method than the newest one in the ledger: never shown with it."""
    trials = ledger.trials(everything=True)
    versions = pd.Series([protocol.version for protocol in records.protocols(trials["protocol"])], dtype=int)
    return frozenset(trials["id"][versions < versions.groupby(trials["method"]).transform("max")])


def of_these_versions(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose columns bear the keys of criteria, with their names instead; other versions' columns are left out."""
    names = registry.by_name({str(key): key for key in rows})
    return rows[list(names.values())].set_axis(list(names), axis="columns")


def stopping_criterion_for(criterion: str) -> str:
    """The criterion itself where a trial scores itself by it, else :data:`STOPPING`: what rungs and live views use."""
    return criterion if criterion in PER_TRIAL else STOPPING


def describe(name: str) -> str:
    """What chooses, in words: one of :data:`CRITERIA`, or labels.

    Raises:
        KeyError: there is no such criterion.
    """
    drawn = ByLabels.parse(name)
    if drawn is not None:
        return drawn.text
    return "accuracy on the labels that were given of the target" if name == TARGET_LABELS else CRITERIA[name]


def known(name: str) -> bool:
    """Whether there is such a way of choosing, the oracle aside: one of :data:`CRITERIA`, or by labels."""
    return name in CRITERIA or by_labels(name)


def by_labels(criterion: str) -> bool:
    """Whether labels of the target choose: then nothing that is chosen is an unsupervised result."""
    return criterion == TARGET_LABELS or ByLabels.parse(criterion) is not None


def in_words(name: str) -> str:
    """A criterion, ``target_labels`` or ``oracle`` as prose has it."""
    return name.replace("_", " ")


def compares_trials(criterion: str, families: Iterable[str] = ("", CLASSICAL)) -> bool:
    """Whether a trial's value by a criterion depends on other trials, so that each new one may change a choice.

    Args:
        criterion: one of :data:`CRITERIA`, or by labels.
        families: of the methods whose trials are meant.
    """
    drawn = ByLabels.parse(criterion)
    applied = {criterion_for(criterion, family) for family in families}
    return (drawn is not None and drawn.prior) or any(each in ENSEMBLES or each in RANKED for each in applied)


def compares_over_pair(criterion: str, family: str) -> bool:
    """Whether a choice in a cell of a method of a family depends on trials of the pair's other cells."""
    drawn = ByLabels.parse(criterion)
    parts = parts_of(criterion_for(criterion, family))
    over_pair = any(part in ENSEMBLES and Need.PAIR in ENSEMBLES[part].needs for part in parts)
    return (drawn is not None and drawn.prior) or over_pair


def criterion_for(criterion: str, family: str) -> str:
    """What chooses in cells of methods of a family: the criterion itself where it is the same for all."""
    if criterion not in BY_FAMILY:
        return criterion
    return BY_FAMILY[criterion].shallow if family == CLASSICAL else BY_FAMILY[criterion].deep


def same(criterion: str, other: str, families: Iterable[str]) -> bool:
    """Whether two criteria are one in cells of methods of these families."""
    return all(criterion_for(criterion, family) == criterion_for(other, family) for family in families)


def parts_of(criterion: str) -> tuple[str, ...]:
    """The criteria that a criterion is made of; itself where it is none of :data:`RANKED` and :data:`BY_FAMILY`."""
    if criterion in BY_FAMILY:
        own = BY_FAMILY[criterion]
        return tuple(dict.fromkeys((*parts_of(own.deep), *parts_of(own.shallow))))
    return RANKED[criterion].parts if criterion in RANKED else (criterion,)


def with_derived(candidates: pd.DataFrame, criterion: str = DEFAULT) -> pd.DataFrame:
    """The candidates with what their stored predictions give: criteria that no trial recorded, and the ensembles'.

    To be asked of all candidates, before some are taken out: those of a pair make up its ensemble. ``logits`` are
    gone: all that is wanted of them is there. Candidates without them are returned as they are.

    Args:
        candidates: see :func:`candidates`.
        criterion: what chooses, which has a column, too, where it is by labels and compares trials.
    """
    if "logits" not in candidates:
        return candidates
    rows = competing(candidates)
    found = {name: values(rows, name) for name in _FROM_LOGITS} | dict(_compared(rows))
    if by_labels(criterion) and compares_trials(criterion):
        found[criterion] = values(rows, criterion)
    columns = {name: column.reindex(candidates.index) for name, column in found.items()}
    return candidates.drop(columns="logits").assign(
        **{name: candidates[name].fillna(column) if name in candidates else column for name, column in columns.items()}
    )


def available(candidates: pd.DataFrame) -> list[str]:
    """The criteria that can choose here: some candidate has what they need."""
    known = {name for name in (*PER_TRIAL, *ENSEMBLES) if name in candidates and candidates[name].notna().any()}
    return [name for name in CRITERIA if known.issuperset(parts_of(name))]


def eligible(candidates: pd.DataFrame) -> pd.DataFrame:
    """The candidates that may be chosen: trials of the search that did not fail."""
    return candidates[(candidates["role"] == "search") & ~candidates["state"].isin(LOST)]


def choose(candidates: pd.DataFrame, criterion: str = DEFAULT) -> pd.DataFrame:
    """The chosen trial of each cell.

    Trials of the search compete, those of one seed (that of the cell's first trial in the plan: only ``--all``
    brings others); confirmation runs do not, nor trials that failed, which the next run tries again. Equal scores
    are decided by the place in the plan; equal accuracies on labels, of which there may be few, by :data:`DEFAULT`
    first, which decides all among trials of methods that are trained on target labels: drawn labels may be among them.

    Args:
        candidates: see :func:`candidates`.
        criterion: one of :data:`CRITERIA`; by labels (:func:`by_labels`), which ranks as they do; or ``oracle``: the
            highest target accuracy, be the trial collapsed.

    Returns:
        One row of ``candidates`` a cell, in plan order, with the columns ``selection`` (the criterion) and
        ``score`` added.

    Raises:
        UnknownNameError: there is no such criterion; it is a KeyError.
        UserError: it is by drawn labels, and so many were not drawn.
    """
    if criterion != ORACLE and not known(criterion):
        raise plugins.unknown(plugins.Kind.CRITERIA, criterion, CRITERIA)
    rows = competing(candidates)
    rows = rows.assign(selection=criterion, score=scores(rows, criterion))
    if by_labels(criterion):
        rows = rows.loc[scores(rows, DEFAULT).sort_values(ascending=False, kind="stable").index]
    order = rows.sort_values("score", ascending=False, kind="stable")
    return order.groupby(CELL, sort=False).head(1).sort_values(["position", "id"], kind="stable")


def competing(candidates: pd.DataFrame) -> pd.DataFrame:
    """The trials that compete, in plan order: the eligible ones of one seed a cell."""
    rows = eligible(candidates).sort_values(["position", "id"], kind="stable")
    return rows[rows["seed"] == rows.groupby(CELL)["seed"].transform("first")]


def scores(rows: pd.DataFrame, criterion: str) -> pd.Series:
    """What each trial is ranked by; finite, higher is better. Criteria that compare trials do so within ``rows``."""
    if criterion == ORACLE:
        return rows["target_accuracy"].fillna(_UNDEFINED)
    pairs = zip(values(rows, criterion).tolist(), rows[_GUARD].tolist(), strict=True)
    return pd.Series([guarded(value, seen) for value, seen in pairs], index=rows.index, dtype=float)


def values(rows: pd.DataFrame, criterion: str) -> pd.Series:
    """A criterion's value for trials that compete: as recorded, else from stored predictions; NaN where there is none.

    Args:
        rows: candidates of one seed a cell.
        criterion: one of :data:`CRITERIA`, or by labels.
    """
    if criterion == TARGET_LABELS:
        return rows["target_accuracy"]
    drawn = ByLabels.parse(criterion)
    if drawn is not None:
        return rows[criterion] if criterion in rows else _by_drawn(rows, drawn)
    if criterion in RANKED or criterion in BY_FAMILY:
        return _combined(rows, criterion)
    if criterion in ENSEMBLES and criterion not in rows:
        return _compared(rows)[criterion]
    recorded = rows[criterion]
    if criterion not in _FROM_LOGITS or "logits" not in rows or recorded.notna().all():
        return recorded
    later = [
        _from_logits(path, PER_TRIAL[criterion]) if math.isnan(value) else value
        for path, value in zip(rows["logits"], recorded, strict=True)
    ]
    return pd.Series(later, index=rows.index, dtype=float)


def _combined(rows: pd.DataFrame, criterion: str) -> pd.Series:
    """The mean of ranks; or by family what chooses in a trial's cell, :data:`DEFAULT` where no trial there has it."""
    cells = [rows[name] for name in CELL]
    if criterion in RANKED:
        ranks = [scores(rows, part).groupby(cells).rank(pct=True).to_numpy() for part in parts_of(criterion)]
        return pd.Series(RANKED[criterion].compute(ranks), index=rows.index)
    found = pd.Series(math.nan, index=rows.index)
    for family, of_family in rows.groupby("family").groups.items():
        found[of_family] = values(rows, criterion_for(criterion, str(family)))[of_family]
    return found.mask(found.isna().groupby(cells).transform("all"), rows[DEFAULT])


def _from_logits(path: str, criterion: TrialCriterion) -> float | None:
    logits = stored_logits(path)
    return math.nan if logits is None else criterion.compute(Evidence.of_logits(logits))


def _by_drawn(rows: pd.DataFrame, by: ByLabels) -> pd.Series:
    """Accuracies in percent on the first of the drawn labels, or what is expected given them; NaN where unknown.

    Raises:
        UserError: so many were not drawn.
    """
    if ON_DRAWN not in rows or any(right is not None and len(right) < by.number for right in rows[ON_DRAWN]):
        raise UserError(
            f"{by} needs that many labels drawn of each target: `python -m sweep run NAME --set criterion='{by}'` "
            "draws them, and trains nothing anew"
        )
    unseen = (rows["declared_access"] == "none") & rows[ON_DRAWN].notna()
    right = {trial: own[: by.number] for trial, own in rows.loc[unseen, ON_DRAWN].items()}
    if not by.prior:
        return pd.Series({trial: 100.0 * own.mean() for trial, own in right.items()}, dtype=float).reindex(rows.index)
    found = pd.Series(math.nan, index=rows.index)
    for _, of_pair in _with_pair(rows.loc[unseen]).groupby(_PAIR, sort=False):
        trials = [trial for trial, sound in _votes(of_pair).items() if sound]
        pair = of_pair.loc[trials]
        posterior = label_posterior(pair, np.array([predicted_classes(path) for path in pair[PREDICTIONS]]))
        found[trials] = 100 * posterior.given(np.array([right[trial] for trial in trials])).means
    return found


def label_posterior(rows: pd.DataFrame, predictions: NDArray[np.integer], prior: Prior = PRIOR) -> LabelPosterior:
    """What labels are to say of a pair's trials, with the criteria as prior by which they are compared without any.

    Args:
        rows: the trials, none of them collapsed unless all are.
        predictions: (T, N) what they predict for the target's training inputs.
        prior: what else is known.
    """
    deep = (rows["family"] != CLASSICAL).to_numpy()
    score = scores(rows, DEFAULT).to_numpy(copy=True)
    if AMONG_CLASSICAL in rows and rows.loc[~deep, AMONG_CLASSICAL].notna().all():
        score[~deep] = scores(rows.loc[~deep], AMONG_CLASSICAL)
    return LabelPosterior(predictions, score, deep, prior)


_PAIR = ["dataset", "source", "target", "seed", "declared_access", "options", "profile", "few"]


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    """:data:`ENSEMBLES` of trials that compete, whose stored predictions are read once. Collapsed ones have no vote."""
    found = pd.DataFrame(math.nan, index=rows.index, columns=list(ENSEMBLES))
    if (rows["logits"] == "").all():
        return found
    over_pair = [name for name, each in ENSEMBLES.items() if Need.PAIR in each.needs]
    over_cell = [name for name in ENSEMBLES if name not in over_pair]
    for _, of_pair in _with_pair(rows).groupby(_PAIR, sort=False):
        in_pair = {name: ENSEMBLES[name].compute() for name in over_pair}
        votes_in_pair = _votes(of_pair)
        order: list[Any] = []
        for _, of_cell in of_pair.groupby(CELL, sort=False):
            in_cell = {name: ENSEMBLES[name].compute() for name in over_cell}
            votes_in_cell = _votes(of_cell)
            order.extend(of_cell.index)
            for trial, path in of_cell["logits"].items():
                logits = stored_logits(path)
                outputs = None if logits is None else Outputs.of_logits(logits)
                for comparison in in_cell.values():
                    comparison.add(outputs, votes_in_cell[trial])
                for comparison in in_pair.values():
                    comparison.add(outputs, votes_in_pair[trial])
            for name, comparison in in_cell.items():
                found.loc[of_cell.index, name] = comparison.scores()
        for name, comparison in in_pair.items():
            found.loc[order, name] = comparison.scores()
    return found


def _with_pair(rows: pd.DataFrame) -> pd.DataFrame:
    """With what a pair's trials must share for their target samples to be the same, and none to have seen labels."""
    protocols = records.protocols(rows["protocol"])
    return rows.assign(
        options=[canonical(dict(protocol.options)) for protocol in protocols],
        profile=[protocol.profile for protocol in protocols],
        few=[protocol.few_text for protocol in protocols],
    )


def _votes(rows: pd.DataFrame) -> dict[Any, bool]:
    """Which trials have a say: those that did not collapse; all where all did."""
    sound = rows[_GUARD] > COLLAPSED
    return (sound if sound.any() else ~sound).to_dict()


def stored_logits(path: str) -> NDArray[Any] | None:
    """Target logits (n, K) of a trial; None where there is no file of them, or a damaged one."""
    if not path:
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            logits = arrays["target"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return logits if isinstance(logits, np.ndarray) else None  # NumPy hands out the bytes of what is no array


def runs(candidates: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """The whole runs, of any seed, of the chosen trials' params in their cells.

    A chosen trial that was stopped early stands for itself until such a run is there.
    """
    whole = candidates[candidates["state"] == TrialState.DONE].merge(chosen[_SAME], on=_SAME)
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
    wanted = {*_CHOSEN_FROM, DEFAULT, criterion, *parts_of(criterion)}
    candidates = candidates[[name for name in candidates if name in wanted]]
    picked = choose(candidates, criterion).set_index(CELL)["target_accuracy"].rename("chosen")
    best = competing(candidates).groupby(CELL)["target_accuracy"].max().rename("oracle")
    table = pd.concat([picked, best], axis=1)
    table["regret"] = table["oracle"] - table["chosen"]
    return table.join(eligible(candidates).groupby(CELL).size().rename("trials")).reset_index()
