"""Discrepancy of two classifiers (Saito 2018)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softmax


def classifier_discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """d(p₁, p₂) = mean over samples of (1/K) Σ_k |p₁k − p₂k| (Saito 2018).

    Args:
        first: (n, K) logits of one classifier.
        second: (n, K) logits of the other.

    Returns:
        A scalar in [0, 2/K].
    """
    return (softmax(first, dim=1) - softmax(second, dim=1)).abs().mean()
