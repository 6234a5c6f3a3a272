"""What methods gain on average over pairs, and how sure that is.

Two intervals answer two questions. *Over pairs*: what is gained on pairs like these? A gain is a random effect of its
pair, so that the mean has Student's t interval of the pairs' gains, each a mean over the seeds that ran, with as many
degrees of freedom as pairs less one. With equally many seeds it is what a mixed model with random pairs gives, and it
covers as often as it says with few pairs, where a bootstrap over pairs is too narrow. *Over seeds*: what is gained on
these very pairs? The pairs are fixed, and only runs vary (Welch 1947, with Satterthwaite's degrees of freedom).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from transfer_sweep.reports.comparison import ALPHA, FEWEST_PAIRS
from transfer_sweep.reports.results import dicts


class Spread(NamedTuple):
    """What is known of an accuracy over seeds: its sample standard deviation (NaN of one run), and their number."""

    std: float
    seeds: int


class Interval(NamedTuple):
    """A 95 % interval of a gain, in points."""

    low: float
    high: float


@dataclass(frozen=True)
class MeanGain:
    """A gain on average over pairs, in points.

    Attributes:
        mean: over the pairs.
        over_pairs: its interval on pairs like these; None of fewer than three.
        over_seeds: its interval on these very pairs; None where an accuracy is a single run.
    """

    mean: float
    over_pairs: Interval | None
    over_seeds: Interval | None


def mean_gain(gains: Sequence[float], spreads: Sequence[tuple[Spread, Spread]]) -> MeanGain:
    """The mean over pairs of a gain.

    Args:
        gains: of each pair, in points.
        spreads: of each pair, what is known of the two accuracies whose difference the gain is.
    """
    values = np.asarray(gains, dtype=float)
    mean, pairs = float(values.mean()), len(values)
    over_seeds = None
    sides = [side for both in spreads for side in both]
    if all(side.seeds > 1 for side in sides):
        parts = np.array([side.std**2 / side.seeds for side in sides]) / pairs**2
        total, freedoms = float(parts.sum()), np.array([side.seeds - 1 for side in sides])
        freedom = total**2 / float((parts**2 / freedoms).sum()) if total else 1.0
        over_seeds = _interval(mean, math.sqrt(total), freedom)
    return MeanGain(mean, over_pairs(values), over_seeds)


def over_pairs(values: Sequence[float] | NDArray[np.float64]) -> Interval | None:
    """Student's 95 % interval of the mean of (pairs,) values on pairs like these; None of fewer than three."""
    pairs = len(values)
    if pairs < FEWEST_PAIRS:
        return None
    return _interval(float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(pairs), pairs - 1)


def _interval(mean: float, error: float, freedom: float) -> Interval:
    half = error * float(scipy.stats.t.ppf(1 - ALPHA / 2, freedom))
    return Interval(mean - half, mean + half)


@dataclass(frozen=True)
class MethodGain:
    """What a method gains over ``source_only``, on average over pairs, and what of it is its own.

    Attributes:
        total: over ``source_only``.
        by_batch_norm: of it, what the same batch-norm statistics give ``source_only``, in points; NaN where unknown.
        own: the rest; None where it is not known on every pair.
        pairs: how many it is over.
    """

    total: MeanGain
    by_batch_norm: float
    own: MeanGain | None
    pairs: int


def of_method(records: pd.DataFrame) -> MethodGain | None:
    """What a method gains.

    Args:
        records: of one method by one way of choosing, see :attr:`transfer_sweep.reports.results.Results.records`.

    Returns:
        None where ``source_only`` ran on none of its pairs.
    """
    rows = dicts(records[records["gain_over_source_only"].notna()])
    if not rows:
        return None
    lower = [(_spread(row), Spread(row["lower_std"], row["lower_seeds"])) for row in rows]
    control = [(_spread(row), Spread(row["control_accuracy_std"], row["control_seeds"])) for row in rows]
    spreads = [known if row["needs_control"] else free for row, known, free in zip(rows, control, lower, strict=True)]
    own = [row["gain_by_method"] for row in rows]
    return MethodGain(
        mean_gain([row["gain_over_source_only"] for row in rows], lower),
        float(np.mean([row["gain_by_batch_norm"] for row in rows])),
        None if np.isnan(own).any() else mean_gain(own, spreads),
        len(rows),
    )


def _spread(row: Mapping[str, Any]) -> Spread:
    return Spread(row["target_accuracy_std"], row["seeds"])
