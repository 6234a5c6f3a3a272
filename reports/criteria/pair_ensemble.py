"""EnsV over methods: agreement of a trial with the ensemble of its pair."""

from __future__ import annotations

from transfer_sweep.reports.criteria.agreement import Agreement
from transfer_sweep.reports.criteria.base import EnsembleCriterion, Need


class PairEnsemble(EnsembleCriterion):
    """The percentage of target samples on which a trial predicts what all trials of its pair together predict.

    As :mod:`.ensemble`, but the trials of every method vote that saw the same inputs and labels. Source: Hu et al.
    2023, Simplifying and Stabilizing Model Selection in Unsupervised Domain Adaptation, NeurIPS workshop on
    distribution shifts, for the ensemble; that it takes in all methods is ours.
    """

    name = "pair_ensemble"
    text = "agreement with the prediction of all trials of all methods on the pair together"
    needs = frozenset({Need.PREDICTIONS, Need.PAIR})
    place = 160

    def compute(self) -> Agreement:
        """See the class."""
        return Agreement()
