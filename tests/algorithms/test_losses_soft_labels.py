"""Soft labels and confusion against float64 and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from transfer_sweep.algorithms.losses.adversarial import uniform_confusion
from transfer_sweep.algorithms.losses.soft_labels import soft_label_loss, soft_labels


def test_soft_labels_are_the_class_averages_of_the_softened_predictions() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(20, 4)) * 3, rng.integers(0, 3, 20)  # the last class has no samples
    found = soft_labels(torch.from_numpy(logits), torch.from_numpy(labels), 2.0)
    expected = [softmax(logits[labels == k] / 2, axis=1).mean(axis=0) for k in range(3)] + [np.full(4, 0.25)]
    np.testing.assert_allclose(found.numpy(), expected)
    np.testing.assert_allclose(found.sum(dim=1).numpy(), 1.0)


def test_the_soft_label_loss_is_a_cross_entropy_at_its_temperature() -> None:
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(6, 5)), rng.dirichlet(np.ones(5), 6)
    found = soft_label_loss(torch.from_numpy(logits), torch.from_numpy(targets), 3.0)
    assert found.item() == pytest.approx(-(targets * log_softmax(logits / 3, axis=1)).sum(axis=1).mean())


def test_the_soft_label_loss_is_least_where_the_softened_prediction_is_the_soft_label() -> None:
    targets = torch.from_numpy(np.random.default_rng(2).dirichlet(np.ones(5), 6))
    logits = (2.0 * targets.log()).requires_grad_()
    (gradient,) = torch.autograd.grad(soft_label_loss(logits, targets, 2.0), logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_confusion_is_least_and_log_2_where_the_discriminator_cannot_tell() -> None:
    unsure = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    loss = uniform_confusion(unsure)
    assert loss.item() == pytest.approx(math.log(2))
    torch.testing.assert_close(torch.autograd.grad(loss, unsure)[0], torch.zeros_like(unsure))
    assert uniform_confusion(torch.tensor([3.0, -3.0])).item() > math.log(2)


def test_the_gradient_of_confusion_is_half_the_tanh_and_stays_finite_far_out() -> None:
    z = torch.tensor([-200.0, -1.0, 0.3, 200.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(uniform_confusion(z), z)
    # d/dz −½ [log σ(z) + log σ(−z)] = σ(z) − ½ = ½ tanh(z / 2), over 4 samples.
    torch.testing.assert_close(gradient, 0.125 * torch.tanh(z.detach() / 2))
