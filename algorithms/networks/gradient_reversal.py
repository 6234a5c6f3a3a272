"""Gradient reversal: the identity forwards, −λ times the gradient backwards (Ganin 2016, section 4.2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, coefficient: float) -> Tensor:
        ctx.coefficient = coefficient
        return inputs.view_as(inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.coefficient * gradient, None


def reverse_gradient(inputs: Tensor, coefficient: float = 1.0) -> Tensor:
    """``inputs`` of any shape unchanged; their gradient is multiplied by −``coefficient`` (λ)."""
    result: Tensor = _GradientReversal.apply(inputs, coefficient)
    return result
