"""What a model gives for samples: logits and features, and what follows from the logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray


def to_probabilities(logits: ArrayLike) -> NDArray[np.float64]:
    """Softmax of (n, K) logits; a row with +inf shares its mass among its infinite entries (the limit)."""
    scores = np.array(logits, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(f"logits must be of shape (n, K), not {scores.shape}")
    if np.isfinite(scores).all():  # nearly always, and reports look at thousands of trials
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores
    infinite = np.isposinf(scores)
    limit = infinite.any(axis=1, keepdims=True) & ~np.isnan(scores).any(axis=1, keepdims=True)
    scores = np.where(limit, np.where(infinite, 0.0, -np.inf), scores)
    with np.errstate(invalid="ignore"):
        return np.asarray(scipy.special.softmax(scores, axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Outputs:
    """What a model gives for n samples. What several criteria need of it is computed once.

    Attributes:
        logits: (n, K); the class with the largest one is the prediction.
        features: (n, d), the representation that the last classifier works on; d = 0 where only logits were kept.
    """

    logits: NDArray[Any]
    features: NDArray[Any]

    @classmethod
    def of_logits(cls, logits: NDArray[Any]) -> Outputs:
        """From logits (n, K) alone, as they are stored of every trial."""
        return cls(logits, np.empty((len(logits), 0)))

    @cached_property
    def classes(self) -> NDArray[np.intp]:
        """(n,) predicted classes."""
        return np.asarray(self.logits.argmax(axis=1))

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """(n, K) softmax of the logits; NaN in rows where a logit is NaN or all are −inf."""
        return to_probabilities(self.logits)

    @cached_property
    def undefined(self) -> bool:
        """Whether there is no row, or one without probabilities: criteria are NaN then, and raise nothing."""
        return len(self.probabilities) == 0 or bool(np.isnan(self.probabilities).any())

    @cached_property
    def mean_entropy(self) -> float:
        """mean_i H(p_i) in nats, in [0, log K]; p_i the probabilities of row i."""
        return float(scipy.special.entr(self.probabilities).sum(axis=1).mean())

    @property
    def predicted_classes(self) -> float:
        """Number of distinct classes predicted, over K, in (0, 1]: what the guard against collapse looks at."""
        if self.undefined:
            return math.nan
        return len(np.unique(self.classes)) / int(self.logits.shape[1])


@dataclass(frozen=True)
class LabelledOutputs(Outputs):
    """Outputs for samples of the source, whose labels are known.

    Attributes:
        labels: (n,) class indices.
    """

    labels: NDArray[np.int64]
