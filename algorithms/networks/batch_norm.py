"""Batch norm of two domains: statistics of one alone (AdaBN), or a learned mixture of both (AutoDIAL)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@torch.no_grad()
def estimate_statistics(network: nn.Module, forward: Callable[[Tensor], object], batches: Iterable[Tensor]) -> int:
    """Replace every batch-norm layer's running mean and variance by those over ``batches`` (Li 2018, algorithm 1).

    Dropout is off meanwhile. Batches of equal size count equally.

    Args:
        network: the module whose batch norms change.
        forward: what to call on a batch so that it passes through ``network``.
        batches: inputs of the domain.

    Returns:
        How many batch-norm layers there were.
    """
    training = network.training
    layers = [module for module in network.modules() if isinstance(module, BATCH_NORMS)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a cumulative mean over batches
        layer.train()
    for batch in batches:
        forward(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.train(training)
    return len(layers)


@contextmanager
def keeping_statistics(network: nn.Module) -> Iterator[None]:
    """Batch norms normalise by their running statistics meanwhile, and leave them as they are."""
    layers = [module for module in network.modules() if isinstance(module, BATCH_NORMS) and module.training]
    for layer in layers:
        layer.eval()
    try:
        yield
    finally:
        for layer in layers:
            layer.train()


def statistics(network: nn.Module) -> dict[str, Tensor]:
    """The running means, variances and counts of every batch-norm layer, by name: copies."""
    return {
        f"{name}.{buffer}": value.clone()
        for name, module in network.named_modules()
        if isinstance(module, BATCH_NORMS)
        for buffer, value in module.named_buffers(recurse=False)
    }


@torch.no_grad()
def restore_statistics(network: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Put back what :func:`statistics` gave."""
    buffers = dict(network.named_buffers())
    for name, value in saved.items():
        buffers[name].copy_(value)


class DomainAlignment(nn.Module):
    """Batch norm in which each domain is normalised by a mixture of both domains' statistics (Carlucci 2017).

    A training batch holds the source in its first half and the target in the second. With moments over the
    mixture α q_s + (1 − α) q_t for source samples, and α q_t + (1 − α) q_s for target samples, α ∈ [½, 1] is learned:
    1 keeps the domains apart, ½ normalises both alike. In evaluation inputs are taken to be of the target.

    Args:
        norm: the batch norm to replace; scale, shift and running statistics are taken over.
    """

    source_mean: Tensor
    source_var: Tensor
    target_mean: Tensor
    target_var: Tensor

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.eps, self.momentum = norm.eps, norm.momentum if norm.momentum is not None else 0.1
        self.alpha = nn.Parameter(torch.ones(()))
        for domain in ("source", "target"):
            self.register_buffer(f"{domain}_mean", torch.as_tensor(norm.running_mean).clone())
            self.register_buffer(f"{domain}_var", torch.as_tensor(norm.running_var).clone())

    def train(self, mode: bool = True) -> Self:
        """Also brings α back into its bounds, which the last step of training may have left."""
        self._clamp()
        return super().train(mode)

    @torch.no_grad()
    def _clamp(self) -> None:
        self.alpha.clamp_(0.5, 1.0)

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            mean, var = self._mixture(self.target_mean, self.target_var, self.source_mean, self.source_var)
            return self._normalise(inputs, mean, var)
        self._clamp()
        source, target = inputs.chunk(2)
        moments_s, moments_t = self._moments(source), self._moments(target)
        self._remember(moments_s, moments_t, source.numel() / source.shape[1])
        return torch.cat(
            [
                self._normalise(source, *self._mixture(*moments_s, *moments_t)),
                self._normalise(target, *self._mixture(*moments_t, *moments_s)),
            ]
        )

    def _mixture(self, mean: Tensor, var: Tensor, other_mean: Tensor, other_var: Tensor) -> tuple[Tensor, Tensor]:
        """Moments of α·(own) + (1 − α)·(other)."""
        share = 1 - self.alpha
        mixed = self.alpha * mean + share * other_mean
        return mixed, (
            self.alpha * (var + (mean - mixed).square()) + share * (other_var + (other_mean - mixed).square())
        )

    def _normalise(self, inputs: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (inputs.ndim - 2)
        scale = self.weight * (var + self.eps).rsqrt()
        return (inputs * scale.view(shape) + (self.bias - mean * scale).view(shape)).to(inputs.dtype)

    @staticmethod
    def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        var, mean = torch.var_mean(inputs.float(), dim=axes, correction=0)  # in mixed precision too
        return mean, var

    @torch.no_grad()
    def _remember(self, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor], count: float) -> None:
        unbiased = count / max(count - 1, 1)
        self.source_mean.lerp_(source[0], self.momentum)
        self.source_var.lerp_(source[1] * unbiased, self.momentum)
        self.target_mean.lerp_(target[0], self.momentum)
        self.target_var.lerp_(target[1] * unbiased, self.momentum)


def align_domains(network: nn.Module) -> int:
    """Replace every batch norm below ``network`` by a :class:`DomainAlignment`; returns how many there were."""
    replaced = 0
    for name, child in network.named_children():
        if isinstance(child, BATCH_NORMS):
            setattr(network, name, DomainAlignment(child))
            replaced += 1
        else:
            replaced += align_domains(child)
    return replaced
