"""Which samples of a large set are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 4096
"""Criteria whose cost grows faster than that of a prediction look at this many samples of a larger set."""


def subsample(n: int, most: int = MOST) -> NDArray[np.intp]:
    """Rows 0 … n − 1, or ``most`` of them: sorted, the same draw for the same n, for every trial of a cell."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False))
