"""Criteria against closed forms and against scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from reports.criteria import accuracy, leave_one_out_accuracy, prediction_criteria


def certain(classes: list[int], of: int = 4) -> np.ndarray:
    """Logits of a model that is sure of one class for each row."""
    return np.where(np.arange(of) == np.array(classes)[:, None], 1000.0, 0.0)


def test_a_model_sure_of_every_sample_and_balanced_over_classes_reaches_every_maximum() -> None:
    scores = prediction_criteria(certain([0, 1, 2, 3] * 5))
    assert scores["entropy"] == pytest.approx(0.0, abs=1e-12)
    assert scores["information_maximization"] == pytest.approx(math.log(4))
    assert scores["bnm"] == pytest.approx(1.0)  # the maximum of Cui 2020, equation 5
    assert scores["predicted_classes"] == 1.0


def test_a_collapsed_model_has_the_best_entropy_but_not_the_best_diversity() -> None:
    scores = prediction_criteria(certain([2] * 20))
    assert scores["entropy"] == pytest.approx(0.0, abs=1e-12)
    assert scores["information_maximization"] == pytest.approx(0.0, abs=1e-12)
    assert scores["bnm"] == pytest.approx(0.5)  # ‖P‖_* = √20 of at most √(20 · 4)
    assert scores["predicted_classes"] == 0.25


def test_an_undecided_model_has_minus_log_k_of_entropy_and_no_information() -> None:
    scores = prediction_criteria(np.zeros((7, 5)))
    assert scores["entropy"] == pytest.approx(-math.log(5))
    assert scores["information_maximization"] == pytest.approx(0.0, abs=1e-12)


def test_entropy_is_in_nats_and_minus_the_mean_over_samples() -> None:
    # Probabilities (1/4, 3/4) and (1/2, 1/2).
    scores = prediction_criteria(np.log([[0.25, 0.75], [0.5, 0.5]]))
    first = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert scores["entropy"] == pytest.approx(-(first + math.log(2)) / 2)
    mean = -(0.375 * math.log(0.375) + 0.625 * math.log(0.625))
    assert scores["information_maximization"] == pytest.approx(mean - (first + math.log(2)) / 2)


def test_nan_logits_give_nan_and_no_exception() -> None:
    logits = certain([0, 1, 2])
    logits[1, 2] = np.nan
    assert all(math.isnan(value) for value in prediction_criteria(logits).values())
    assert math.isnan(accuracy(logits, [0, 1, 2]))


def test_infinite_logits_are_the_limit_of_large_ones() -> None:
    infinite = np.where(certain([0, 1, 2, 3]) > 0, np.inf, 0.0)
    assert prediction_criteria(infinite) == pytest.approx(prediction_criteria(certain([0, 1, 2, 3])))
    assert math.isnan(prediction_criteria(np.full((2, 3), -np.inf))["bnm"])


def test_half_precision_logits_lose_nothing_to_the_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float16)
    assert prediction_criteria(logits) == prediction_criteria(logits.astype(np.float64))


def test_accuracy_is_a_percentage() -> None:
    assert accuracy(certain([0, 1, 2, 3]), [0, 1, 2, 0]) == 75.0


def test_accuracy_refuses_labels_of_other_samples() -> None:
    with pytest.raises(ValueError, match="4 rows of logits"):
        accuracy(certain([0, 1, 2, 3]), [0, 1])


def test_leave_one_out_accuracy_is_that_of_cross_validation() -> None:
    inputs, labels = load_iris(return_X_y=True)
    expected = cross_val_score(KNeighborsClassifier(n_neighbors=1), inputs, labels, cv=LeaveOneOut()).mean()
    assert leave_one_out_accuracy(inputs, labels) == pytest.approx(100 * expected)


def test_no_sample_is_its_own_neighbour_even_among_duplicates() -> None:
    points = np.array([[0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [5.0, 0.0]])
    assert leave_one_out_accuracy(points, [0, 0, 1, 1]) == 100.0
    assert leave_one_out_accuracy(points, [0, 1, 0, 1]) == 0.0


def test_leave_one_out_of_a_diverged_representation_is_nan() -> None:
    assert math.isnan(leave_one_out_accuracy(np.full((3, 2), np.nan), [0, 1, 0]))
