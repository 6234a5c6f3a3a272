"""Mean gains and their intervals: against a mixed model, and by how often they hold the known gain."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from transfer_sweep.reports import gain
from transfer_sweep.reports.gain import Interval, Spread

ALONE = Spread(math.nan, 1)


def simulated(
    rng: np.random.Generator, pairs: int, seeds: int, known: float, between: float, within: float
) -> tuple[list[float], list[tuple[Spread, Spread]], np.ndarray]:
    """Gains of a method over a baseline on drawn pairs: known ± between, and runs ± within on both sides."""
    effects = known + between * rng.standard_normal(pairs)
    method = 70 + effects[:, None] + within * rng.standard_normal((pairs, seeds))
    baseline = 70 + within * rng.standard_normal((pairs, seeds))
    spreads = [
        (Spread(float(m.std(ddof=1)), seeds), Spread(float(b.std(ddof=1)), seeds)) if seeds > 1 else (ALONE, ALONE)
        for m, b in zip(method, baseline, strict=True)
    ]
    return (method.mean(1) - baseline.mean(1)).tolist(), spreads, effects


def within_binomial_bounds(hits: int, trials: int) -> bool:
    """Whether so many hits are what 95 % gives, but for one in ten thousand."""
    return bool(stats.binomtest(hits, trials, 0.95).pvalue > 1e-4)


@pytest.mark.parametrize(("pairs", "seeds"), [(3, 1), (3, 3), (6, 1), (6, 3), (12, 2)])
def test_the_interval_over_pairs_holds_the_known_gain_as_often_as_it_says(pairs: int, seeds: int) -> None:
    rng, trials, hits = np.random.default_rng(pairs * 10 + seeds), 2000, 0
    for _ in range(trials):
        gains, spreads, _ = simulated(rng, pairs, seeds, known=2.0, between=3.0, within=1.0)
        found = gain.mean_gain(gains, spreads).over_pairs
        assert found is not None
        hits += found.low <= 2.0 <= found.high
    assert within_binomial_bounds(hits, trials)


@pytest.mark.parametrize(("pairs", "seeds"), [(2, 3), (2, 5), (6, 3)])
def test_the_interval_over_seeds_holds_the_mean_gain_on_these_very_pairs(pairs: int, seeds: int) -> None:
    rng, trials, hits = np.random.default_rng(pairs * 10 + seeds), 2000, 0
    for _ in range(trials):
        gains, spreads, effects = simulated(rng, pairs, seeds, known=2.0, between=3.0, within=1.0)
        found = gain.mean_gain(gains, spreads).over_seeds
        assert found is not None
        hits += found.low <= effects.mean() <= found.high
    share = hits / trials
    assert 0.945 < share < 0.98  # Satterthwaite's degrees of freedom are estimates: a little wide with few runs


def test_with_equally_many_seeds_a_mixed_model_gives_the_same_mean_and_standard_error() -> None:
    rng = np.random.default_rng(1)
    gains = 3.0 + rng.normal(0, 4, (6, 1)) + rng.normal(0, 1, (6, 3))  # pairs × seeds
    rows = pd.DataFrame({"gain": gains.ravel(), "pair": np.repeat(np.arange(6), 3)})
    model = MixedLM(rows["gain"], np.ones((18, 1)), groups=rows["pair"]).fit(reml=True)
    found = gain.mean_gain(gains.mean(axis=1).tolist(), [(ALONE, ALONE)] * 6)
    assert found.over_pairs is not None
    assert found.mean == pytest.approx(float(model.params.iloc[0]))
    half = float(model.bse.iloc[0]) * stats.t.ppf(0.975, 5)
    assert found.over_pairs.high - found.mean == pytest.approx(half, rel=1e-3)


def test_one_pair_with_seeds_is_welchs_interval() -> None:
    one, other = [81.0, 83.5, 82.0], [70.0, 75.0, 71.0, 69.0]
    spreads = [(Spread(float(np.std(one, ddof=1)), 3), Spread(float(np.std(other, ddof=1)), 4))]
    found = gain.mean_gain([float(np.mean(one) - np.mean(other))], spreads)
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert found.over_pairs is None
    assert found.over_seeds == pytest.approx((expected.low, expected.high))


def test_a_gain_on_six_pairs_can_be_told_from_none() -> None:
    found = gain.mean_gain([5.0, 6.0, 4.0, 5.5, 4.5, 5.0], [(ALONE, ALONE)] * 6)
    assert found.over_pairs is not None
    assert found.over_pairs.low > 0
    assert found.over_seeds is None


def test_two_pairs_say_nothing_of_others_and_equal_gains_have_no_width() -> None:
    assert gain.mean_gain([5.0, 6.0], [(ALONE, ALONE)] * 2).over_pairs is None
    assert gain.mean_gain([5.0] * 3, [(ALONE, ALONE)] * 3).over_pairs == Interval(5.0, 5.0)
