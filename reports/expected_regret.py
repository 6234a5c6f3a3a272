"""What a recommendation may cost, before any label of the target is known.

Two trials that predict the same class for a sample are both right on it or both wrong: their accuracies differ by no
more than the share of samples on which they disagree. So regret is expected in proportion to how far the recommended
trial disagrees with what other methods choose, which is more where methods disagree and where the shift is far.

The constants are of 38 pairs of six runs with stored predictions (``python -m benchmarks.recommendation LEDGERS`` fits
them). Which runs these were, and how often regret stayed below :attr:`Expected.most` on others, ``docs/selection.md``
says. They are of experiments of three to seven methods, and say nothing of a target that lacks classes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

MEAN = (0.0, 0.10)
"""Points of regret on average: so many, and so many more for each percent of disagreement."""
MOST = (1.4, 0.18)
"""The same of regret that nine pairs in ten stay below."""


class Expected(NamedTuple):
    """Regret to the best trial of any method, in points of target accuracy.

    Attributes:
        mean: on average over pairs like this one.
        most: of nine in ten such pairs it is no more.
    """

    mean: float
    most: float


def expected(agreement: float) -> Expected:
    """The regret to expect of a trial that predicts what other methods' choices do on so many percent of the target.

    Args:
        agreement: the mean over the other choices; NaN where there are none: then nothing is known.
    """
    disagreement = 100.0 - agreement
    if math.isnan(disagreement):
        return Expected(math.nan, math.nan)
    return Expected(*(base + slope * disagreement for base, slope in (MEAN, MOST)))
