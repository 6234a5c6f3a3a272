"""Whether predictions are the clusters of the learned features."""

from __future__ import annotations

import math
import warnings

import numpy as np

from transfer_sweep.reports.criteria.base import Cost, Evidence, Need, TrialCriterion
from transfer_sweep.reports.criteria.subsample import subsample


class ClassCluster(TrialCriterion):
    """Adjusted mutual information of the predicted classes and K k-means clusters of the target's (n, d) features.

    At most 1, about 0 where the two have nothing to do with each other. k-means++ with a fixed seed, one start.
    Source: Musgrave et al. 2022, Three New Validators and a Large-Scale Benchmark Ranking for Unsupervised Domain
    Adaptation (arXiv 2208.07360), ClassAMI of the target.
    """

    name = "class_cluster"
    text = "mutual information, adjusted for chance, of target predictions and k-means on target features"
    needs = frozenset({Need.PREDICTIONS, Need.FEATURES})
    cost = Cost.WHERE_TRIALS_END
    place = 60

    def compute(self, evidence: Evidence) -> float:
        """See the class, over at most :data:`~.subsample.MOST` rows; NaN for n < K or features that are not finite."""
        from sklearn.cluster import KMeans  # noqa: PLC0415
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.metrics import adjusted_mutual_info_score  # noqa: PLC0415

        features, classes = evidence.target.features, evidence.target.classes
        if len(features) < evidence.num_classes or not np.isfinite(features).all():
            return math.nan
        rows = subsample(len(features))
        with warnings.catch_warnings():
            # Fewer distinct points than clusters: those of a collapsed model.
            warnings.simplefilter("ignore", ConvergenceWarning)
            clusters = KMeans(evidence.num_classes, n_init=1, random_state=0).fit_predict(features[rows])
        return float(adjusted_mutual_info_score(classes[rows], clusters))
