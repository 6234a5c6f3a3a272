"""What a recommendation may cost, without a label."""

import math

import pytest

from transfer_sweep.reports.expected_regret import expected


def test_where_all_predict_the_same_nothing_is_expected_to_be_lost_but_by_chance() -> None:
    found = expected(100.0)
    assert found.mean == 0
    assert 0 < found.most < 3


@pytest.mark.parametrize("agreement", [0.0, 40.0, 75.0, 99.0])
def test_more_is_expected_where_methods_disagree_more_and_never_more_than_they_disagree_on(agreement: float) -> None:
    less, more = expected(agreement + 1), expected(agreement)
    assert more.mean > less.mean
    assert more.most > less.most > less.mean
    assert more.mean <= 100 - agreement


def test_of_the_only_method_nothing_is_known() -> None:
    assert all(map(math.isnan, expected(math.nan)))
