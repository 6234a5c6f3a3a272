"""Accuracy and the leave-one-out source score, against scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from tests.support.evidence import certain
from transfer_sweep.reports.criteria.accuracy import accuracy, leave_one_out_accuracy


def test_accuracy_is_a_percentage() -> None:
    assert accuracy(certain([0, 1, 2, 3]), [0, 1, 2, 0]) == 75.0


def test_accuracy_of_a_diverged_model_is_nan() -> None:
    assert math.isnan(accuracy(np.full((3, 4), np.nan), [0, 1, 2]))


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
