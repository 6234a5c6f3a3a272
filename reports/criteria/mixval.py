"""MixVal: both kinds of mixtures."""

from __future__ import annotations

from transfer_sweep.reports.criteria.base import MeanRank


class MixVal(MeanRank):
    """Mean rank by :mod:`.mixval_intra` and :mod:`.mixval_inter`.

    Source: Hu et al. 2023, Mixed Samples as Probes for Unsupervised Model Selection in Domain Adaptation, NeurIPS,
    section 3, which joins the two by their ranks.
    """

    name = "mixval"
    text = "mean rank in the cell by agreement on mixtures of target samples, of one and of two predicted classes"
    parts = ("mixval_intra", "mixval_inter")
    place = 130
