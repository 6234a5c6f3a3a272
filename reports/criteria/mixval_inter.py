"""MixVal between classes: where the boundary lies."""

from __future__ import annotations

from transfer_sweep.reports.criteria.base import Cost, Evidence, Need, TrialCriterion
from transfer_sweep.reports.criteria.mixing import agreement_on_mixtures, partners


class MixValInter(TrialCriterion):
    """Percentage of mixtures of target samples of two predicted classes that are predicted as the larger part.

    A sample x_i is mixed with another x_j as λx_i + (1 − λ)x_j, λ = 0.55; see :mod:`.mixing`. Source: Hu et al. 2023,
    Mixed Samples as Probes for Unsupervised Model Selection in Domain Adaptation, NeurIPS, section 3.
    """

    name = "mixval_inter"
    text = "agreement on mixtures of target samples of two predicted classes with that of the larger part"
    needs = frozenset({Need.PREDICTIONS, Need.PASSES})
    cost = Cost.WHERE_TRIALS_END
    place = 100

    def compute(self, evidence: Evidence) -> float:
        """See the class, in percent; NaN where no sample has such a partner."""
        _, other = partners(evidence.target.classes)
        return agreement_on_mixtures(evidence, other)
