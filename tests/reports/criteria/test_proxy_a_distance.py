"""The proxy A-distance, against its closed form for Gaussians."""

import math

import numpy as np
import pytest
import scipy.stats
from scipy.sparse import csr_array

from transfer_sweep.reports.criteria.proxy_a_distance import proxy_a_distance


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.0])
def test_the_proxy_a_distance_of_two_gaussians_is_that_of_the_best_linear_classifier(gap: float) -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 4000, 3))
    target[:, 0] += gap
    # The best linear classifier of N(0, I) and N(gap e, I) errs with probability Φ(−gap / 2).
    expected = 2 * (1 - 2 * scipy.stats.norm.cdf(-gap / 2))
    assert proxy_a_distance(source, target) == pytest.approx(expected, abs=0.06)


def test_more_features_than_samples_sparse_or_dense_make_no_difference_to_the_proxy_a_distance() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.poisson(0.3, (2, 60, 200)).astype(np.float32)
    target[:, :5] += rng.poisson(0.8, (60, 5))
    found = proxy_a_distance(source, target)
    assert 0 < found < 2
    assert proxy_a_distance(csr_array(source), csr_array(target)) == pytest.approx(found)
    turned = np.linalg.qr(rng.normal(size=(200, 200)))[0]  # a linear classifier does not see rotations
    assert proxy_a_distance(source @ turned, target @ turned) == pytest.approx(found, abs=0.1)
    target[:, 5] += 9
    assert proxy_a_distance(source, target) == 2


def test_the_proxy_a_distance_of_what_is_not_finite_or_too_little_is_nan() -> None:
    points = np.ones((4, 2))
    assert math.isnan(proxy_a_distance(points, np.where(points > 0, np.inf, 0)))
    assert math.isnan(proxy_a_distance(points, points[:1]))
