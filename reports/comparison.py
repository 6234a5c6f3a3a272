"""Which methods differ over pairs: average ranks with Friedman's test, and how likely a difference is of any size.

Ranks, Friedman's and Nemenyi's tests are as Demšar 2006 (Statistical Comparisons of Classifiers over Multiple Data
Sets, JMLR 7) recommends, with pairs of domains in the place of his data sets. Tests of each method against each other
one, corrected for so many comparisons, can never reject with six pairs; in their place stands the Bayesian
signed-rank test of Benavoli et al. 2017 (Time for a Change: a Tutorial for Comparing Multiple Classifiers Through
Bayesian Analysis, JMLR 18), against the best method alone. Pairs that share a domain are not independent, so that
p-values are somewhat too small.

scikit-posthocs is imported where it is called, and SciPy's tests are loaded where they are first used: each takes a
second or more, and commands that only read ledgers do without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

ALPHA = 0.05
ALIKE = 0.5
"""Points of accuracy up to which two methods count as equal in practice."""
FEWEST_PAIRS = 3
"""With fewer pairs nothing is said of pairs that did not run."""

_TIE = 6  # decimals (percent) to which accuracies count as equal: averages over seeds differ in the last bits
_PRIOR = 0.5  # weight of Benavoli's pseudo-pair, on which methods are equal
_DRAWS = 20_000


class Probabilities(NamedTuple):
    """How likely one method is worse than another, equal to it, or better, by more than :data:`ALIKE` points."""

    worse: float
    equal: float
    better: float


@dataclass(frozen=True)
class Comparison:
    """Methods compared over the pairs that all of them ran on.

    Attributes:
        accuracies: pairs (rows) × methods, in percent.
        ranks: method → average rank over the pairs (1 is best, ties share theirs), the best first.
        friedman: Friedman's χ² (corrected for ties) and its p-value: whether the methods differ at all.
        critical_difference: average ranks that are further apart differ (Nemenyi, two-sided, α = 0.05).
    """

    accuracies: pd.DataFrame
    ranks: dict[str, float]
    friedman: tuple[float, float]
    critical_difference: float

    @cached_property
    def nemenyi(self) -> pd.DataFrame:
        """P-values of Nemenyi's test, methods × methods."""
        from scikit_posthocs import posthoc_nemenyi_friedman  # noqa: PLC0415

        p_values: pd.DataFrame = posthoc_nemenyi_friedman(self.accuracies)
        return p_values

    @property
    def differ(self) -> bool:
        """Whether Friedman's test says that the methods are not all alike."""
        return self.friedman[1] < ALPHA

    @property
    def tells_apart(self) -> bool:
        """Whether Friedman's and then Nemenyi's test tell some two methods apart."""
        ranks = list(self.ranks.values())
        return self.differ and ranks[-1] - ranks[0] > self.critical_difference

    @property
    def best(self) -> str:
        """The method with the best average accuracy."""
        return str(self.accuracies.mean().idxmax())

    @cached_property
    def against_best(self) -> dict[str, Probabilities]:
        """Each other method → how likely :attr:`best` is worse, equal and better; empty with too few pairs."""
        if len(self.accuracies) < FEWEST_PAIRS:
            return {}
        best = self.accuracies[self.best]
        return {
            other: probabilities((best - self.accuracies[other]).tolist()) for other in self.ranks if other != self.best
        }


def compare(accuracies: pd.DataFrame) -> Comparison | None:
    """Compare methods over pairs.

    Args:
        accuracies: pairs (rows) × methods, in percent. Methods that lack a pair take no part.

    Returns:
        None with fewer than three methods or two pairs, which Friedman's test cannot compare.
    """
    table = accuracies.dropna(axis="columns").round(_TIE)
    pairs, methods = table.shape
    if methods < 3 or pairs < 2:
        return None
    ranks = (-table).rank(axis="columns").mean().sort_values(kind="stable")
    alike = (table.nunique(axis="columns") == 1).all()  # no ranks to compare: the statistic would be 0/0
    statistic, p = (0.0, 1.0) if alike else scipy.stats.friedmanchisquare(*table.to_numpy().T)
    quantile = scipy.stats.studentized_range.ppf(1 - ALPHA, methods, np.inf) / math.sqrt(2)
    return Comparison(
        accuracies=table,
        ranks={str(name): float(rank) for name, rank in ranks.items()},
        friedman=(float(statistic), float(p)),
        critical_difference=float(quantile * math.sqrt(methods * (methods + 1) / (6 * pairs))),
    )


def probabilities(differences: Sequence[float], alike: float = ALIKE, draws: int = _DRAWS) -> Probabilities:
    """The Bayesian signed-rank test (Benavoli et al. 2017, section 4.2.2).

    The differences z have weights w ~ Dirichlet(½, 1, …, 1), the first for a pseudo-pair with z = 0. Better has the
    share Σ_ij w_i w_j [z_i + z_j > 2r], worse that with < −2r, and equal the rest; a sum that is ±2r counts half. The
    result says in what part of the posterior each share is the largest.

    Args:
        differences: of one method to the other on each pair, in points.
        alike: r, up to which they are equal.
        draws: from the posterior; the same every time.
    """
    z = np.concatenate([[0.0], np.asarray(differences, dtype=float)]).round(_TIE)
    sums = z[:, None] + z[None, :]
    better = np.heaviside(sums - 2 * alike, 0.5)
    worse = np.heaviside(-sums - 2 * alike, 0.5)
    weights = np.random.default_rng(0).dirichlet([_PRIOR] + [1.0] * len(differences), draws)
    shares = np.stack([((weights @ side) * weights).sum(axis=1) for side in (worse, better)], axis=1)
    shares = np.insert(shares, 1, 1 - shares.sum(axis=1), axis=1)
    largest = np.bincount(shares.argmax(axis=1), minlength=3) / draws
    return Probabilities(*(float(part) for part in largest))
