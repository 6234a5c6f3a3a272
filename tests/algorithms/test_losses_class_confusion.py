"""Minimum class confusion: closed forms, and skada's implementation."""

import importlib

import pytest
import torch

from transfer_sweep.algorithms.losses.class_confusion import class_confusion


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_it_is_the_one_of_skada(temperature: float) -> None:
    pytest.importorskip("skorch", reason="skada.deep needs skorch")
    losses = importlib.import_module("skada.deep.losses")
    logits = torch.randn(20, 6, dtype=torch.float64) * 3
    expected = losses.mcc_loss(logits, T=temperature)
    torch.testing.assert_close(class_confusion(logits, temperature), expected, atol=1e-5, rtol=1e-5)


def test_certain_predictions_of_every_class_are_not_confused_at_all() -> None:
    logits = 100.0 * torch.eye(4)
    assert float(class_confusion(logits, 1.0)) == pytest.approx(0, abs=1e-6)


def test_uniform_predictions_are_confused_as_far_as_chance_goes() -> None:
    # Every entry of C̃ is 1/K, so K(K − 1) of them off the diagonal, divided by K, give 1 − 1/K.
    assert float(class_confusion(torch.zeros(10, 5), 2.5)) == pytest.approx(1 - 1 / 5)


def test_two_classes_that_are_mixed_count_and_a_third_that_is_not_does_not() -> None:
    # Samples sure of "0 or 1, half each" and of 2: C̃ is [[½ ½ 0], [½ ½ 0], [0 0 1]], L = (½ + ½) / 3.
    logits = torch.tensor([[0.0, 0.0, -200.0], [-200.0, -200.0, 0.0]])
    assert float(class_confusion(logits, 1.0)) == pytest.approx(1 / 3)


def test_gradient_lowers_confusion() -> None:
    torch.manual_seed(0)
    logits = torch.randn(16, 4, requires_grad=True)
    before = class_confusion(logits, 1.0)
    (gradient,) = torch.autograd.grad(before, logits)
    assert float(class_confusion((logits - gradient).detach(), 1.0)) < float(before.detach())
