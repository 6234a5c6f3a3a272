"""Reverse validation, by the method itself."""

from __future__ import annotations

from transfer_sweep.reports.criteria.base import Cost, Evidence, Need, TrialCriterion


class ReverseValidation(TrialCriterion):
    """Accuracy on source samples of what the method learns from the target with its own predictions as labels.

    In percent. Few methods can tell: those that train fast enough to do it backwards. Source: Ganin et al. 2016,
    Domain-Adversarial Training of Neural Networks, JMLR 17, section 5.1.4.
    """

    name = "reverse_validation"
    text = "accuracy on the source of what is learnt back from target predictions, by the method"
    needs = frozenset({Need.METHOD})
    cost = Cost.WHERE_TRIALS_END
    place = 120

    def compute(self, evidence: Evidence) -> float | None:
        """See the class; None of a method that does not do it."""
        return evidence.scores_of_method().get(self.name)
