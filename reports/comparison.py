"""Which methods differ over pairs, as far as tests can say.

The tests are those that Demšar 2006 (Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7)
recommends, with pairs of domains in the place of his data sets. Pairs that share a domain are not independent, so
that p-values are somewhat too small.

scikit-posthocs and statsmodels are imported where they are called, and SciPy's tests are loaded where they are first
used: each takes a second or more, and commands that only read ledgers do without.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

ALPHA = 0.05
_TIE = 6  # decimals (percent) to which accuracies count as equal: averages over seeds differ in the last bits


@dataclass(frozen=True)
class Comparison:
    """Methods compared over the pairs that all of them ran on.

    Attributes:
        accuracies: pairs (rows) × methods, in percent.
        ranks: method → average rank over the pairs (1 is best, ties share theirs), the best first.
        friedman: Friedman's χ² (corrected for ties) and its p-value: whether the methods differ at all.
        critical_difference: average ranks that are further apart differ (Nemenyi, two-sided, α = 0.05).
        wilcoxon: p-values of Wilcoxon's signed-rank test over the pairs (two-sided, exact, conservative with ties;
            zero differences split evenly), after Holm's correction for all comparisons.
    """

    accuracies: pd.DataFrame
    ranks: dict[str, float]
    friedman: tuple[float, float]
    critical_difference: float
    wilcoxon: pd.DataFrame

    @cached_property
    def nemenyi(self) -> pd.DataFrame:
        """P-values of Nemenyi's test, methods × methods."""
        from scikit_posthocs import posthoc_nemenyi_friedman  # noqa: PLC0415

        p_values: pd.DataFrame = posthoc_nemenyi_friedman(self.accuracies)
        return p_values

    @property
    def comparisons(self) -> int:
        """Number of pairs of methods."""
        return math.comb(len(self.ranks), 2)

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that Wilcoxon's test can give with so many pairs of domains."""
        return min(1.0, 2.0 ** (1 - len(self.accuracies)))

    @property
    def can_tell(self) -> bool:
        """Whether, after Holm's correction, any difference between two methods could be shown at all."""
        return self.smallest_p * self.comparisons < ALPHA

    @property
    def differ(self) -> bool:
        """Whether Friedman's test says that the methods are not all alike."""
        return self.friedman[1] < ALPHA

    def better_than(self, method: str) -> list[str]:
        """The methods that this one is better than, by Friedman's test and then Wilcoxon's with Holm's correction."""
        if not self.differ:
            return []
        p_values = self.wilcoxon.loc[method].to_dict()
        found = [other for other in self.ranks if p_values[other] < ALPHA]
        return [o for o in found if _signed_ranks(self.accuracies[method] - self.accuracies[o]) > 0]


def _signed_ranks(differences: pd.Series) -> float:
    return float((np.sign(differences) * differences.abs().rank()).sum())


def compare(accuracies: pd.DataFrame) -> Comparison | None:
    """Compare methods over pairs.

    Args:
        accuracies: pairs (rows) × methods, in percent. Methods that lack a pair take no part.

    Returns:
        The tests; None with fewer than three methods or two pairs, which Friedman's test cannot compare.
    """
    table = accuracies.dropna(axis="columns").round(_TIE)
    pairs, methods = table.shape
    if methods < 3 or pairs < 2:
        return None
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415

    ranks = (-table).rank(axis="columns").mean().sort_values(kind="stable")
    alike = (table.nunique(axis="columns") == 1).all()  # no ranks to compare: the statistic would be 0/0
    statistic, p = (0.0, 1.0) if alike else scipy.stats.friedmanchisquare(*table.to_numpy().T)
    quantile = scipy.stats.studentized_range.ppf(1 - ALPHA, methods, np.inf) / math.sqrt(2)
    one, other = np.triu_indices(methods, 1)
    differences = table.to_numpy()[:, one] - table.to_numpy()[:, other]
    # scipy's own choice for few pairs with ties is a permutation test, which takes minutes for 20 methods.
    p_values = scipy.stats.wilcoxon(differences, zero_method="zsplit", method="exact").pvalue
    wilcoxon = np.ones((methods, methods))
    wilcoxon[one, other] = wilcoxon[other, one] = multipletests(p_values, method="holm")[1]
    return Comparison(
        accuracies=table,
        ranks={str(name): float(rank) for name, rank in ranks.items()},
        friedman=(float(statistic), float(p)),
        critical_difference=float(quantile * math.sqrt(methods * (methods + 1) / (6 * pairs))),
        wilcoxon=pd.DataFrame(wilcoxon, table.columns, table.columns),
    )
