"""Agreement of trials with their ensemble."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.reports.criteria.base import Comparison
from transfer_sweep.reports.criteria.outputs import Outputs


class Agreement(Comparison):
    """The percentage of target samples on which a trial predicts what all trials that vote together predict.

    The ensemble's prediction is the class of the largest mean softmax. Of trials that came, the predicted classes are
    kept alone. A trial without probabilities has no vote and no agreement.
    """

    def __init__(self) -> None:
        self._total: NDArray[np.float64] | float = 0.0
        self._predicted: list[NDArray[np.intp] | None] = []

    def add(self, trial: Outputs | None, vote: bool) -> None:
        """See :class:`Comparison`."""
        if trial is None or trial.undefined:
            self._predicted.append(None)
            return
        self._predicted.append(trial.classes)
        if vote:
            self._total = self._total + trial.probabilities

    def scores(self) -> list[float]:
        """One percentage a trial; NaN where it has no predictions, or nobody votes."""
        if isinstance(self._total, float):
            return [math.nan] * len(self._predicted)
        together = self._total.argmax(axis=1)
        return [math.nan if own is None else 100.0 * float((own == together).mean()) for own in self._predicted]
