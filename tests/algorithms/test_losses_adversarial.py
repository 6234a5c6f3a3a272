"""Domain-adversarial losses and the weights of CDAN: closed forms and scikit-learn's log loss."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import log_loss

from transfer_sweep.algorithms.losses.adversarial import domain_confusion
from transfer_sweep.algorithms.losses.entropy import entropy, entropy_weights


def test_a_discriminator_that_cannot_tell_costs_log_two() -> None:
    assert float(domain_confusion(torch.zeros(5), torch.zeros(7))) == pytest.approx(np.log(2))


def test_it_is_the_mean_over_domains_of_the_log_loss() -> None:
    rng = np.random.default_rng(0)
    zs, zt = rng.normal(size=9), rng.normal(size=4)
    expected = 0.5 * (log_loss(np.ones(9), expit(zs), labels=[0, 1]) + log_loss(np.zeros(4), expit(zt), labels=[0, 1]))
    assert float(domain_confusion(torch.tensor(zs), torch.tensor(zt))) == pytest.approx(expected)


def test_weights_make_weighted_means_and_equal_ones_change_nothing() -> None:
    rng = np.random.default_rng(1)
    zs, zt, w = rng.normal(size=6), rng.normal(size=6), rng.random(12)
    expected = 0.5 * (
        log_loss(np.ones(6), expit(zs), labels=[0, 1], sample_weight=w[:6])
        + log_loss(np.zeros(6), expit(zt), labels=[0, 1], sample_weight=w[6:])
    )
    source, target = torch.tensor(zs), torch.tensor(zt)
    assert float(domain_confusion(source, target, torch.tensor(w))) == pytest.approx(expected)
    torch.testing.assert_close(
        domain_confusion(source, target, torch.full((12,), 3.0)), domain_confusion(source, target)
    )


def test_entropy_is_scipys_and_stays_finite_for_certain_predictions() -> None:
    logits = np.random.default_rng(2).normal(size=(5, 4)) * 3
    np.testing.assert_allclose(entropy(torch.tensor(logits)), scipy_entropy(softmax(logits, axis=1), axis=1))
    certain = torch.tensor([[1000.0, 0.0]], requires_grad=True)
    value = entropy(certain).sum()
    torch.autograd.backward(value)
    assert float(value.detach()) == 0
    assert certain.grad is not None
    assert torch.isfinite(certain.grad).all()


def test_entropy_has_the_gradient_of_its_formula() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(entropy, (logits,))


def test_certain_samples_weigh_twice_and_the_least_certain_one_and_a_kth() -> None:
    # 1 + e^(−H): H = 0 gives 2, H = log K gives 1 + 1/K; and a weight moves nothing.
    logits = torch.tensor([[50.0, 0, 0, 0], [0.0, 0, 0, 0]], requires_grad=True)
    weights = entropy_weights(logits)
    torch.testing.assert_close(weights, torch.tensor([2.0, 1.25]))
    assert not weights.requires_grad
