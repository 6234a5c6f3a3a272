"""EnsV: agreement of a trial with the ensemble of its cell."""

from __future__ import annotations

from transfer_sweep.reports.criteria.agreement import Agreement
from transfer_sweep.reports.criteria.base import EnsembleCriterion, Need


class Ensemble(EnsembleCriterion):
    """The percentage of target samples on which a trial predicts what all trials of its cell together predict.

    The ensemble's prediction is the class of the largest mean softmax. Source: Hu et al. 2023, Simplifying and
    Stabilizing Model Selection in Unsupervised Domain Adaptation, NeurIPS workshop on distribution shifts.
    """

    name = "ensemble"
    text = "agreement with the prediction of all trials of the cell together"
    needs = frozenset({Need.PREDICTIONS, Need.CELL})
    place = 150

    def compute(self) -> Agreement:
        """See the class."""
        return Agreement()
