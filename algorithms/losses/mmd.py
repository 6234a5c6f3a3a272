"""Maximum mean discrepancy with Gaussian kernels (Gretton 2012; Long 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Estimate = Literal["biased", "unbiased", "linear"]
# Powers of two around the mean distance, as in the DAN paper's family of kernels, cut to those that matter.
FIVE_BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(n, d) and (m, d) → (n, m) squared Euclidean distances, never below zero."""
    products = x @ y.T
    return (x.square().sum(1, keepdim=True) + y.square().sum(1) - 2.0 * products).clamp_min(0.0)


def mean_distance(distances: Tensor) -> Tensor:
    """Mean of the off-diagonal entries of (n, n) squared distances: the kernels' unit of bandwidth, a constant."""
    n = len(distances)
    return distances.detach().sum() / max(n * (n - 1), 1)


def gaussian_kernels(distances: Tensor, bandwidth: Tensor, multipliers: Sequence[float] = FIVE_BANDWIDTHS) -> Tensor:
    """k(x, y) = (1/U) Σ_u exp(−‖x − y‖² / (m_u γ)), for squared distances of any shape.

    Args:
        distances: squared distances.
        bandwidth: γ, a scalar tensor that carries no gradient.
        multipliers: m_u.

    Source:
        Long 2015, eq. 4, with equal weights β_u.
    """
    scale = bandwidth.clamp_min(torch.finfo(distances.dtype).tiny)
    return torch.stack([torch.exp(distances / (-m * scale)) for m in multipliers]).mean(dim=0)


def mmd_of_kernel(kernel: Tensor, n: int, estimate: Estimate = "biased") -> Tensor:
    """Squared MMD from the kernel matrix of both samples together.

    Args:
        kernel: (n + m, n + m), source first.
        n: number of source samples; ``linear`` wants n = m, an even number (an odd last pair is left out).
        estimate: ``biased``: all pairs (V-statistic, never negative); ``unbiased``: without a sample's pair
            with itself (Gretton 2012, eq. 3); ``linear``: over disjoint quadruples, O(n) terms (Long 2015, eq. 5):
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
    multipliers: Sequence[float] = FIVE_BANDWIDTHS,
    estimate: Estimate = "biased",
) -> Tensor:
    """Squared multi-kernel MMD of two samples; the bandwidth is the mean squared distance of all pairs.

    Args:
        source: (n, d).
        target: (m, d).
        multipliers: of the bandwidth, one kernel each; a single 1.0 gives the plain MMD.
        estimate: see :func:`mmd_of_kernel`.

    Returns:
        A scalar: 0 for equal samples (``biased``).
    """
    both = torch.cat([source, target])
    distances = squared_distances(both, both)
    return mmd_of_kernel(gaussian_kernels(distances, mean_distance(distances), multipliers), len(source), estimate)
