"""Consistency and class balance, from their definitions in numpy."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from transfer_sweep.algorithms.losses.self_ensembling import class_balance, confident, consistency

Array = NDArray[np.floating[Any]]


@pytest.fixture
def predictions() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return softmax(rng.normal(size=(6, 4)), axis=1), softmax(8 * rng.normal(size=(6, 4)), axis=1)


def test_only_samples_of_which_the_teacher_is_sure_count(predictions: tuple[Array, Array]) -> None:
    student, teacher = predictions
    sure = teacher.max(axis=1) > 0.968
    assert 0 < sure.sum() < 6
    mask = confident(torch.tensor(teacher), 0.968)
    assert mask.tolist() == sure.tolist()
    expected = sum(((s - t) ** 2).mean() for s, t, m in zip(student, teacher, sure, strict=True) if m) / 6
    assert float(consistency(torch.tensor(student), torch.tensor(teacher), mask)) == pytest.approx(expected)


def test_class_balance_is_binary_cross_entropy_of_the_mean_prediction(predictions: tuple[Array, Array]) -> None:
    student, _ = predictions
    mean, mask = student.mean(axis=0), torch.tensor([1.0, 0, 0, 1, 0, 0], dtype=torch.float64)
    expected = -np.sum(0.25 * np.log(mean) + 0.75 * np.log(1 - mean)) / 3
    assert float(class_balance(torch.tensor(student), mask)) == pytest.approx(expected)
    collapsed = np.tile(np.eye(4)[0], (6, 1))
    assert float(class_balance(torch.tensor(collapsed), mask)) > float(class_balance(torch.tensor(student), mask))


def test_the_teacher_gets_no_gradient(predictions: tuple[Array, Array]) -> None:
    student, teacher = (torch.tensor(p, requires_grad=True) for p in predictions)
    torch.autograd.backward(consistency(student, teacher, confident(teacher, 0.5)))
    assert teacher.grad is None
    assert student.grad is not None
    assert float(student.grad.abs().max()) > 0
