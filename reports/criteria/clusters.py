"""Whether predictions are the clusters of the learned features."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from transfer_sweep.reports.criteria.samples import some


def class_cluster(features: NDArray[Any], predicted: ArrayLike, num_classes: int) -> float:
    """Adjusted mutual information of the predicted classes and k-means clusters of the target's features.

    Source: Musgrave et al. 2022, Three New Validators and a Large-Scale Benchmark Ranking for Unsupervised Domain
    Adaptation (arXiv 2208.07360), ClassAMI of the target. k-means++ with a fixed seed, one start.

    Args:
        features: (n, d), Euclidean; of more than :data:`MOST` rows, so many are looked at.
        predicted: (n,) class indices.
        num_classes: K, the number of clusters.

    Returns:
        At most 1, about 0 where the two have nothing to do with each other; NaN for fewer than K samples or features
        that are not all finite.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.metrics import adjusted_mutual_info_score  # noqa: PLC0415

    points, classes = np.asarray(features), np.asarray(predicted)
    if len(points) < num_classes or not np.isfinite(points).all():
        return math.nan
    rows = some(len(points))
    with warnings.catch_warnings():
        # Fewer distinct points than clusters: those of a collapsed model.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(num_classes, n_init=1, random_state=0).fit_predict(points[rows])
    return float(adjusted_mutual_info_score(classes[rows], clusters))
