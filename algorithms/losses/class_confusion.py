"""Minimum class confusion (Jin et al. 2020, Minimum Class Confusion for Versatile Domain Adaptation, ECCV)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softmax

from transfer_sweep.algorithms.losses.entropy import entropy


def class_confusion(logits: Tensor, temperature: float) -> Tensor:
    """How much a classifier mixes pairs of classes on a batch (Jin 2020).

    With Ŷ = softmax(z / T) and weights W_i = n (1 + e^(−H_i)) / Σ_i' (1 + e^(−H_i')):
    C = Ŷᵀ diag(W) Ŷ, each row divided by its sum, L = (1/K) Σ_{j≠j'} |C̃_jj'|.

    Args:
        logits: (n, K).
        temperature: T > 0; above 1 it makes predictions softer.

    Returns:
        A scalar in [0, 1): 0 where every sample is sure of its class.
    """
    n, classes = logits.shape
    scaled = logits / temperature
    probabilities = softmax(scaled, dim=1)
    # As in the authors' code, the weights are constants.
    weights = 1.0 + (-entropy(scaled.detach())).exp()
    weights = n * weights / weights.sum()
    confusion = (probabilities * weights.unsqueeze(1)).T @ probabilities
    confusion = confusion / confusion.sum(dim=1, keepdim=True)
    return (confusion.sum() - confusion.trace()) / classes
