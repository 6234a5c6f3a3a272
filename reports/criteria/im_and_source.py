"""Information maximisation and source validation together."""

from __future__ import annotations

from transfer_sweep.reports.criteria.base import MeanRank


class IMAndSource(MeanRank):
    """Mean rank by :mod:`.information_maximization` and :mod:`.source_validation`.

    Source: ours; what the predictions on the target say, and what is known of the source.
    """

    name = "im_and_source"
    text = "mean rank in the cell by information maximisation and by source validation"
    parts = ("information_maximization", "source_validation")
    place = 140
