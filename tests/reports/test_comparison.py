"""Tests between methods against the worked example of Demšar 2006."""

import math

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


def accuracies(pairs: int, **offsets: float) -> pd.DataFrame:
    """Methods that differ by the same offset, and a little noise, on every pair."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(pairs, len(offsets)))
    return pd.DataFrame(noise + list(offsets.values()), columns=list(offsets))


def test_what_demsars_tests_do_not_tell_apart_has_no_diagram_worth_drawing(demsar: Comparison) -> None:
    assert not demsar.tells_apart
    clear = comparison.compare(accuracies(12, good=80.0, same=79.0, bad=70.0))
    assert clear is not None
    assert clear.tells_apart


def test_the_best_is_better_than_what_is_far_below_and_equal_to_what_is_near() -> None:
    found = comparison.compare(accuracies(12, good=80.2, near=80.0, bad=70.0))
    assert found is not None
    assert found.best == "good"
    assert list(found.against_best) == [name for name in found.ranks if name != "good"]
    assert found.against_best["bad"].better > 0.99
    assert found.against_best["near"].equal > 0.99


def test_two_pairs_are_too_few_to_say_how_likely_the_best_is_better() -> None:
    few = comparison.compare(accuracies(2, good=90.0, fair=50.0, bad=10.0))
    assert few is not None
    assert few.against_best == {}


# --- the Bayesian signed-rank test (Benavoli 2017) ---


@pytest.mark.parametrize(
    ("difference", "needed"),
    [
        # With one pair, w ~ Beta(1, ½) is its weight and 1 − w that of the pseudo-pair at 0. Above ½ + ½ points the
        # pair's sum with the pseudo-pair counts, too: better has the share 1 − (1 − w)², equal (1 − w)².
        (3.0, 1 - math.sqrt(0.5)),
        # Between, only its sum with itself counts: w².
        (0.75, math.sqrt(0.5)),
    ],
)
def test_one_pair_gives_the_closed_form(difference: float, needed: float) -> None:
    found = comparison.probabilities([difference], alike=0.5, draws=400_000)
    assert found.better == pytest.approx(stats.beta(1, 0.5).sf(needed), abs=0.003)
    assert found.worse == 0.0
    turned = comparison.probabilities([-difference], alike=0.5, draws=400_000)
    assert turned.worse == pytest.approx(found.better, abs=0.005)


def test_the_posterior_is_that_of_its_definition_written_out() -> None:
    z = [2.0, -0.2, 1.5, 0.6, -1.8, 4.0]
    rng, counts = np.random.default_rng(7), [0, 0, 0]
    for _ in range(4000):
        gammas = [rng.gamma(0.5), *rng.gamma(1.0, size=len(z))]
        weights, values, shares = np.array(gammas) / sum(gammas), [0.0, *z], [0.0, 0.0, 0.0]
        for i, a in enumerate(values):
            for j, b in enumerate(values):
                mean = (a + b) / 2
                shares[0 if mean < -0.5 else 2 if mean > 0.5 else 1] += weights[i] * weights[j]
        counts[int(np.argmax(shares))] += 1
    assert comparison.probabilities(z) == pytest.approx(tuple(n / 4000 for n in counts), abs=0.03)


def test_methods_that_are_all_alike_do_not_differ() -> None:
    found = comparison.compare(pd.DataFrame({name: [50.0, 60.0, 70.0] for name in "abc"}))
    assert found is not None
    assert not found.differ
    assert not found.tells_apart


def test_methods_that_lack_a_pair_take_no_part() -> None:
    table = accuracies(6, a=1.0, b=2.0, c=3.0, d=4.0)
    table.loc[0, "b"] = np.nan
    found = comparison.compare(table)
    assert found is not None
    assert set(found.ranks) == {"a", "c", "d"}
    assert comparison.compare(table[["a", "b", "c"]]) is None
