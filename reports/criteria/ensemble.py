"""Agreement of a trial with the ensemble of its cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.reports.criteria.predictions import to_probabilities


@dataclass(frozen=True)
class Predictions:
    """What a trial predicts: probabilities (n, K) and the class of the largest of each row (n,)."""

    probabilities: NDArray[np.float64]
    classes: NDArray[np.intp]

    @classmethod
    def of(cls, logits: NDArray[Any] | None) -> Predictions | None:
        """From logits (n, K); None where there are none, or one is NaN."""
        if logits is None:
            return None
        probabilities = to_probabilities(logits)
        return None if np.isnan(probabilities).any() else cls(probabilities, probabilities.argmax(axis=1))


class Ensemble:
    """EnsV: the percentage of target samples on which a trial predicts what all trials together predict.

    The ensemble's prediction is the class of the largest mean softmax (Hu et al. 2023, Simplifying and Stabilizing
    Model Selection in Unsupervised Domain Adaptation, NeurIPS workshop on distribution shifts). Trials come one by
    one, of which the predicted classes are kept alone.
    """

    def __init__(self) -> None:
        self._total: NDArray[np.float64] | float = 0.0
        self._predicted: list[NDArray[np.intp] | None] = []

    def add(self, trial: Predictions | None, vote: bool) -> None:
        """Take in the next trial.

        Args:
            trial: on the same unlabelled target inputs for all; None where there are none.
            vote: whether the trial is part of the ensemble.
        """
        self._predicted.append(None if trial is None else trial.classes)
        if vote and trial is not None:
            self._total = self._total + trial.probabilities

    def agreement(self) -> list[float]:
        """One percentage a trial; NaN where it has no predictions, or nobody votes."""
        if isinstance(self._total, float):
            return [math.nan] * len(self._predicted)
        together = self._total.argmax(axis=1)
        return [math.nan if own is None else 100.0 * float((own == together).mean()) for own in self._predicted]
