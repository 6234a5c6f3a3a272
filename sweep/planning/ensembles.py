"""How accurate the ensembles beside the recommendations are: the driver has the labels, and reports have none."""

from __future__ import annotations

import math

from transfer_sweep.datasets.base import Dataset, Samples
from transfer_sweep.reports import ensembles, recommendation, results
from transfer_sweep.reports.criteria.accuracy import accuracy
from transfer_sweep.reports.ensembles import Ensemble, Measured
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.reports.results import Results


def record(ledger: Ledger, dataset: Dataset) -> None:
    """Write into the ledger the accuracy of each pair's ensemble, unless it is there.

    Of pairs whose scored samples are the target's training inputs: nothing is kept of what trials predict of others.

    Raises:
        DataError: a file of the data is missing or damaged.
    """
    found = results.read_open(ledger)
    recommended = recommendation.recommend(found)
    together = ensembles.of_pairs(found, recommended)
    known = {
        str(pair): found.ensembles[str(pair)]
        for pair, each in together.items()
        if not math.isnan(ensembles.accuracy(found, pair, each))
    }
    lacking = [p for p in together if str(p) not in known and recommended[p].trial.protocol.transductive]
    for target in dict.fromkeys(pair.target for pair in lacking):
        samples = dataset.load(target).train
        for pair in lacking:
            if pair.target == target and (measured := _measured(found, pair, together[pair], samples)) is not None:
                known[str(pair)] = measured._asdict()
    ledger.set_meta(ensembles.META, known)


def _measured(found: Results, pair: Pair, together: Ensemble, samples: Samples) -> Measured | None:
    drawn, scored = ensembles.drawn(found, pair), samples.labelled.copy()
    scored[list(drawn)] = False
    if len(scored) != len(together.classes) or not scored.any():
        return None
    return Measured(list(together.members), accuracy(together.probabilities[scored], samples.labels[scored]), drawn)
