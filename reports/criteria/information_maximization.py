"""Information maximisation: the mutual information of inputs and predicted classes."""

from __future__ import annotations

import math

import scipy

from transfer_sweep.reports.criteria.base import Evidence, Need, TrialCriterion


class InformationMaximization(TrialCriterion):
    """H(mean_i p_i) − mean_i H(p_i), in [0, log K]: sure of each sample, and undecided over all of them.

    p_i is the softmax of row i of the (n, K) logits on the target, H the entropy in nats. Source: Bridle et al. 1991,
    Unsupervised Classifiers, Mutual Information and 'Phantom Targets', NeurIPS; Shi & Sha 2012,
    Information-Theoretical Learning of Discriminative Clusters for Unsupervised Domain Adaptation, ICML.
    """

    name = "information_maximization"
    text = "entropy of the mean prediction minus mean entropy, on unlabelled target inputs"
    needs = frozenset({Need.PREDICTIONS})
    place = 10

    def compute(self, evidence: Evidence) -> float:
        """See the class; NaN where a row has no probabilities or there is no row."""
        target = evidence.target
        if target.undefined:
            return math.nan
        entropy_of_mean = float(scipy.special.entr(target.probabilities.mean(axis=0)).sum())
        return entropy_of_mean - target.mean_entropy
