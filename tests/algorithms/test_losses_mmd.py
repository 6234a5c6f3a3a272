"""MMD: against closed forms and scikit-learn's kernels in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from transfer_sweep.algorithms.losses.mmd import (
    gaussian_kernels,
    joint_mmd,
    mean_distance,
    mmd,
    mmd_of_kernel,
    squared_distances,
)

Array = NDArray[np.floating[Any]]


@pytest.fixture
def samples() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 5)), rng.normal(size=(12, 5)) * 1.3 + 0.4


def reference_kernel(x: Array, y: Array, gamma: float) -> Array:
    kernels = [rbf_kernel(x, y, gamma=1 / (m * gamma)) for m in (0.25, 0.5, 1, 2, 4)]
    mean: Array = np.mean(kernels, axis=0)
    return mean


def mean_of_pairs(x: Array) -> float:
    squared = euclidean_distances(x, squared=True)
    return float(squared[~np.eye(len(x), dtype=bool)].mean())


def test_the_biased_estimate_is_the_mean_over_all_pairs_of_five_rbf_kernels(samples: tuple[Array, Array]) -> None:
    x, y = samples
    gamma = mean_of_pairs(np.vstack([x, y]))
    expected = (
        reference_kernel(x, x, gamma).mean()
        + reference_kernel(y, y, gamma).mean()
        - 2 * reference_kernel(x, y, gamma).mean()
    )
    assert float(mmd(torch.tensor(x), torch.tensor(y))) == pytest.approx(expected, rel=1e-9)


def test_the_unbiased_estimate_leaves_out_pairs_of_a_sample_with_itself(samples: tuple[Array, Array]) -> None:
    x, y = samples
    gamma = mean_of_pairs(np.vstack([x, y]))
    off = ~np.eye(12, dtype=bool)
    expected = (
        reference_kernel(x, x, gamma)[off].mean()
        + reference_kernel(y, y, gamma)[off].mean()
        - 2 * reference_kernel(x, y, gamma).mean()
    )
    assert float(mmd(torch.tensor(x), torch.tensor(y), estimate="unbiased")) == pytest.approx(expected, rel=1e-9)


def test_the_linear_time_estimate_sums_over_disjoint_quadruples(samples: tuple[Array, Array]) -> None:
    # Long 2015: g(z_i) over i = 1 … n/2, on samples 2i − 1 and 2i of each domain.
    x, y = samples
    gamma = mean_of_pairs(np.vstack([x, y]))
    ss, tt, st = (reference_kernel(a, b, gamma) for a, b in ((x, x), (y, y), (x, y)))
    terms = [ss[i, i + 1] + tt[i, i + 1] - st[i, i + 1] - st[i + 1, i] for i in range(0, 12, 2)]
    assert float(mmd(torch.tensor(x), torch.tensor(y), estimate="linear")) == pytest.approx(np.mean(terms), rel=1e-9)


def test_the_cyclic_estimate_is_the_linear_version_of_the_authors_code(samples: tuple[Array, Array]) -> None:
    # thuml/Xlearn, pytorch/src/loss.py, DAN_Linear: i and i + 1 modulo n; the five kernels are summed.
    x, y = samples
    gamma = mean_of_pairs(np.vstack([x, y]))
    ss, tt, st = (5 * reference_kernel(a, b, gamma) for a, b in ((x, x), (y, y), (x, y)))
    terms = [ss[i, j] + tt[i, j] - st[i, j] - st[j, i] for i, j in ((i, (i + 1) % 12) for i in range(12))]
    value = mmd(torch.tensor(x), torch.tensor(y), estimate="cyclic", summed=True)
    assert float(value) == pytest.approx(np.mean(terms), rel=1e-9)


def test_the_joint_discrepancy_at_the_authors_bandwidths(samples: tuple[Array, Array]) -> None:
    # thuml/Xlearn, pytorch/src/loss.py, JAN: five summed kernels on features, one of bandwidth 1.68 on predictions;
    # pairs of a sample with itself are left out within a domain, and not across.
    rng = np.random.default_rng(1)
    features, predictions = np.vstack(samples), softmax(rng.normal(size=(24, 4)), axis=1)
    kernel = 5 * reference_kernel(features, features, mean_of_pairs(features)) * rbf_kernel(predictions, gamma=1 / 1.68)
    within = sum(kernel[i, j] + kernel[i + 12, j + 12] for i in range(12) for j in range(i + 1, 12)) / (12 * 11 / 2)
    across = sum(kernel[i, j + 12] + kernel[j, i + 12] for i in range(12) for j in range(12)) / 144
    value = joint_mmd(
        [torch.tensor(features), torch.tensor(predictions)], [5, 1], 12, "unbiased", summed=True, bandwidths=[0, 1.68]
    )
    assert float(value) == pytest.approx(within - across, rel=1e-9)


def test_a_single_kernel_on_two_points_has_a_closed_form() -> None:
    # One point each at distance r: the mean squared distance is r², so MMD² = 2 − 2 exp(−1).
    x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    assert float(mmd(x, y, kernels=1)) == pytest.approx(2 - 2 * np.exp(-1), rel=1e-6)


def test_equal_samples_are_at_no_distance_and_far_ones_at_most_two(samples: tuple[Array, Array]) -> None:
    x = torch.tensor(samples[0])
    assert float(mmd(x, x)) == pytest.approx(0, abs=1e-12)
    assert 0.5 < float(mmd(x, x + 1e3)) < 2


def test_samples_that_are_all_one_point_give_no_nan() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    value = mmd(x, torch.ones(4, 3))
    torch.autograd.backward(value)
    assert float(value.detach()) == 0
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_the_bandwidth_is_a_constant_for_the_gradient(samples: tuple[Array, Array]) -> None:
    x, y = (torch.tensor(s, requires_grad=True) for s in samples)
    gamma = mean_distance(squared_distances(torch.cat([x, y]), torch.cat([x, y])))
    assert not gamma.requires_grad

    def with_fixed_bandwidth(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        both = torch.cat([a, b])
        return mmd_of_kernel(gaussian_kernels(squared_distances(both, both), gamma), len(a))

    assert torch.autograd.gradcheck(with_fixed_bandwidth, (x, y))
    fixed = torch.autograd.grad(with_fixed_bandwidth(x, y), x)[0]
    torch.testing.assert_close(torch.autograd.grad(mmd(x, y), x)[0], fixed)


def test_the_joint_discrepancy_multiplies_the_kernels_of_the_layers(samples: tuple[Array, Array]) -> None:
    # Long 2017: k(z, z') = Π_l k_l(z_l, z'_l); here five kernels on one layer, one on the other.
    x, y = samples
    both = np.vstack([x, y])
    first, second = both[:, :3], both[:, 3:]
    kernel = reference_kernel(first, first, mean_of_pairs(first)) * rbf_kernel(second, gamma=1 / mean_of_pairs(second))
    expected = kernel[:12, :12].mean() + kernel[12:, 12:].mean() - 2 * kernel[:12, 12:].mean()
    value = joint_mmd([torch.tensor(first), torch.tensor(second)], [5, 1], 12)
    assert float(value) == pytest.approx(expected, rel=1e-9)


def test_only_the_joint_discrepancy_sees_that_layers_belong_together(samples: tuple[Array, Array]) -> None:
    # The same features and the same predictions, paired differently: each layer alone looks alike in both domains.
    features, predictions = (torch.tensor(s) for s in samples)
    together = torch.cat([features, features]), torch.cat([predictions, predictions])
    apart = torch.cat([features, features]), torch.cat([predictions, predictions.roll(5, 0)])
    assert float(joint_mmd(together, [5, 5], 12)) == pytest.approx(0, abs=1e-12)
    assert float(mmd(features, features)) == pytest.approx(0, abs=1e-12)
    assert float(joint_mmd(apart, [5, 5], 12)) > 0.01
