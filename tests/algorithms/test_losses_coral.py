"""Deep CORAL's loss: numpy's covariances, skada's implementation, and its gradient."""

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from transfer_sweep.algorithms.losses.coral import coral

Array = NDArray[np.floating[Any]]


@pytest.fixture
def samples() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 6)), rng.normal(size=(15, 6)) * 2 + 1


def test_it_is_the_squared_frobenius_distance_of_the_covariances_over_four_d_squared(
    samples: tuple[Array, Array],
) -> None:
    x, y = samples
    expected = np.linalg.norm(np.cov(x.T) - np.cov(y.T), "fro") ** 2 / (4 * 36)
    assert float(coral(torch.tensor(x), torch.tensor(y))) == pytest.approx(expected)


def test_it_is_the_one_of_skada(samples: tuple[Array, Array]) -> None:
    pytest.importorskip("skorch", reason="skada.deep needs skorch")
    losses = importlib.import_module("skada.deep.losses")
    x, y = (torch.tensor(s) for s in samples)
    torch.testing.assert_close(coral(x, y), losses.deepcoral_loss(x, y))


def test_the_mean_has_no_say(samples: tuple[Array, Array]) -> None:
    x = torch.tensor(samples[0])
    assert float(coral(x, x + 7)) == pytest.approx(0, abs=1e-12)


def test_gradient(samples: tuple[Array, Array]) -> None:
    x, y = (torch.tensor(s, requires_grad=True) for s in samples)
    assert torch.autograd.gradcheck(coral, (x, y))
