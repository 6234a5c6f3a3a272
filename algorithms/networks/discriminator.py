"""Discriminators and critics: which domain does a representation come from?"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _dense(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]


class DomainDiscriminator(nn.Module):
    """A perceptron with two hidden layers, as Long 2018 has it: (n, d) → (n,) logits, positive for the source.

    Args:
        dim: d.
        hidden: units of each hidden layer.
        dropout: probability after each hidden layer.
    """

    def __init__(self, dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_dense(dim, hidden, dropout), *_dense(hidden, hidden, dropout), nn.Linear(hidden, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.layers(features)
        return logits.squeeze(1)


class ClassDiscriminators(nn.Module):
    """K discriminators with one or two hidden layers, the k-th of p_k f, all in batched products (Pei 2018).

    (n, d) features f and (n, K) class probabilities p → (n, K) logits. The first layer maps p_k f to
    p_k (W_k f) + b_k, so that W f is one matrix product for all classes.

    Args:
        dim: d.
        num_classes: K.
        hidden: units of each discriminator's hidden layers.
        layers: how many there are of them.
        dropout: probability after each.
    """

    def __init__(self, dim: int, num_classes: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Linear(dim, num_classes * hidden, bias=False)
        bound, inner = dim**-0.5, hidden**-0.5  # as nn.Linear starts
        self.first_bias = nn.Parameter(torch.empty(num_classes, hidden).uniform_(-bound, bound))
        self.between = nn.ParameterList()
        self.between_bias = nn.ParameterList()
        for _ in range(layers - 1):
            self.between.append(torch.empty(num_classes, hidden, hidden).uniform_(-inner, inner))
            self.between_bias.append(torch.empty(num_classes, 1, hidden).uniform_(-inner, inner))
        self.second = nn.Parameter(torch.empty(num_classes, hidden).uniform_(-inner, inner))
        self.second_bias = nn.Parameter(torch.empty(num_classes).uniform_(-inner, inner))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, features: Tensor, probabilities: Tensor) -> Tensor:
        projected = self.first(features).view(len(features), *self.first_bias.shape)
        hidden = self.dropout(torch.relu(probabilities.unsqueeze(2) * projected + self.first_bias))
        for weight, bias in zip(self.between, self.between_bias, strict=True):
            by_class = torch.baddbmm(bias, hidden.transpose(0, 1), weight)  # (K, n, hidden)
            hidden = self.dropout(torch.relu(by_class).transpose(0, 1))
        logits: Tensor = (hidden * self.second).sum(dim=2) + self.second_bias
        return logits


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
