"""The criterion that experiments choose by where they name none: what held up for each family of methods."""

from __future__ import annotations

from transfer_sweep.reports.criteria.base import ByFamily


class Auto(ByFamily):
    """:mod:`.information_maximization` for deep methods, :mod:`.pair_ensemble` for classical ones.

    How large the scores of an SVM or a 1-NN are says nothing of how sure it is, and what looks at probabilities ranks
    them no better than chance; agreement compares predicted classes alone. Source: ours; the runs that it was picked
    on, and those that it was tested on, are in docs/selection.md.
    """

    name = "auto"
    text = "information maximisation for deep methods; for classical ones agreement with all trials on the pair"
    deep = "information_maximization"
    shallow = "pair_ensemble"
    place = 0
