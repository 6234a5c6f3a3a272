"""The ensemble of the pair and class clusters together."""

from __future__ import annotations

from transfer_sweep.reports.criteria.base import MeanRank


class EnsembleAndCluster(MeanRank):
    """Mean rank by :mod:`.pair_ensemble` and :mod:`.class_cluster`.

    Source: ours; of the combinations tried, the one whose regret is lowest where it is worst (docs/selection.md).
    """

    name = "ensemble_and_cluster"
    text = "mean rank in the cell by agreement with all trials on the pair and by class clusters"
    parts = ("pair_ensemble", "class_cluster")
    place = 170
