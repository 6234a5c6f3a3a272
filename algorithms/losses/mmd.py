"""Maximum mean discrepancy with Gaussian kernels (Gretton 2012; Long 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Estimate = Literal["biased", "unbiased", "linear", "cyclic"]
KernelWeights = Literal["mean", "sum"]


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(n, d) and (m, d) → (n, m) squared Euclidean distances, never below zero."""
    products = x @ y.T
    return (x.square().sum(1, keepdim=True) + y.square().sum(1) - 2.0 * products).clamp_min(0.0)


def mean_distance(distances: Tensor) -> Tensor:
    """Mean of the off-diagonal entries of (n, n) squared distances: the kernels' unit of bandwidth, a constant."""
    n = len(distances)
    return distances.detach().sum() / max(n * (n - 1), 1)


def gaussian_kernels(distances: Tensor, bandwidth: Tensor, kernels: int = 5, summed: bool = False) -> Tensor:
    """k(x, y) = (1/U) Σ_u exp(−‖x − y‖² / γ_u), for squared distances of any shape.

    The γ_u are γ times powers of two, centred on γ: for five kernels ¼, ½, 1, 2 and 4.

    Args:
        distances: squared distances.
        bandwidth: γ, a scalar tensor that carries no gradient.
        kernels: U; an odd number.
        summed: without the 1/U.

    Source:
        Long 2015, with equal weights β_u: 1/U, which sum to 1 as the paper's, or 1 each, as in the authors' codes.
    """
    widest = bandwidth.clamp_min(torch.finfo(distances.dtype).tiny) * 2.0 ** (kernels // 2)
    kernel = torch.exp(-distances / widest)
    total = kernel
    for _ in range(kernels - 1):
        kernel = kernel.square()  # half the bandwidth: cheaper than another exponential
        total = total + kernel
    return total if summed else total / kernels


def mmd_of_kernel(kernel: Tensor, n: int, estimate: Estimate = "biased") -> Tensor:
    """Squared MMD from the kernel matrix of both samples together.

    Args:
        kernel: (n + m, n + m), source first.
        n: number of source samples; ``linear`` and ``cyclic`` want n = m, the former an even number (an odd last pair
            is left out).
        estimate: ``biased``: all pairs (V-statistic, never negative); ``unbiased``: without a sample's pair
            with itself (Gretton 2012, lemma 6); ``linear``: over disjoint quadruples, O(n) terms (Long 2015):
            (2/n) Σ_i k(s_2i−1, s_2i) + k(t_2i−1, t_2i) − k(s_2i−1, t_2i) − k(s_2i, t_2i−1); ``cyclic``: likewise over
            each sample and the next, the last and the first (the linear version of Xlearn, the authors' code).
    """
    ss, tt, st = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
    if estimate == "biased":
        return ss.mean() + tt.mean() - 2.0 * st.mean()
    m = len(tt)
    if estimate == "unbiased":
        return (ss.sum() - ss.trace()) / (n * (n - 1)) + (tt.sum() - tt.trace()) / (m * (m - 1)) - 2.0 * st.mean()
    if n != m:
        raise ValueError(f"the linear-time estimate wants samples of one size, not {n} and {m}")
    cyclic = estimate == "cyclic"
    first = torch.arange(0, n if cyclic else n - 1, 1 if cyclic else 2, device=kernel.device)
    second = (first + 1) % n
    return (ss[first, second] + tt[first, second] - st[first, second] - st[second, first]).mean()


def mmd(
    source: Tensor,
    target: Tensor,
    kernels: int = 5,
    estimate: Estimate = "biased",
    summed: bool = False,
) -> Tensor:
    """Squared multi-kernel MMD of two samples; the bandwidth is the mean squared distance of all pairs.

    Args:
        source: (n, d).
        target: (m, d).
        kernels: U of :func:`gaussian_kernels`; 1 gives the plain MMD.
        estimate: see :func:`mmd_of_kernel`.
        summed: see :func:`gaussian_kernels`.

    Returns:
        A scalar: 0 for equal samples (``biased``).
    """
    both = torch.cat([source, target])
    distances = squared_distances(both, both)
    kernel = gaussian_kernels(distances, mean_distance(distances), kernels, summed)
    return mmd_of_kernel(kernel, len(source), estimate)


def joint_mmd(
    layers: Sequence[Tensor],
    kernels: Sequence[int],
    n: int,
    estimate: Estimate = "biased",
    summed: bool = False,
    bandwidths: Sequence[float] | None = None,
) -> Tensor:
    """Squared MMD of the joint distribution of several layers: their kernels are multiplied (Long 2017).

    Args:
        layers: each (n + m, d_l), source first.
        kernels: U of :func:`gaussian_kernels` for each layer.
        n: number of source samples.
        estimate: see :func:`mmd_of_kernel`.
        summed: see :func:`gaussian_kernels`.
        bandwidths: γ of each layer; 0: the mean squared distance of all pairs, as where there are none.
    """
    product: Tensor | None = None
    for layer, count, fixed in zip(layers, kernels, bandwidths or [0.0] * len(layers), strict=True):
        distances = squared_distances(layer, layer)
        bandwidth = distances.new_tensor(fixed) if fixed else mean_distance(distances)
        kernel = gaussian_kernels(distances, bandwidth, count, summed)
        product = kernel if product is None else product * kernel
    if product is None:
        raise ValueError("the joint MMD of no layers")
    return mmd_of_kernel(product, n, estimate)
