"""Class clusters, on blobs."""

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike
from sklearn.datasets import make_blobs

from transfer_sweep.reports.criteria.base import Evidence
from transfer_sweep.reports.criteria.class_cluster import ClassCluster
from transfer_sweep.reports.criteria.outputs import Outputs


def class_cluster(features: ArrayLike, predicted: ArrayLike, num_classes: int) -> float:
    logits = np.eye(num_classes)[np.asarray(predicted, dtype=int)]
    return ClassCluster().compute(Evidence(Outputs(logits, np.asarray(features)), num_classes, np.asarray(features)))


def test_class_cluster_is_one_where_predictions_are_the_clusters_and_zero_where_they_are_not() -> None:
    points, blobs = make_blobs(200, n_features=8, centers=4, cluster_std=0.1, random_state=0)
    assert class_cluster(points, blobs, 4) == pytest.approx(1.0)
    assert class_cluster(points, (blobs + 1) % 4, 4) == pytest.approx(1.0)  # the names of clusters do not matter
    assert abs(class_cluster(points, np.random.default_rng(0).permutation(blobs), 4)) < 0.05
    assert class_cluster(points, np.zeros(200, dtype=int), 4) == pytest.approx(0.0)


def test_class_cluster_of_a_diverged_or_collapsed_representation_raises_nothing() -> None:
    assert math.isnan(class_cluster(np.full((9, 2), np.nan), np.zeros(9), 3))
    assert math.isnan(class_cluster(np.zeros((2, 2)), np.zeros(2), 3))
    assert class_cluster(np.zeros((9, 2)), np.arange(9) % 3, 3) == pytest.approx(0.0)
