"""Which samples the dearer criteria look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 4096
"""Criteria whose cost grows faster than that of a prediction look at this many samples of a larger set."""


def some(n: int) -> NDArray[np.intp]:
    """Rows 0 … n − 1, or :data:`MOST` of them: sorted, the same draw for the same n, for every trial of a cell."""
    if n <= MOST:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, MOST, replace=False))
