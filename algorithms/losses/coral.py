"""CORAL: distance of second-order statistics (Sun and Saenko 2016)."""

from __future__ import annotations

import torch
from torch import Tensor


def coral(source: Tensor, target: Tensor) -> Tensor:
    """‖C_s − C_t‖²_F / (4 d²), with C the unbiased covariance of each sample (Sun and Saenko 2016, eq. 1–3).

    Args:
        source: (n, d), n ≥ 2.
        target: (m, d), m ≥ 2.

    Returns:
        A scalar, 0 for samples of equal covariance.
    """
    difference = torch.cov(source.T) - torch.cov(target.T)
    return difference.square().sum() / (4 * source.shape[1] ** 2)
