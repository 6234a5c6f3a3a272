"""Discriminators and critics: which domain does a representation come from?"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DomainDiscriminator(nn.Module):
    """A perceptron with two hidden layers, as Long 2018 has it: (n, d) → (n,) logits, positive for the source.

    Args:
        dim: d.
        hidden: units of each hidden layer.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers(features)
        return logits.squeeze(1)


class ClassDiscriminators(nn.Module):
    """K discriminators with one hidden layer, the k-th of p_k f, all in one product (Pei 2018).

    (n, d) features f and (n, K) class probabilities p → (n, K) logits. The first layer maps p_k f to
    p_k (W_k f) + b_k, so that W f is one matrix product for all classes.

    Args:
        dim: d.
        num_classes: K.
        hidden: units of each discriminator's layer.
    """

    def __init__(self, dim: int, num_classes: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim, num_classes * hidden, bias=False)
        bound, inner = dim**-0.5, hidden**-0.5  # as nn.Linear starts
        self.first_bias = nn.Parameter(torch.empty(num_classes, hidden).uniform_(-bound, bound))
        self.second = nn.Parameter(torch.empty(num_classes, hidden).uniform_(-inner, inner))
        self.second_bias = nn.Parameter(torch.empty(num_classes).uniform_(-inner, inner))

    def forward(self, features: Tensor, probabilities: Tensor) -> Tensor:
        projected = self.first(features).view(len(features), *self.first_bias.shape)
        hidden = torch.relu(probabilities.unsqueeze(2) * projected + self.first_bias)
        return (hidden * self.second).sum(dim=2) + self.second_bias


class Critic(nn.Module):
    """A real-valued function of features, with one hidden layer: (n, d) → (n,) (Shen 2018).

    Args:
        dim: d.
        hidden: units of the hidden layer.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor) -> Tensor:
        values: Tensor = self.layers(features)
        return values.squeeze(1)
