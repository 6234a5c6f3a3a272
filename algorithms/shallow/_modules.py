"""The steps of shallow methods as torch modules, for models that leave this program; all in float64.

What is learned is held as buffers. The NumPy code beside is what trains and scores; these repeat its predictions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transfer_sweep.algorithms.shallow._base import ABSENT

Array = NDArray[Any]


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))


class AsVectors(nn.Module):
    """Inputs (n, …) → float64 vectors (n, m); uint8 images are divided by 255."""

    def forward(self, inputs: Tensor) -> Tensor:
        vectors = inputs.flatten(1)
        if inputs.dtype == torch.uint8:  # in float32 first, as the method learned from them
            return (vectors.to(torch.float32) / 255).to(torch.float64)
        return vectors.to(torch.float64)


class Single(nn.Module):
    """float64 → float32."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.to(torch.float32)


class Log1p(nn.Module):
    """x ↦ log(1 + x)."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.log1p()


class UnitRows(nn.Module):
    """Rows scaled to a Euclidean length; a zero row stays zero.

    Args:
        length: of the rows.
    """

    def __init__(self, length: float = 1.0) -> None:
        super().__init__()
        self.length = length

    def forward(self, inputs: Tensor) -> Tensor:
        lengths = inputs.square().sum(1, keepdim=True).sqrt()
        return self.length * inputs / torch.where(lengths > 0, lengths, torch.ones_like(lengths))


class Affine(nn.Module):
    """x ↦ xA + b.

    Args:
        matrix: A (m, d).
        bias: b (d,); None: zero.
    """

    matrix: Tensor
    bias: Tensor

    def __init__(self, matrix: Array, bias: Array | None = None) -> None:
        super().__init__()
        self.register_buffer("matrix", _tensor(matrix))
        self.register_buffer("bias", _tensor(np.zeros(matrix.shape[1]) if bias is None else bias))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.matrix + self.bias


class Gaussian(nn.Module):
    """Values exp(−d²/2σ²) of the rbf kernel with fixed samples.

    Args:
        samples: (r, m).
        sigma: σ.
    """

    samples: Tensor

    def __init__(self, samples: Array, sigma: float) -> None:
        super().__init__()
        self.register_buffer("samples", _tensor(samples))
        self.sigma = sigma

    def forward(self, inputs: Tensor) -> Tensor:
        return (_squared_distances(inputs, self.samples) * (-1 / (2 * self.sigma**2))).exp()


class NearestNeighbor(nn.Module):
    """Minus the distance to each class's nearest reference; a class without any has a logit below every other.

    Args:
        references: (r, d).
        labels: (r,) their classes.
        num_classes: K.
    """

    references: Tensor

    def __init__(self, references: Array, labels: NDArray[np.int64], num_classes: int) -> None:
        super().__init__()
        order = np.argsort(labels, kind="stable")
        self.register_buffer("references", _tensor(references[order]))
        ends = np.searchsorted(labels[order], np.arange(num_classes + 1)).tolist()
        self.bounds = list(pairwise(ends))  # of each class, in the sorted references

    def forward(self, inputs: Tensor) -> Tensor:
        distances = _squared_distances(inputs, self.references).sqrt()
        below = torch.clamp(-2 * distances.amax(1), max=ABSENT)
        nearest = [-distances[:, start:end].amin(1) if end > start else below for start, end in self.bounds]
        return torch.stack(nearest, dim=1)


def _squared_distances(inputs: Tensor, others: Tensor) -> Tensor:
    products = inputs @ others.T
    lengths = inputs.square().sum(1, keepdim=True) + others.square().sum(1)
    return (lengths - 2 * products).clamp(min=0)
