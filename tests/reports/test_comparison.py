"""Tests between methods against the worked example of Demšar 2006."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from transfer_sweep.reports import comparison
from transfer_sweep.reports.comparison import Comparison

# Demšar 2006, table 6: AUC of C4.5 with its parameters m and cf tuned or not, on 14 data sets.
AUC = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],  # printed 0.975 twice, ranked 2 and 3
        [0.957, 0.978, 0.946, 0.970],
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)


@pytest.fixture(scope="module")
def demsar() -> Comparison:
    found = comparison.compare(AUC)
    assert found is not None
    return found


def test_average_ranks_are_those_of_the_paper(demsar: Comparison) -> None:
    published = {"C4.5": 3.143, "C4.5+m": 2.000, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}
    assert demsar.ranks == pytest.approx(published, abs=6e-4)
    assert list(demsar.ranks) == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]


def test_friedman_is_that_of_the_paper_after_its_correction_for_ties(demsar: Comparison) -> None:
    # The paper's 9.28 is without the correction: a tie of two costs 2³ − 2, the tie of four 4³ − 4.
    ties = 1 - (3 * (2**3 - 2) + (4**3 - 4)) / (14 * (4**3 - 4))
    assert demsar.friedman[0] * ties == pytest.approx(9.28, abs=0.01)
    assert demsar.differ


def test_the_critical_difference_is_that_of_the_paper(demsar: Comparison) -> None:
    assert demsar.critical_difference == pytest.approx(1.25, abs=0.005)
    # Even the best and the worst, 3.143 − 1.964 = 1.18 apart, are nearer than that.
    assert (demsar.nemenyi > comparison.ALPHA).all(axis=None)


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_comparisons(demsar: Comparison) -> None:
    raw = {
        (str(a), str(b)): stats.wilcoxon(AUC[a], AUC[b], zero_method="zsplit", method="exact").pvalue
        for i, a in enumerate(AUC)
        for b in list(AUC)[i + 1 :]
    }
    expected: dict[tuple[str, str], float] = {}
    last = 0.0
    for left, (pair, p) in zip(range(6, 0, -1), sorted(raw.items(), key=lambda item: item[1]), strict=True):
        last = min(1.0, max(last, left * p))
        expected[pair] = last
    assert {pair: demsar.wilcoxon.loc[pair] for pair in raw} == pytest.approx(expected)


def accuracies(pairs: int, **offsets: float) -> pd.DataFrame:
    """Methods that differ by the same offset, and a little noise, on every pair."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(pairs, len(offsets)))
    return pd.DataFrame(noise + list(offsets.values()), columns=list(offsets))


def test_one_method_is_better_than_another_only_where_the_test_says_so() -> None:
    found = comparison.compare(accuracies(12, good=80.0, same=80.0, bad=70.0))
    assert found is not None
    assert found.better_than("good") == found.better_than("same") == ["bad"]
    assert found.better_than("bad") == []


def test_with_few_pairs_no_difference_can_be_shown_however_large() -> None:
    few = comparison.compare(accuracies(5, good=90.0, fair=50.0, bad=10.0))
    assert few is not None
    assert few.differ
    assert not few.can_tell
    assert all(few.better_than(name) == [] for name in few.ranks)
    assert few.smallest_p == pytest.approx(stats.wilcoxon([1, 2, 3, 4, 5]).pvalue)


def test_methods_that_are_all_alike_do_not_differ() -> None:
    found = comparison.compare(pd.DataFrame({name: [50.0, 60.0, 70.0] for name in "abc"}))
    assert found is not None
    assert not found.differ
    assert found.better_than("a") == []


def test_methods_that_lack_a_pair_take_no_part() -> None:
    table = accuracies(6, a=1.0, b=2.0, c=3.0, d=4.0)
    table.loc[0, "b"] = np.nan
    found = comparison.compare(table)
    assert found is not None
    assert set(found.ranks) == {"a", "c", "d"}
    assert comparison.compare(table[["a", "b", "c"]]) is None
