"""Multilinear maps of features and predictions: what CDAN's discriminator looks at (Long 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MultilinearMap(nn.Module):
    """(n, d) features f and (n, K) predictions g → (n, d·K): f ⊗ g, flattened (Long 2018)."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.dim = dim * num_classes

    def forward(self, features: Tensor, predictions: Tensor) -> Tensor:
        return (features.unsqueeze(2) * predictions.unsqueeze(1)).flatten(1)


class RandomizedMultilinearMap(nn.Module):
    """(n, d) f and (n, K) g → (n, D): (R_f f) ⊙ (R_g g) / √D, an unbiased estimate of the inner products of f ⊗ g.

    R_f and R_g are Gaussian, drawn once and fixed (Long 2018, theorem 1).

    Args:
        dim: d.
        num_classes: K.
        output: D.
    """

    features_map: Tensor
    predictions_map: Tensor

    def __init__(self, dim: int, num_classes: int, output: int) -> None:
        super().__init__()
        self.dim = output
        self.features_map: Tensor
        self.predictions_map: Tensor
        self.register_buffer("features_map", torch.randn(dim, output))
        self.register_buffer("predictions_map", torch.randn(num_classes, output))

    def forward(self, features: Tensor, predictions: Tensor) -> Tensor:
        product = (features @ self.features_map) * (predictions @ self.predictions_map)
        scale: float = self.dim**0.5
        return product / scale
