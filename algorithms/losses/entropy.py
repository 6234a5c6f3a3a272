"""Entropies of predictions, and the weights that CDAN makes of them (Grandvalet 2005; Long 2018)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax


def entropy(logits: Tensor) -> Tensor:
    """(n, K) logits → (n,) entropies in nats: H = −Σ_k p_k log p_k with p the softmax (Grandvalet 2005)."""
    log_p = log_softmax(logits, dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)


def entropy_weights(logits: Tensor) -> Tensor:
    """(n, K) logits → (n,) weights 1 + e^(−H): certain samples count up to twice (Long 2018, CDAN+E).

    They carry no gradient: a weight says which sample matters, not which way to move it.
    """
    return 1.0 + torch.exp(-entropy(logits.detach()))
