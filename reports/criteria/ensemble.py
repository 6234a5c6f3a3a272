"""Agreement of a trial with the ensemble of its cell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.criteria.predictions import to_probabilities


def agreement_with_ensemble(logits: Iterable[NDArray[Any] | None], votes: Iterable[bool]) -> list[float]:
    """EnsV: the percentage of target samples on which a trial predicts what all trials together predict.

    The ensemble's prediction is the class of the largest mean softmax (Hu et al. 2023, Simplifying and Stabilizing
    Model Selection in Unsupervised Domain Adaptation, NeurIPS workshop on distribution shifts).

    Args:
        logits: of each trial, (n, K) on the same unlabelled target inputs; None where there are none.
        votes: whether the trial is part of the ensemble.

    Returns:
        One percentage a trial; NaN where it has no logits, one that is NaN, or where nobody votes.
    """
    total: NDArray[np.float64] | float = 0.0
    predicted: list[NDArray[np.intp] | None] = []
    for one, vote in zip(logits, votes, strict=True):
        shares = None if one is None else to_probabilities(one)
        sound = shares is not None and not np.isnan(shares).any()
        predicted.append(shares.argmax(axis=1) if shares is not None and sound else None)
        if shares is not None and sound and vote:
            total = total + shares
    if isinstance(total, float):
        return [math.nan] * len(predicted)
    together = total.argmax(axis=1)
    return [math.nan if own is None else 100.0 * float((own == together).mean()) for own in predicted]
