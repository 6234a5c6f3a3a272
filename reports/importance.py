"""Which hyperparameters mattered: how much of a trial's accuracy they decided, and what each of their values gave.

scikit-learn is imported where it is called: it takes seconds, and commands that only read ledgers do without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports import selection
from transfer_sweep.reports.selection import CELL

K = TypeVar("K")

_TREES, _FOLDS, _SHUFFLES = 20, 3, 5
_FEWEST_TRIALS = 8

LEARNT_FROM = [*CELL, "role", "state", "params", "target_accuracy"]
"""The columns that say what a method's hyperparameters decided."""


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
