"""The ensemble of a pair: the mean softmax of the best quarter of its trials. It stands beside the recommendation.

It is no recommendation: it is many models to keep, and nothing says that it is better on the pair at hand. Where it
predicts otherwise than the recommended trial, one of the two is wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports import recommendation, selection
from transfer_sweep.reports.criteria.outputs import Outputs
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.reports.results import Results

SHARE = 0.25
META = "ensembles"
"""What the ledger keeps under: pair → :class:`Measured`, or null."""


class Measured(NamedTuple):
    """What the driver, who has the labels, found of an ensemble.

    Attributes:
        members: the ids of its trials.
        accuracy: on the target samples with labels, in percent.
    """

    members: list[str]
    accuracy: float


@dataclass(frozen=True)
class Ensemble:
    """What the best trials of a pair predict together, for the unlabelled target training inputs.

    Attributes:
        members: the ids of its trials, the best first.
        chosen_by: the criterion whose best quarter they are: what the pair's methods are compared by.
        probabilities: (n, K) their mean softmax.
    """

    members: tuple[str, ...]
    chosen_by: str
    probabilities: NDArray[np.float64]

    @property
    def classes(self) -> NDArray[np.intp]:
        """(n,) what it predicts."""
        classes: NDArray[np.intp] = self.probabilities.argmax(axis=1)
        return classes

    def agreement(self, classes: NDArray[np.integer]) -> float:
        """The percentage of samples of which it predicts these (n,) classes."""
        return 100.0 * float((self.classes == classes).mean())


def accuracy(results: Results, pair: Pair, ensemble: Ensemble) -> float:
    """Of a pair's ensemble, in percent; NaN where it was not measured, or other trials made it up then."""
    record = results.ensembles.get(str(pair))
    measured = None if record is None else Measured(**record)
    return math.nan if measured is None or tuple(measured.members) != ensemble.members else measured.accuracy


def of_pair(results: Results, pair: Pair) -> Ensemble | None:
    """The ensemble of a pair's trials that see no target label; None where predictions of none are stored.

    Of one seed a cell, those that did not collapse, of the kinds of methods that compete for the recommendation. A
    quarter of them is rounded up.

    Args:
        results: the experiment.
        pair: one of :func:`transfer_sweep.reports.recommendation.rankings`.
    """
    rows = selection.competing(recommendation.competitors(results))
    rows = rows[(rows["source"] == pair.source) & (rows["target"] == pair.target)]
    criterion, scores, competes = recommendation.compared(rows)
    return mean_of_best(results, rows[competes], criterion, scores[competes])


def mean_of_best(results: Results, rows: pd.DataFrame, criterion: str, scores: pd.Series) -> Ensemble | None:
    """The mean softmax of the first quarter of some trials by their scores."""
    order = scores[rows["predicted_classes"] > selection.COLLAPSED].sort_values(ascending=False, kind="stable")
    members: list[str] = []
    total: NDArray[np.float64] | None = None
    for trial in rows.loc[order.index, "id"].astype(str).head(math.ceil(SHARE * len(order))):
        logits = results.logits(trial)
        outputs = None if logits is None else Outputs.of_logits(logits)
        if outputs is None or outputs.undefined or (total is not None and outputs.probabilities.shape != total.shape):
            continue
        total = outputs.probabilities if total is None else total + outputs.probabilities
        members.append(trial)
    return None if total is None else Ensemble(tuple(members), criterion, total / len(members))
