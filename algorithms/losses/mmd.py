"""Maximum mean discrepancy with Gaussian kernels (Gretton 2012; Long 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Estimate = Literal["biased", "unbiased", "linear"]


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(n, d) and (m, d) → (n, m) squared Euclidean distances, never below zero."""
    products = x @ y.T
    return (x.square().sum(1, keepdim=True) + y.square().sum(1) - 2.0 * products).clamp_min(0.0)


def mean_distance(distances: Tensor) -> Tensor:
    """Mean of the off-diagonal entries of (n, n) squared distances: the kernels' unit of bandwidth, a constant."""
    n = len(distances)
    return distances.detach().sum() / max(n * (n - 1), 1)


def gaussian_kernels(distances: Tensor, bandwidth: Tensor, kernels: int = 5) -> Tensor:
    """k(x, y) = (1/U) Σ_u exp(−‖x − y‖² / γ_u), for squared distances of any shape.

    The γ_u are γ times powers of two, centred on γ: for five kernels ¼, ½, 1, 2 and 4.

    Args:
        distances: squared distances.
        bandwidth: γ, a scalar tensor that carries no gradient.
        kernels: U; an odd number.

    Source:
        Long 2015, with equal weights β_u.
    """
    widest = bandwidth.clamp_min(torch.finfo(distances.dtype).tiny) * 2.0 ** (kernels // 2)
    kernel = torch.exp(-distances / widest)
    total = kernel
    for _ in range(kernels - 1):
        kernel = kernel.square()  # half the bandwidth: cheaper than another exponential
        total = total + kernel
    return total / kernels


def mmd_of_kernel(kernel: Tensor, n: int, estimate: Estimate = "biased") -> Tensor:
    """Squared MMD from the kernel matrix of both samples together.

    Args:
        kernel: (n + m, n + m), source first.
        n: number of source samples; ``linear`` wants n = m, an even number (an odd last pair is left out).
        estimate: ``biased``: all pairs (V-statistic, never negative); ``unbiased``: without a sample's pair
            with itself (Gretton 2012, lemma 6); ``linear``: over disjoint quadruples, O(n) terms (Long 2015):
            (2/n) Σ_i k(s_2i−1, s_2i) + k(t_2i−1, t_2i) − k(s_2i−1, t_2i) − k(s_2i, t_2i−1).
    """
    ss, tt, st = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
    if estimate == "biased":
        return ss.mean() + tt.mean() - 2.0 * st.mean()
    m = len(tt)
    if estimate == "unbiased":
        return (ss.sum() - ss.trace()) / (n * (n - 1)) + (tt.sum() - tt.trace()) / (m * (m - 1)) - 2.0 * st.mean()
    if n != m:
        raise ValueError(f"the linear-time estimate wants samples of one size, not {n} and {m}")
    odd = torch.arange(0, n - 1, 2, device=kernel.device)
    even = odd + 1
    return (ss[odd, even] + tt[odd, even] - st[odd, even] - st[even, odd]).mean()


def mmd(
    source: Tensor,
    target: Tensor,
    kernels: int = 5,
    estimate: Estimate = "biased",
) -> Tensor:
    """Squared multi-kernel MMD of two samples; the bandwidth is the mean squared distance of all pairs.

    Args:
        source: (n, d).
        target: (m, d).
        kernels: U of :func:`gaussian_kernels`; 1 gives the plain MMD.
        estimate: see :func:`mmd_of_kernel`.

    Returns:
        A scalar: 0 for equal samples (``biased``).
    """
    both = torch.cat([source, target])
    distances = squared_distances(both, both)
    return mmd_of_kernel(gaussian_kernels(distances, mean_distance(distances), kernels), len(source), estimate)


def joint_mmd(layers: Sequence[Tensor], kernels: Sequence[int], n: int, estimate: Estimate = "biased") -> Tensor:
    """Squared MMD of the joint distribution of several layers: their kernels are multiplied (Long 2017).

    Args:
        layers: each (n + m, d_l), source first.
        kernels: U of :func:`gaussian_kernels` for each layer.
        n: number of source samples.
        estimate: see :func:`mmd_of_kernel`.
    """
    product: Tensor | None = None
    for layer, count in zip(layers, kernels, strict=True):
        distances = squared_distances(layer, layer)
        kernel = gaussian_kernels(distances, mean_distance(distances), count)
        product = kernel if product is None else product * kernel
    if product is None:
        raise ValueError("the joint MMD of no layers")
    return mmd_of_kernel(product, n, estimate)
