"""Soft neighbourhood density, row by row."""

import math

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray
from scipy.special import softmax

from tests.support.evidence import certain
from transfer_sweep.reports.criteria.base import Evidence
from transfer_sweep.reports.criteria.snd import SND
from transfer_sweep.reports.criteria.subsample import MOST, subsample


def soft_neighborhood_density(logits: NDArray[np.floating]) -> float:
    return SND().compute(Evidence.of_logits(logits))


def test_soft_neighborhood_density_is_the_mean_entropy_of_the_similarities_to_others() -> None:
    """Saito et al. 2021, equations 1 to 3, row by row."""
    logits = np.random.default_rng(0).normal(size=(40, 5))
    probabilities = softmax(logits, axis=1)
    unit = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
    expected = [
        scipy.stats.entropy(softmax([unit[i] @ unit[j] / 0.05 for j in range(40) if j != i])) for i in range(40)
    ]
    assert soft_neighborhood_density(logits) == pytest.approx(np.mean(expected), rel=1e-5)


def test_dense_neighbourhoods_are_better_than_sparse_ones() -> None:
    # Sure predictions in two classes of ten: nine neighbours of weight e²⁰, ten of weight 1.
    dense = soft_neighborhood_density(certain([0] * 10 + [1] * 10))
    weight = math.exp(20)
    total = 9 * weight + 10
    assert dense == pytest.approx(math.log(total) - 9 * weight * 20 / total, rel=1e-5)
    assert dense > soft_neighborhood_density(certain([0, 1, 2, 3]))


def test_soft_neighborhood_density_of_many_samples_is_that_of_the_same_part_of_them_each_time() -> None:
    logits = np.random.default_rng(0).normal(size=(MOST + 50, 3))
    assert soft_neighborhood_density(logits) == soft_neighborhood_density(logits[subsample(MOST + 50)])
    assert math.isnan(soft_neighborhood_density(logits[:1]))
    assert math.isnan(soft_neighborhood_density(np.full((4, 3), np.nan)))
