"""Accuracy, confusion, and the source score of a protocol that holds nothing out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def accuracy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Percentage of rows whose largest logit is that of the label; NaN where a logit is NaN or there are no rows.

    Args:
        logits: (n, K).
        labels: (n,) class indices.
    """
    scores, truth = np.asarray(logits), np.asarray(labels)
    if scores.shape[:1] != truth.shape:
        raise ValueError(f"{scores.shape[0]} rows of logits but labels of shape {truth.shape}")
    if len(truth) == 0 or np.isnan(scores).any():
        return math.nan
    return 100.0 * float((scores.argmax(axis=1) == truth).mean())


def confusion(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """(n, K) logits and (n,) labels → (K, K) counts: rows are true classes, columns predicted ones."""
    from sklearn.metrics import confusion_matrix  # noqa: PLC0415

    scores = np.asarray(logits)
    if not len(scores):  # which scikit-learn refuses
        return np.zeros((scores.shape[1], scores.shape[1]), dtype=np.int64)
    counts: NDArray[np.int64] = confusion_matrix(labels, scores.argmax(axis=1), labels=range(scores.shape[1]))
    return counts


def leave_one_out_accuracy(features: NDArray[Any], labels: ArrayLike) -> float:
    """Leave-one-out accuracy of the 1-nearest-neighbour classifier, in percent.

    The source score of a protocol that holds nothing out (SURF): how well classes stay together in the learned
    representation.

    Args:
        features: (n, d), Euclidean.
        labels: (n,) class indices.

    Returns:
        Percent; NaN for fewer than two samples or features that are not all finite.
    """
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415

    points, truth = np.asarray(features), np.asarray(labels)
    if points.shape[:1] != truth.shape:
        raise ValueError(f"{points.shape[0]} rows of features but labels of shape {truth.shape}")
    if len(truth) < 2 or not np.isfinite(points).all():
        return math.nan
    # Asked without queries, scikit-learn leaves each point out of its own neighbours.
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points)
    nearest = search.kneighbors(return_distance=False)[:, 0]
    return 100.0 * float((truth[nearest] == truth).mean())
