"""BNM: the nuclear norm of the predictions."""

from __future__ import annotations

import math

import numpy as np

from transfer_sweep.reports.criteria.base import Evidence, Need, TrialCriterion


class BNM(TrialCriterion):
    """Nuclear norm ‖P‖_* over its maximum √(n · min(n, K)), in (0, 1]: sure predictions of many classes.

    P is the (n, K) softmax of the logits on the target. Source: Cui et al. 2020, Towards Discriminability and
    Diversity: Batch Nuclear-norm Maximization under Label Insufficient Situations, CVPR, section 3.3; there it is
    divided by n.
    """

    name = "bnm"
    text = "nuclear norm of the prediction matrix on unlabelled target inputs, over its maximum"
    needs = frozenset({Need.PREDICTIONS})
    place = 30

    def compute(self, evidence: Evidence) -> float:
        """See the class; NaN where a row has no probabilities or there is no row."""
        if evidence.target.undefined:
            return math.nan
        probabilities = evidence.target.probabilities
        n, classes = probabilities.shape
        return float(np.linalg.norm(probabilities, "nuc")) / math.sqrt(n * min(n, classes))
