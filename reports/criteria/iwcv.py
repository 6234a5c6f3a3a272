"""IWCV: the error on source validation samples that are weighted as if they came from the target."""

from __future__ import annotations

import math

from transfer_sweep.reports.criteria.base import Cost, Evidence, Need, TrialCriterion
from transfer_sweep.reports.criteria.density_ratio import weighting_is_defined


class IWCV(TrialCriterion):
    """−mean_i w_i ℓ_i: minus the estimated target risk, ℓ_i the 0-1 loss of validation sample i.

    w_i is the density ratio target : source at its features (:mod:`.density_ratio`). Source: Sugiyama et al. 2007,
    Covariate Shift Adaptation by Importance Weighted Cross Validation, JMLR 8.
    """

    name = "iwcv"
    text = "minus the error on held-out source samples, weighted to look like the target"
    needs = frozenset({Need.PREDICTIONS, Need.FEATURES, Need.SOURCE, Need.VALIDATION})
    cost = Cost.WHERE_TRIALS_END
    version = 2  # the density ratio's penalty is chosen by likelihood
    place = 70

    def compute(self, evidence: Evidence) -> float:
        """See the class; NaN without validation samples, for fewer than two, or where an output is not finite."""
        held, weight = evidence.validation, evidence.importance
        if held is None or weight is None or not weighting_is_defined(held.logits, weight):
            return math.nan
        return -float((weight * (held.classes != held.labels)).mean())
