"""Entropy of the predictions."""

from __future__ import annotations

import math

from transfer_sweep.reports.criteria.base import Evidence, Need, TrialCriterion


class Entropy(TrialCriterion):
    """−mean_i H(p_i), in [−log K, 0]: sure of each sample.

    p_i is the softmax of row i of the (n, K) logits on the target, H the entropy in nats. Source: Grandvalet & Bengio
    2005, Semi-supervised Learning by Entropy Minimization, NeurIPS; as a criterion: Morerio et al. 2018,
    Minimal-Entropy Correlation Alignment for Unsupervised Deep Domain Adaptation, ICLR.
    """

    name = "entropy"
    text = "minus the mean entropy of the predictions on unlabelled target inputs"
    needs = frozenset({Need.PREDICTIONS})
    place = 20

    def compute(self, evidence: Evidence) -> float:
        """See the class; NaN where a row has no probabilities or there is no row."""
        return math.nan if evidence.target.undefined else -evidence.target.mean_entropy
