"""Scores of a trial: accuracy, and criteria that need no target labels.

The criteria look at the predictions on the unlabelled target training inputs; for all of them, higher is better.
Everything is computed in float64. Logits that hold a NaN give NaN, never an exception, so that a diverged trial
is recorded like any other (and chosen last, see :mod:`reports.selection`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, softmax
from sklearn.neighbors import NearestNeighbors


def _probabilities(logits: ArrayLike) -> NDArray[np.float64]:
    """Softmax of (n, K) logits; a row with +inf shares its mass among its infinite entries (the limit)."""
    scores = np.asarray(logits, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(f"logits must be of shape (n, K), not {scores.shape}")
    infinite = np.isposinf(scores)
    limit = infinite.any(axis=1, keepdims=True) & ~np.isnan(scores).any(axis=1, keepdims=True)
    scores = np.where(limit, np.where(infinite, 0.0, -np.inf), scores)
    with np.errstate(invalid="ignore"):
        return np.asarray(softmax(scores, axis=1), dtype=np.float64)


def prediction_criteria(target_logits: ArrayLike) -> dict[str, float]:
    """Criteria of the predictions on unlabelled target inputs; higher is better.

    With p_i the softmax of row i, H the entropy in nats and P the (n, K) matrix of all p_i:

    - ``entropy``: −mean_i H(p_i), in [−log K, 0] (Grandvalet & Bengio 2005, Semi-supervised Learning by Entropy
      Minimization, NeurIPS; as a criterion: Morerio et al. 2018, Minimal-Entropy Correlation Alignment, ICLR).
    - ``information_maximization``: H(mean_i p_i) − mean_i H(p_i), in [0, log K]: sure of each sample, and
      undecided over all of them (Bridle et al. 1991, Unsupervised Classifiers, Mutual Information and 'Phantom
      Targets', NeurIPS; Shi & Sha 2012, Information-Theoretical Learning of Discriminative Clusters, ICML).
    - ``bnm``: nuclear norm ‖P‖_* over its maximum √(n · min(n, K)), in (0, 1] (Cui et al. 2020, Towards
      Discriminability and Diversity: Batch Nuclear-norm Maximization, CVPR, section 3.3; there it is divided by n).
    - ``predicted_classes``: number of distinct classes predicted, over K, in (0, 1]; not to choose by, but what
      the guard against collapse looks at.

    Args:
        target_logits: (n, K) logits.

    Returns:
        The four values; all NaN where a logit is NaN, a row is −inf throughout or n = 0.
    """
    probabilities = _probabilities(target_logits)
    n, classes = probabilities.shape
    if n == 0 or np.isnan(probabilities).any():
        return dict.fromkeys(("entropy", "information_maximization", "bnm", "predicted_classes"), math.nan)
    mean_entropy = float(entr(probabilities).sum(axis=1).mean())
    entropy_of_mean = float(entr(probabilities.mean(axis=0)).sum())
    return {
        "entropy": -mean_entropy,
        "information_maximization": entropy_of_mean - mean_entropy,
        "bnm": float(np.linalg.norm(probabilities, "nuc")) / math.sqrt(n * min(n, classes)),
        "predicted_classes": len(np.unique(probabilities.argmax(axis=1))) / classes,
    }


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
    points, truth = np.asarray(features), np.asarray(labels)
    if points.shape[:1] != truth.shape:
        raise ValueError(f"{points.shape[0]} rows of features but labels of shape {truth.shape}")
    if len(truth) < 2 or not np.isfinite(points).all():
        return math.nan
    # Asked without queries, scikit-learn leaves each point out of its own neighbours.
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points)
    nearest = search.kneighbors(return_distance=False)[:, 0]
    return 100.0 * float((truth[nearest] == truth).mean())
