"""Agreement with an ensemble, by hand."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.evidence import certain
from transfer_sweep.reports.criteria.agreement import Agreement
from transfer_sweep.reports.criteria.outputs import Outputs


def agreement(logits: list[NDArray[Any] | None], votes: list[bool]) -> list[float]:
    together = Agreement()
    for own, vote in zip(logits, votes, strict=True):
        together.add(None if own is None else Outputs.of_logits(own), vote)
    return together.scores()


def test_agreement_with_the_ensemble_is_with_the_largest_mean_probability() -> None:
    sure, unsure = certain([0, 1, 2, 3]), 0.001 * certain([1, 1, 1, 1])
    wrong = certain([0, 1, 2, 0])
    assert agreement([sure, unsure], [True, True]) == [100.0, 25.0]
    assert agreement([sure, wrong], [True, False]) == [100.0, 75.0]
    found = agreement([sure, None, np.full((4, 4), np.nan)], [True, True, True])
    assert found[0] == 100.0
    assert np.isnan(found[1:]).all()
    assert np.isnan(agreement([None, sure], [True, False])).all()
