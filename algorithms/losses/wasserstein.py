"""The gradient penalty of a Wasserstein critic (Gulrajani 2017; Shen 2018)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(critic: Callable[[Tensor], Tensor], source: Tensor, target: Tensor) -> Tensor:
    """E_h [ (‖∇_h critic(h)‖₂ − 1)² ], h at the samples and at random points between pairs (Shen 2018).

    Args:
        critic: (k, d) → (k,).
        source: (n, d), a constant.
        target: (n, d), a constant.

    Returns:
        A scalar, differentiable in the critic's weights; 0 where its slope is 1 everywhere.
    """
    share = torch.rand(len(source), 1, dtype=source.dtype).to(source.device)
    between = share * source + (1 - share) * target
    points = torch.cat([source, target, between]).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    lengths: Tensor = slope.norm(dim=1)
    return (lengths - 1).square().mean()
