"""What the numbers support: which methods differ over pairs, and which hyperparameters mattered.

The tests are those that Demšar 2006 (Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7)
recommends, with pairs of domains in the place of his data sets. Pairs that share a domain are not independent, so
that p-values are somewhat too small.

scikit-learn and others are imported where they are called, and SciPy's tests are loaded where they are first used: each
takes a second or more, and commands that only read ledgers do without.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from transfer_sweep.reports import selection
from transfer_sweep.reports.selection import CELL

K = TypeVar("K")

ALPHA = 0.05
_TIE = 6  # decimals (percent) to which accuracies count as equal: averages over seeds differ in the last bits
_TREES, _FOLDS, _SHUFFLES = 20, 3, 5
_FEWEST_TRIALS = 8

LEARNT_FROM = [*CELL, "role", "state", "params", "target_accuracy"]
"""The columns that say what a method's hyperparameters decided."""


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

        return posthoc_nemenyi_friedman(self.accuracies)

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


@dataclass(frozen=True)
class Importance:
    """How much a method's hyperparameters decided inside its cells.

    Attributes:
        explained: share of the variance of target accuracy inside cells that a random forest on the params explains
            on pairs that it has not seen (R²); at most 1, and not above 0 where the params have no effect that holds
            from pair to pair.
        shares: param → by how much ``explained`` drops where its values are shuffled, most important first.
        values: param → the values tried, in order.
        trials: number of trials.
    """

    explained: float
    shares: dict[str, float]
    values: dict[str, list[Any]]
    trials: int


def load() -> None:
    """Import what the tests and the forests need, which takes seconds, before they are asked for."""
    for name in ("scipy.stats", "statsmodels.stats.multitest", "sklearn.ensemble", "sklearn.model_selection"):
        importlib.import_module(name)


def importances(candidates: Mapping[K, pd.DataFrame]) -> dict[K, Importance]:
    """The :func:`importance` of several methods; those of which there is nothing to learn are left out."""
    found = {key: importance(rows) for key, rows in candidates.items()}
    return {key: each for key, each in found.items() if each is not None}


def importance(candidates: pd.DataFrame) -> Importance | None:
    """The importance of a method's hyperparameters, by permutation (Breiman 2001, Random Forests, section 10).

    The forest learns target accuracy minus the average of the cell, on some of the pairs; importance is measured on
    the others, so that noise of single trials counts for nothing. Target labels are looked at: this is for
    understanding, no choice is made by it.

    Args:
        candidates: of one method under one protocol, see :func:`candidates`; of their columns,
            those in :data:`LEARNT_FROM` are looked at.

    Returns:
        None where there is nothing to learn: one pair, fewer than eight trials, or no param that varies.
    """
    import sklearn  # noqa: PLC0415
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415

    rows = effects(candidates)
    params = _params(rows)
    varying = [name for name in sorted(map(str, params)) if _texts(params[name]).nunique() > 1]
    cells = rows.groupby(CELL, sort=False).ngroup()
    if not varying or len(rows) < _FEWEST_TRIALS or cells.nunique() < 2 or not rows["effect"].std() > 0:
        return None
    inputs = np.column_stack([_as_numbers(params[name]) for name in varying])
    effect = rows["effect"].to_numpy()
    left, drops = 0.0, np.zeros(len(varying))
    for train, test in GroupKFold(min(_FOLDS, cells.nunique())).split(inputs, groups=cells):
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):  # a fifth of the time
            forest = RandomForestRegressor(_TREES, random_state=0).fit(inputs[train], effect[train])
            predicted = forest.predict(_shuffled(inputs[test]))
        errors = (predicted - np.tile(effect[test], 1 + len(varying) * _SHUFFLES)) ** 2
        sums = errors.reshape(-1, len(test)).sum(axis=1)  # as they are, then each param's shuffles
        left += float(sums[0])
        drops += sums[1:].reshape(len(varying), _SHUFFLES).mean(axis=1) - sums[0]
    total = float((effect**2).sum())
    shares: dict[str, float] = dict(zip(varying, (drops / total).tolist(), strict=True))
    return Importance(
        explained=1 - left / total,
        shares=dict(sorted(shares.items(), key=lambda item: -item[1])),
        values={name: in_order(params[name]) for name in varying},
        trials=len(rows),
    )


def _shuffled(inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, d) inputs, then for each column ``_SHUFFLES`` copies with its values shuffled, one below the other.

    In one array, since a forest takes as long to check its inputs as to predict: scikit-learn's
    ``permutation_importance`` asks it once a shuffle.
    """
    rng = np.random.default_rng(0)
    copies = np.repeat(inputs[None], 1 + inputs.shape[1] * _SHUFFLES, axis=0)
    for i, copy in enumerate(copies[1:]):
        rng.shuffle(copy[:, i // _SHUFFLES])
    return copies.reshape(-1, inputs.shape[1])


def effects(candidates: pd.DataFrame) -> pd.DataFrame:
    """The trials that competed in cells with a choice, with ``effect``: target accuracy minus the cell's average."""
    rows = selection.eligible(candidates)
    rows = rows[rows["target_accuracy"].notna()]
    cell = rows.groupby(CELL)["target_accuracy"]
    rows = rows.assign(effect=rows["target_accuracy"] - cell.transform("mean"))
    return rows[cell.transform("size") > 1]


def by_value(candidates: pd.DataFrame, param: str, values: Sequence[Any]) -> pd.DataFrame:
    """The mean :func:`effects` of trials that share a param's value: places in ``values`` (rows) × pairs, in points.

    Args:
        candidates: of one method under one protocol.
        param: its name.
        values: its values; a place of the result is one in this sequence.
    """
    rows = effects(candidates)
    places = {_text(value): i for i, value in enumerate(values)}
    place = _texts(_params(rows)[param]).map(places)
    return rows.pivot_table(index=place, columns=["source", "target"], values="effect")


def _params(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame([json.loads(text) for text in rows["params"]], index=rows.index)


def in_order(column: pd.Series) -> list[Any]:
    """The distinct values of a param: numbers from small to large, others as they come."""
    distinct = list(dict(zip(_texts(column), column, strict=True)).values())
    return sorted(distinct, key=float) if _are_numbers(distinct) else distinct


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _texts(column: pd.Series) -> pd.Series:
    return column.map(_text)


def _as_numbers(column: pd.Series) -> NDArray[np.float64]:
    """Numbers as they are, anything else as the place of its value among the values; trees need no more."""
    values = in_order(column)
    if _are_numbers(values):
        return column.to_numpy(dtype=np.float64)
    texts = [_text(value) for value in values]
    return _texts(column).map(texts.index).to_numpy(dtype=np.float64)


def by_pair(records: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Pairs × methods: the accuracies of one group's records by one way of choosing.

    Args:
        records: of one group and one way of choosing.
        names: of the methods, one for each record.
    """
    keyed = records.assign(name=list(names)).set_index(["source", "target", "name"])
    return keyed["target_accuracy_mean"].unstack("name", sort=False)
