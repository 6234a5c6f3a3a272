"""Accuracy on the source, of samples that were not learned from."""

from __future__ import annotations

import math

from transfer_sweep.reports.criteria.accuracy import accuracy, leave_one_out_accuracy
from transfer_sweep.reports.criteria.base import Evidence, Need, TrialCriterion


class SourceValidation(TrialCriterion):
    """Accuracy on source samples held out of training, in percent.

    Where the protocol holds nothing out (SURF), that of the leave-one-out 1-NN classifier in the learned
    representation: how well classes stay together in it.
    """

    name = "source_validation"
    text = "accuracy on held-out source samples (leave-one-out 1-NN where nothing is held out)"
    needs = frozenset({Need.VALIDATION, Need.SOURCE, Need.FEATURES})
    place = 40

    def compute(self, evidence: Evidence) -> float:
        """See the class; NaN where there is no source."""
        if evidence.validation is not None:
            return accuracy(evidence.validation.logits, evidence.validation.labels)
        if evidence.source is not None:
            return leave_one_out_accuracy(evidence.source.features, evidence.source.labels)
        return math.nan
