"""The accuracy of the ensembles beside the recommendations, by hand."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.small_ledger import Run, experiment
from transfer_sweep.datasets.base import UNLABELLED, Dataset, Domain, FileCheck, Samples
from transfer_sweep.reports import ensembles, results
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.sweep.planning.ensembles import record

AW = Pair("amazon", "webcam")
RUN = Run("dann", *AW, {"lr": 0.1}, [(50, 2.0, 1.0)], predicted=[0, 1, 2, 2])
RUNS = [RUN, dataclasses.replace(RUN, method="cdan", epochs=[(50, 1.0, 1.0)], predicted=[2, 2, 0, 1])]


class Four(Dataset):
    """Four samples a domain, one of them without a label."""

    name = "four"
    domains = ("amazon", "webcam")
    classes = ("a", "b", "c")
    raw_backbone = "pixels"
    source = "none"
    needs_root = False
    tested = False

    def load(self, domain: str) -> Domain:
        samples = Samples(np.zeros((4, 2), dtype=np.float32), np.array([0, 1, 0, UNLABELLED]))
        return Domain(domain, samples, samples if self.tested else None)

    def verify(self) -> list[FileCheck]:
        return []


def recorded(path: Path, dataset: Dataset) -> float:
    with Ledger(path, write=True) as ledger:
        record(ledger, dataset)
    found = results.read(path)
    together = ensembles.of_pair(found, AW)
    assert together is not None
    return ensembles.accuracy(found, AW, together)


def test_the_accuracy_is_on_the_labelled_samples_that_trials_adapt_to(tmp_path: Path) -> None:
    # A quarter of two trials is one, the one that information maximisation prefers: right on two of three.
    assert recorded(experiment(tmp_path, RUNS), Four()) == pytest.approx(200 / 3)


def test_where_other_samples_are_scored_it_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Four, "tested", True)
    assert np.isnan(recorded(experiment(tmp_path, RUNS), Four()))
