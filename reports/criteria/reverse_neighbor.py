"""Reverse validation with nearest neighbours: what the target's predictions say of the source."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.reports.criteria.base import Cost, Evidence, Need, TrialCriterion
from transfer_sweep.reports.criteria.subsample import subsample


class ReverseNeighbor(TrialCriterion):
    """Accuracy on the source of 1-NN among target samples that bear their predicted classes, in percent.

    Reverse validation with 1-NN in the learned representation as what is learnt back, so that nothing is trained for
    it. Features, (n_s, d) and (n_t, d), are scaled to unit length. Source: Zhong et al. 2010, Cross Validation
    Framework to Choose amongst Models and Datasets for Transfer Learning, ECML; Bruzzone & Marconcini 2010, Domain
    Adaptation Problems: A DASVM Classification Technique and a Circular Validation Strategy, TPAMI 32.
    """

    name = "reverse_neighbor"
    text = "accuracy on the source of 1-NN among target samples with their predicted classes"
    needs = frozenset({Need.PREDICTIONS, Need.FEATURES, Need.SOURCE})
    cost = Cost.WHERE_TRIALS_END
    place = 110

    def compute(self, evidence: Evidence) -> float:
        """See the class, over at most :data:`~.subsample.MOST` samples of each domain; NaN for what is not finite."""
        from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415

        source, target = evidence.source, evidence.target
        if source is None or not len(target.features) or not len(source.features):
            return math.nan
        if not (np.isfinite(target.features).all() and np.isfinite(source.features).all()):
            return math.nan
        rows, members = subsample(len(source.features)), subsample(len(target.features))
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(_unit(target.features[members]))
        nearest = search.kneighbors(_unit(source.features[rows]), return_distance=False)[:, 0]
        return 100.0 * float((target.classes[members][nearest] == source.labels[rows]).mean())


def _unit(features: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1))
