"""DEV: importance-weighted validation with a control variate."""

from __future__ import annotations

import math

import numpy as np
import scipy

from transfer_sweep.reports.criteria.base import Cost, Evidence, Need, TrialCriterion
from transfer_sweep.reports.criteria.density_ratio import weighting_is_defined


class DEV(TrialCriterion):
    """−(mean_i w_i ℓ_i + η mean_i w_i − η), η = −Cov(wℓ, w) / Var(w): w as a control variate of mean 1.

    ℓ_i is the cross-entropy of validation sample i, as in its authors' experiments, w_i the density ratio
    target : source at its features (:mod:`.density_ratio`). Covariance and variance with ddof = 1; η = 0 where all
    weights are equal. Source: You et al. 2019, Towards Accurate Model Selection in Deep Unsupervised Domain
    Adaptation, ICML, section 4.3.
    """

    name = "dev"
    text = "minus the cross-entropy on held-out source samples, weighted to look like the target, its variance reduced"
    needs = frozenset({Need.PREDICTIONS, Need.FEATURES, Need.SOURCE, Need.VALIDATION})
    cost = Cost.WHERE_TRIALS_END
    version = 2  # the density ratio's penalty is chosen by likelihood
    place = 80

    def compute(self, evidence: Evidence) -> float:
        """See the class; NaN without validation samples, for fewer than two, or where an output is not finite."""
        held, weight = evidence.validation, evidence.importance
        if held is None or weight is None or not weighting_is_defined(held.logits, weight):
            return math.nan
        scores = np.asarray(held.logits, dtype=np.float64)
        weighted = -weight * scipy.special.log_softmax(scores, axis=1)[np.arange(len(scores)), held.labels]
        variance = float(weight.var(ddof=1))
        eta = -float(np.cov(weighted, weight)[0, 1]) / variance if variance > 0 else 0.0
        return -(float(weighted.mean()) + eta * float(weight.mean()) - eta)
