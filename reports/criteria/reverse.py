"""What the target's predictions say of the source."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from transfer_sweep.reports.criteria.samples import some


def reverse_neighbor(source: NDArray[Any], labels: ArrayLike, target: NDArray[Any], predicted: ArrayLike) -> float:
    """Accuracy on the source of 1-NN among target samples that bear their predicted classes, in percent.

    Reverse validation (Zhong et al. 2010, Cross Validation Framework to Choose amongst Models and Datasets for
    Transfer Learning, ECML; Bruzzone & Marconcini 2010, circular validation) with 1-NN in the learned representation
    as what is learnt back, so that nothing is trained for it. Features are scaled to unit length.

    Args:
        source: (n_s, d) features.
        labels: (n_s,) class indices.
        target: (n_t, d) features.
        predicted: (n_t,) class indices.

    Returns:
        Percent, over at most :data:`MOST` samples of each domain; NaN for features that are
        not all finite.
    """
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415

    near, far = np.asarray(target), np.asarray(source)
    if not len(near) or not len(far) or not (np.isfinite(near).all() and np.isfinite(far).all()):
        return math.nan
    rows, members = some(len(far)), some(len(near))
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(_unit(near[members]))
    nearest = search.kneighbors(_unit(far[rows]), return_distance=False)[:, 0]
    answer = np.asarray(predicted)[members][nearest]
    return 100.0 * float((answer == np.asarray(labels)[rows]).mean())


def _unit(features: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1))
