"""Nearest neighbours from the target back to the source, against scikit-learn."""

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier

from transfer_sweep.reports.criteria.base import Evidence
from transfer_sweep.reports.criteria.outputs import LabelledOutputs, Outputs
from transfer_sweep.reports.criteria.reverse_neighbor import ReverseNeighbor


def reverse_neighbor(source: ArrayLike, labels: ArrayLike, target: ArrayLike, predicted: ArrayLike) -> float:
    known = LabelledOutputs(np.zeros((len(np.asarray(source)), 3)), np.asarray(source), np.asarray(labels))
    outputs = Outputs(np.eye(3)[np.asarray(predicted)], np.asarray(target))
    return ReverseNeighbor().compute(Evidence(outputs, 3, np.asarray(target), outputs_on_source=lambda: known))


def test_reverse_neighbor_is_the_accuracy_of_a_classifier_of_predicted_target_samples_on_the_source() -> None:
    inputs, labels = load_iris(return_X_y=True)
    source, target = inputs[::2] - inputs.mean(0), inputs[1::2] - inputs.mean(0)
    predicted = np.random.default_rng(0).permutation(labels[1::2])
    back = KNeighborsClassifier(n_neighbors=1, metric="cosine").fit(target, predicted)
    assert reverse_neighbor(source, labels[::2], target, predicted) == pytest.approx(
        100 * back.score(source, labels[::2])
    )
    assert math.isnan(reverse_neighbor(source, labels[::2], np.full_like(target, np.inf), predicted))
