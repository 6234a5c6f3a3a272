"""The one answer for a pair: which trial of which method to use, chosen without target labels unless some were given.

First each cell's trial by the experiment's criterion, then one of these choices. Scores of different methods are harder
to compare than those of one method's trials: of seventeen rules this is the simplest that none is better than, beyond
chance, on the recorded runs (``python -m benchmarks.recommendation`` makes the table, ``docs/selection.md`` has it):

- where two deep methods or more ran on the pair, the deep method with the best information maximisation. Classical
  methods do not compete: the scale of a 1-NN's or an SVM's scores says nothing of how sure it is, and on none of
  the 13 pairs with both kinds is one of them above the best deep one;
- else the method, of either kind, with the best ``class_cluster``, which looks at predicted classes and at features,
  and at no scale of scores. Where no trial recorded it, information maximisation again.

A trial that predicts at most half of the classes is taken only where all do, as everywhere. What the rule costs against
the best trial of any method, on average over pairs (worst pair), in points: Office-31 0.5 (1.2), MNIST ↔ USPS 0.0,
MNIST → MNIST-M 0.0, ``offline_digits`` 3.4 (7.9), SURF 3.2 (7.5), Amazon reviews 2.1 (6.0); it was picked on these.
On runs since then: ``office_caltech10_styles`` 1.7 (7.6), Office-31 in styles 2.0 (5.8). What it may cost on a pair at
hand, :mod:`.expected_regret` says.

Where the experiment chooses by labels of the target, given or drawn, all methods are compared by them instead, and the
rule decides among equals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports import expected_regret, selection
from transfer_sweep.reports import results as ledgers
from transfer_sweep.reports.drawn_labels import ByLabels
from transfer_sweep.reports.expected_regret import Expected
from transfer_sweep.reports.ledger.records import Cell, Pair, Trial, canonical, planned, protocols
from transfer_sweep.reports.results import COMPARED, Predictions, Results
from transfer_sweep.reports.selection import AMONG_CLASSICAL, AUTO, CLASSICAL, TARGET_LABELS

DEEP = "information_maximization"
"""What deep methods are compared by."""
ANY = AMONG_CLASSICAL
"""What methods are compared by where fewer than two are deep."""

TOO_FAR = 0.3
"""Total variation between the classes' shares in the source and among predictions from which on a report warns."""


@dataclass(frozen=True)
class Recommendation:
    """The trial to use on a pair.

    Attributes:
        trial: itself: method, params, cell, id.
        chosen_by: the criterion that chose inside its cell.
        compared_by: the criterion that chose among methods.
        score: its value by ``compared_by``; NaN where no trial has one.
        collapsed: whether it predicts at most half of the classes, as then all choices do.
        methods: how many competed.
        of_all: whether all methods competed that ran, classical ones too.
        families: of all methods that ran.
        agreement: see :attr:`Choice.agreement`.
        accuracy: on the scored target samples with labels, in percent; NaN where there are none.
        regret: to the best trial of any method that saw no target labels, in points; NaN without labels, and where
            the labels chose that accuracy is measured on.
        labels: how many labels of the target chose, or how many there are where none did; None if not recorded.
        predicted: (K,) share of each class among its predictions; None where they are not stored.
        source: (K,) share of each class in the source; None where it is not recorded.
    """

    trial: Trial
    chosen_by: str
    compared_by: str
    score: float
    collapsed: bool
    methods: int
    of_all: bool
    families: frozenset[str]
    agreement: float
    accuracy: float
    regret: float
    labels: int | None
    predicted: NDArray[np.float64] | None
    source: NDArray[np.float64] | None

    @property
    def cell(self) -> Cell:
        """Where the trial competed."""
        return self.trial.cell

    @property
    def by_labels(self) -> bool:
        """Whether labels of the target chose it."""
        return selection.by_labels(self.chosen_by)

    @property
    def how(self) -> str:
        """How it was chosen, in words."""
        if self.by_labels:
            return self._how_by_labels
        families = self.families if self.of_all else {"deep"}
        applied = {selection.criterion_for(self.chosen_by, family) for family in families}
        of_cells = applied.pop() if len(applied) == 1 else self.chosen_by
        chosen_by, compared_by = (selection.in_words(name) for name in (of_cells, self.compared_by))
        if self.methods == 1:
            return f"the trial of the only method that competes by {chosen_by}"
        kind = "methods" if self.of_all else "deep methods"
        return f"each method's trial by {chosen_by}, and of those of {self.methods} {kind} the best by {compared_by}"

    @property
    def _how_by_labels(self) -> str:
        number = "" if self.labels is None else f"{self.labels:,} "
        drawn = ByLabels.parse(self.chosen_by)
        way = "given" if drawn is None else "drawn"
        labels = f"the {number}label{'s' * (self.labels != 1)} {way} of {self.trial.pair.target}"
        prior = drawn is not None and drawn.prior
        by = f"by expected accuracy, given {labels} and label-free criteria" if prior else f"by accuracy on {labels}"
        if self.methods == 1:
            return f"the trial of the only method {by}"
        return f"of the trials of {self.methods} methods the best {by}"

    @property
    def expected(self) -> Expected:
        """The regret to expect of it, from how far it agrees with other choices; NaN unless ``auto`` chose these.

        It is calibrated for them alone; a criterion that is the same for the methods that ran will do.
        """
        calibrated = selection.same(self.chosen_by, AUTO, self.families)
        return expected_regret.expected(self.agreement if calibrated else math.nan)

    @property
    def shift_of_classes(self) -> float:
        """Total variation, in [0, 1], between ``predicted`` and ``source``; NaN where one is not known."""
        if self.predicted is None or self.source is None or self.predicted.shape != self.source.shape:
            return math.nan
        return round(float(np.abs(self.predicted - self.source).sum() / 2), 9)


@dataclass(frozen=True)
class Choice:
    """A cell's chosen trial among those of the other methods on its pair.

    Attributes:
        row: of :func:`transfer_sweep.reports.selection.candidates`, among others.
        competes: whether its score can be compared with that of the best.
        score: by which it is ranked.
        collapsed: whether it predicts at most half of the classes.
        agreement: the percentage of target samples on which it predicts what another choice does, the mean over the
            other choices; NaN where there is none to compare with.
        predicted: (K,) share of each class among its predictions; None where they are not stored.
    """

    row: pd.Series
    competes: bool
    score: float
    collapsed: bool
    agreement: float
    predicted: NDArray[np.float64] | None


@dataclass(frozen=True)
class Ranking:
    """The choices of a pair's cells, the best first.

    Attributes:
        compared_by: the criterion by which those are ranked that compete.
        choices: those that compete, then the others.
        best_accuracy: of any trial of these methods, in percent; NaN without labels.
    """

    compared_by: str
    choices: Sequence[Choice]
    best_accuracy: float


def recommend(results: Results | Path) -> dict[Pair, Recommendation]:
    """One trial for each pair on which a method ran that saw no target labels; in plan order.

    No target label takes part in it, unless the experiment chooses by labels: see :attr:`Recommendation.by_labels`.

    Args:
        results: an experiment, or its ledger.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
    """
    experiment = ledgers.read(results) if isinstance(results, Path) else results
    return {pair: _recommended(experiment, pair, ranking) for pair, ranking in rankings(experiment).items()}


def rankings(results: Results) -> dict[Pair, Ranking]:
    """The choices of each pair's cells, ranked, without target labels unless these chose; in plan order."""
    rows = competitors(results)
    chosen = selection.choose(rows, results.criterion)
    found = {}
    for key, of_pair in chosen.groupby(["source", "target"], sort=False):
        pair = Pair(*map(str, key))
        accuracies = rows[(rows["source"] == pair.source) & (rows["target"] == pair.target)]["target_accuracy"]
        found[pair] = _ranked(results, of_pair, float(accuracies.max()))
    return found


def competitors(results: Results) -> pd.DataFrame:
    """The candidates that may be recommended: on a pair, and trained without target labels."""
    rows = selection.eligible(results.candidates)
    on_a_pair = (rows["source"] != rows["target"]) & ~rows["method"].isin(COMPARED)
    return rows[on_a_pair & results.unsupervised(rows)]


def compared(choices: pd.DataFrame) -> tuple[str, pd.Series, pd.Series]:
    """The rule: what a pair's choices are compared by.

    Args:
        choices: the chosen trial of each cell of a pair, with the ``family`` of its method.

    Returns:
        The criterion; of each choice its guarded score by it; and whether it competes.
    """
    deep = choices["family"] != CLASSICAL
    if choices.loc[deep, "method"].nunique() >= 2:
        return DEEP, selection.scores(choices, DEEP), deep
    recorded = ANY in choices and bool(choices[ANY].notna().any())
    criterion = ANY if recorded else DEEP
    return criterion, selection.scores(choices, criterion), pd.Series(data=True, index=choices.index)


def _ranked(results: Results, choices: pd.DataFrame, best: float) -> Ranking:
    criterion, scores, competes = compared(choices)
    order = _descending(choices.assign(competes=competes, score=scores))
    if selection.by_labels(results.criterion):  # the rule without labels decides among equals
        criterion = results.criterion
        order = _descending(order.assign(competes=True, score=choices["score"]))
    predictions = [results.predictions(str(trial)) for trial in order["id"]]
    options = [canonical(dict(protocol.options)) for protocol in protocols(order["protocol"])]
    samples = list(zip(order["seed"], options, strict=True))  # trials that share both have the same target samples
    ranked = [
        Choice(
            order.iloc[i],
            bool(order["competes"].iloc[i]),
            *selection.unguarded(float(order["score"].iloc[i])),
            _agreement(own, [other for j, other in enumerate(predictions) if j != i and samples[j] == samples[i]]),
            _shares(own),
        )
        for i, own in enumerate(predictions)
    ]
    return Ranking(criterion, ranked, best)


def _descending(choices: pd.DataFrame) -> pd.DataFrame:
    """Those that compete first, each by its score; equals stay in order."""
    return choices.sort_values(["competes", "score"], ascending=False, kind="stable")


def _recommended(results: Results, pair: Pair, ranking: Ranking) -> Recommendation:
    first = ranking.choices[0]
    (trial,) = planned(first.row.to_frame().T)
    accuracy = float(first.row["target_accuracy"])
    competing = [choice.row["method"] for choice in ranking.choices if choice.competes]
    counts, of_target = (results.samples.get(domain) for domain in pair)
    drawn = ByLabels.parse(results.criterion)
    labels = drawn.number if drawn is not None else None if of_target is None else of_target.labelled
    return Recommendation(
        trial,
        results.criterion,
        ranking.compared_by,
        first.score,
        first.collapsed,
        len(set(competing)),
        len(competing) == len(ranking.choices),
        frozenset(choice.row["family"] for choice in ranking.choices),
        first.agreement,
        accuracy,
        math.nan if results.criterion == TARGET_LABELS else ranking.best_accuracy - accuracy,
        labels,
        first.predicted,
        None if counts is None else counts.shares,
    )


def _agreement(own: Predictions | None, others: Sequence[Predictions | None]) -> float:
    if own is None:
        return math.nan
    same = [other.classes for other in others if other is not None and other.classes.shape == own.classes.shape]
    return 100.0 * float(np.mean([np.mean(own.classes == classes) for classes in same])) if same else math.nan


def _shares(predictions: Predictions | None) -> NDArray[np.float64] | None:
    if predictions is None or not len(predictions.classes):
        return None
    return np.bincount(predictions.classes, minlength=predictions.number) / len(predictions.classes)
