"""What models may say, for tests of criteria."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def certain(classes: list[int], of: int = 4) -> NDArray[np.float64]:
    """Logits of a model that is sure of one class for each row."""
    return np.where(np.arange(of) == np.array(classes)[:, None], 1000.0, 0.0)
