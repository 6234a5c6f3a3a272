"""What a recommendation may cost, without a label."""

import math

import numpy as np
import pytest

from transfer_sweep.reports.expected_regret import expected

# Percent of disagreement of the recommended trial and its regret in points, as `python -m benchmarks.recommendation`
# reads them out of the ledgers of runs that docs/selection.md names.
RECORDED = {
    "office_caltech10_styles": [
        *[(6.7, 0.9), (19.0, 1.4), (27.6, 7.6), (3.5, 0.6), (18.3, 1.6), (24.1, 3.5)],
        *[(7.8, 0.0), (11.9, 1.6), (25.9, 1.6), (13.7, 0.0), (13.3, 0.2), (22.6, 0.9)],
    ],
    "quickstart": [(50.1, 1.2), (74.8, 6.5), (32.0, 8.7), (43.0, 2.8), (63.7, 3.0), (50.9, 27.3)],
    "office31_all": [(19.2, 0.0), (1.4, 1.6)],
    "office_caltech10": [
        *[(41.8, 1.4), (57.1, 4.5), (58.9, 3.4), (56.4, 7.3), (58.4, 3.2), (64.0, 12.5)],
        *[(52.1, 5.4), (53.1, 1.9), (22.4, 0.0), (40.7, 0.1), (56.6, 2.6), (24.6, 0.6)],
    ],
    "amazon_reviews": [(10.2, 2.6), (13.4, 0.8)],
}


def test_on_the_recorded_runs_it_is_the_mean_and_nine_in_ten_stay_below_the_most() -> None:
    disagreement, regret = np.array([pair for pairs in RECORDED.values() for pair in pairs]).T
    said = [expected(100 - each) for each in disagreement]
    assert np.mean([each.mean for each in said]) == pytest.approx(regret.mean(), rel=0.1)
    below = np.mean(regret <= [each.most for each in said])
    assert 0.9 <= below < 0.95


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
