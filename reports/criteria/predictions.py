"""Criteria of the predictions on unlabelled target inputs; higher is better."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from transfer_sweep.reports.criteria.samples import some

_BLOCK = 1024  # rows of similarities held at once


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
    probabilities = to_probabilities(target_logits)
    n, classes = probabilities.shape
    if n == 0 or np.isnan(probabilities).any():
        return dict.fromkeys(("entropy", "information_maximization", "bnm", "predicted_classes"), math.nan)
    mean_entropy = float(scipy.special.entr(probabilities).sum(axis=1).mean())
    entropy_of_mean = float(scipy.special.entr(probabilities.mean(axis=0)).sum())
    return {
        "entropy": -mean_entropy,
        "information_maximization": entropy_of_mean - mean_entropy,
        "bnm": float(np.linalg.norm(probabilities, "nuc")) / math.sqrt(n * min(n, classes)),
        "predicted_classes": len(np.unique(probabilities.argmax(axis=1))) / classes,
    }


def soft_neighborhood_density(target_logits: ArrayLike, temperature: float = 0.05) -> float:
    """SND: how many others a target sample's prediction resembles, as the mean entropy of its soft neighbourhood.

    With p̄_i the softmax of row i scaled to unit length, the neighbourhood of i is softmax_{j≠i}(p̄_i·p̄_j / T); the
    criterion is the mean over i of its entropy, in nats, in [0, log(n − 1)] (Saito et al. 2021, Tune it the Right
    Way: Unsupervised Validation of Domain Adaptation via Soft Neighborhood Density, ICCV, section 3.2, T = 0.05).

    Args:
        target_logits: (n, K) logits; of more than :data:`MOST` rows, so many are looked at.
        temperature: T.

    Returns:
        The density; NaN where a logit is NaN, a row is −inf throughout or n < 2.
    """
    probabilities = to_probabilities(target_logits)
    if len(probabilities) < 2 or np.isnan(probabilities).any():
        return math.nan
    probabilities = probabilities[some(len(probabilities))]
    unit = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
    # Single precision: n² exponentials are what this costs, and exp(1/T) is far from its limits.
    directions = unit.astype(np.float32)
    scaled = directions.T / np.float32(temperature)
    n, entropies = len(directions), []
    for start in range(0, n, _BLOCK):
        similarity = directions[start : start + _BLOCK] @ scaled
        weights = np.exp(similarity)
        rows = np.arange(len(weights))
        weights[rows, start + rows] = 0.0  # a sample is no neighbour of itself
        total = weights.sum(axis=1)
        entropies.append(np.log(total) - np.einsum("ij,ij->i", weights, similarity) / total)
    return float(np.concatenate(entropies).mean(dtype=np.float64))
