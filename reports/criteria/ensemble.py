"""Agreement of a trial with the ensemble of its cell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.criteria.predictions import to_probabilities


class Ensemble:
    """EnsV: the percentage of target samples on which a trial predicts what all trials together predict.

    The ensemble's prediction is the class of the largest mean softmax (Hu et al. 2023, Simplifying and Stabilizing
    Model Selection in Unsupervised Domain Adaptation, NeurIPS workshop on distribution shifts). Trials come one by
    one, of which the predicted classes are kept alone.
    """

    def __init__(self) -> None:
        self._total: NDArray[np.float64] | float = 0.0
        self._predicted: list[NDArray[np.intp] | None] = []

    def add(self, probabilities: NDArray[np.float64] | None, vote: bool) -> None:
        """Take in the next trial.

        Args:
            probabilities: (n, K) on the same unlabelled target inputs for all; None where there are none.
            vote: whether the trial is part of the ensemble.
        """
        if probabilities is None or np.isnan(probabilities).any():
            self._predicted.append(None)
            return
        self._predicted.append(probabilities.argmax(axis=1))
        if vote:
            self._total = self._total + probabilities

    def agreement(self) -> list[float]:
        """One percentage a trial; NaN where it has no probabilities, one that is NaN, or where nobody votes."""
        if isinstance(self._total, float):
            return [math.nan] * len(self._predicted)
        together = self._total.argmax(axis=1)
        return [math.nan if own is None else 100.0 * float((own == together).mean()) for own in self._predicted]


def agreement_with_ensemble(logits: Iterable[NDArray[Any] | None], votes: Iterable[bool]) -> list[float]:
    """What :class:`Ensemble` gives of trials with these (n, K) logits."""
    ensemble = Ensemble()
    for one, vote in zip(logits, votes, strict=True):
        ensemble.add(None if one is None else to_probabilities(one), vote)
    return ensemble.agreement()
