"""SND: soft neighbourhood density."""

from __future__ import annotations

import math

import numpy as np

from transfer_sweep.reports.criteria.base import Cost, Evidence, Need, TrialCriterion
from transfer_sweep.reports.criteria.subsample import subsample

_TEMPERATURE = 0.05
_BLOCK = 1024  # rows of similarities held at once


class SND(TrialCriterion):
    """How many others a target sample's prediction resembles, as the mean entropy of its soft neighbourhood.

    With p̄_i the softmax of row i of the (n, K) logits on the target, scaled to unit length, the neighbourhood of i is
    softmax_{j≠i}(p̄_i·p̄_j / T); the criterion is the mean over i of its entropy, in nats, in [0, log(n − 1)]. Source:
    Saito et al. 2021, Tune it the Right Way: Unsupervised Validation of Domain Adaptation via Soft Neighborhood
    Density, ICCV, section 3.2, T = 0.05.
    """

    name = "snd"
    text = "soft neighbourhood density: mean entropy of the similarities among target predictions"
    needs = frozenset({Need.PREDICTIONS})
    cost = Cost.WHERE_TRIALS_END
    place = 50

    def compute(self, evidence: Evidence) -> float:
        """See the class, over at most :data:`~.subsample.MOST` rows; NaN as for the others, or where n < 2."""
        if evidence.target.undefined or len(evidence.target.probabilities) < 2:
            return math.nan
        probabilities = evidence.target.probabilities
        probabilities = probabilities[subsample(len(probabilities))]
        unit = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
        # Single precision: n² exponentials are what this costs, and exp(1/T) is far from its limits.
        directions = unit.astype(np.float32)
        scaled = directions.T / np.float32(_TEMPERATURE)
        n, entropies = len(directions), []
        for start in range(0, n, _BLOCK):
            similarity = directions[start : start + _BLOCK] @ scaled
            weights = np.exp(similarity)
            rows = np.arange(len(weights))
            weights[rows, start + rows] = 0.0  # a sample is no neighbour of itself
            total = weights.sum(axis=1)
            entropies.append(np.log(total) - np.einsum("ij,ij->i", weights, similarity) / total)
        return float(np.concatenate(entropies).mean(dtype=np.float64))
