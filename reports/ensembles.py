"""The ensemble of a pair: the mean softmax of the best quarter of its trials. It stands beside the recommendation.

It is no recommendation: it is many models to keep, and nothing says that it is better on the pair at hand. Where it
predicts otherwise than the recommended trial, one of the two is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports import recommendation, selection
from transfer_sweep.reports.criteria.outputs import Outputs
from transfer_sweep.reports.ledger.records import Pair, Trial, canonical
from transfer_sweep.reports.recommendation import Recommendation
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.selection import CLASSICAL

SHARE = 0.25
META = "ensembles"
"""What the ledger keeps under: pair → :class:`Measured`."""


class Measured(NamedTuple):
    """What the driver, who has the labels, found of an ensemble.

    Attributes:
        members: the ids of its trials.
        accuracy: on the target samples with labels but for drawn ones, in percent.
        drawn: the target's training inputs whose labels were drawn to choose by.
    """

    members: list[str]
    accuracy: float
    drawn: Sequence[int] = ()


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
    """Of a pair's ensemble, in percent; NaN where it was not measured, or of other trials or on other samples."""
    record = results.ensembles.get(str(pair))
    measured = None if record is None else Measured(**record)
    if measured is None or (tuple(measured.members), tuple(measured.drawn)) != (ensemble.members, drawn(results, pair)):
        return math.nan
    return measured.accuracy


def drawn(results: Results, pair: Pair) -> tuple[int, ...]:
    """The target's training inputs whose labels were drawn to choose by, on which no accuracy is; often none."""
    found = results.drawn.get(pair.target)
    return () if found is None else found.rows


def of_pairs(results: Results, found: Mapping[Pair, Recommendation]) -> dict[Pair, Ensemble]:
    """The ensembles that stand beside recommended trials, of trials that see no target label.

    Of one seed a cell, those that did not collapse and whose predictions are stored, of the kinds of methods that
    compete for the recommendation, and with the recommended trial's target samples. A quarter of them is rounded up.

    Args:
        results: the experiment.
        found: see :func:`transfer_sweep.reports.recommendation.recommend`.

    Returns:
        Nothing of pairs where the recommended trial's predictions are not stored, and where classical methods compete:
        the softmaxes of these have no common scale.
    """
    rows = selection.competing(recommendation.competitors(results))
    together = {pair: _of_pair(results, rows, pair, each.trial) for pair, each in found.items()}
    return {pair: ensemble for pair, ensemble in together.items() if ensemble is not None}


def _of_pair(results: Results, rows: pd.DataFrame, pair: Pair, recommended: Trial) -> Ensemble | None:
    own = results.predictions(recommended.id)
    rows = rows[(rows["source"] == pair.source) & (rows["target"] == pair.target)]
    criterion, scores, competes = recommendation.compared(rows)
    if own is None or (rows.loc[competes, "family"] == CLASSICAL).any():
        return None
    same = (rows["seed"] == recommended.seed) & (rows["options"] == canonical(dict(recommended.protocol.options)))
    rows = rows[competes & same & (rows["predicted_classes"] > selection.COLLAPSED)]
    best = rows.loc[scores[rows.index].sort_values(ascending=False, kind="stable").index, "id"].astype(str)
    stored = [trial for trial in best if results.has_predictions(trial)]
    members: list[str] = []
    total = np.zeros((len(own.classes), own.number))
    for trial in stored[: math.ceil(SHARE * len(stored))]:
        logits = results.logits(trial)
        outputs = None if logits is None else Outputs.of_logits(logits)
        if outputs is None or outputs.undefined or outputs.probabilities.shape != total.shape:
            continue
        total += outputs.probabilities
        members.append(trial)
    return Ensemble(tuple(members), criterion, total / len(members)) if members else None
