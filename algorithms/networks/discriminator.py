"""The domain discriminator: which domain does a representation come from? (Ganin 2016, figure 1)."""

from __future__ import annotations

from torch import Tensor, nn


class DomainDiscriminator(nn.Module):
    """A perceptron with two hidden layers, as in Long 2018: (n, d) → (n,) logits, positive for the source.

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
