"""How accurate the ensembles beside the recommendations are: the driver has the labels, and reports have none."""

from __future__ import annotations

from typing import Any

from transfer_sweep.datasets.base import Dataset
from transfer_sweep.reports import ensembles, recommendation, results
from transfer_sweep.reports.criteria.accuracy import accuracy
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.reports.results import Results


def record(ledger: Ledger, dataset: Dataset) -> None:
    """Write into the ledger the accuracy of each pair's ensemble.

    Of pairs whose scored samples are the target's training inputs: nothing is kept of what trials predict of others.

    Raises:
        DataError: a file of the data is missing or damaged.
    """
    found = results.read_open(ledger)
    ledger.set_meta(ensembles.META, {str(pair): _of(found, pair, dataset) for pair in recommendation.rankings(found)})


def _of(found: Results, pair: Pair, dataset: Dataset) -> dict[str, Any] | None:
    together = ensembles.of_pair(found, pair)
    if together is None:
        return None
    target = dataset.load(pair.target)
    known = target.train.labelled.copy()
    if (drawn := found.drawn.get(pair.target)) is not None:
        known[list(drawn.rows)] = False
    if target.test is not None or len(known) != len(together.classes) or not known.any():
        return None
    right = accuracy(together.probabilities[known], target.train.labels[known])
    return ensembles.Measured(list(together.members), right)._asdict()
