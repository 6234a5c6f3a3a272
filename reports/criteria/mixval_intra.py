"""MixVal inside classes: whether neighbourhoods are dense."""

from __future__ import annotations

from transfer_sweep.reports.criteria.base import Cost, Evidence, Need, TrialCriterion
from transfer_sweep.reports.criteria.mixing import agreement_on_mixtures, partners


class MixValIntra(TrialCriterion):
    """Percentage of mixtures of two target samples of one predicted class that are predicted to be of it.

    A sample x_i is mixed with another x_j as λx_i + (1 − λ)x_j, λ = 0.55; see :mod:`.mixing`. Source: Hu et al. 2023,
    Mixed Samples as Probes for Unsupervised Model Selection in Domain Adaptation, NeurIPS, section 3.
    """

    name = "mixval_intra"
    text = "agreement on mixtures of target samples of one predicted class"
    needs = frozenset({Need.PREDICTIONS, Need.PASSES})
    cost = Cost.WHERE_TRIALS_END
    place = 90

    def compute(self, evidence: Evidence) -> float:
        """See the class, in percent; NaN where no sample has such a partner."""
        same, _ = partners(evidence.target.classes)
        return agreement_on_mixtures(evidence, same)
