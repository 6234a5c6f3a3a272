"""The accuracy of the ensembles beside the recommendations, by hand."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.small_ledger import PROTOCOL, Run, experiment
from transfer_sweep.datasets.base import UNLABELLED, Dataset, Domain, FileCheck, Samples
from transfer_sweep.reports import drawn_labels, ensembles, recommendation, results
from transfer_sweep.reports.drawn_labels import Drawn
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

    def load(self, domain: str) -> Domain:
        return Domain(domain, Samples(np.zeros((4, 2), dtype=np.float32), np.array([0, 1, 0, UNLABELLED])), None)

    def verify(self) -> list[FileCheck]:
        return []


def recorded(path: Path, dataset: Dataset) -> float:
    with Ledger(path, write=True) as ledger:
        record(ledger, dataset)
    found = results.read(path)
    return ensembles.accuracy(found, AW, ensembles.of_pairs(found, recommendation.recommend(found))[AW])


def test_the_accuracy_is_on_the_labelled_samples_that_trials_adapt_to(tmp_path: Path) -> None:
    # A quarter of two trials is one, the one that information maximisation prefers: right on two of three.
    assert recorded(experiment(tmp_path, RUNS), Four()) == pytest.approx(200 / 3)


def test_where_other_samples_are_scored_it_is_not_known_and_no_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Four, "load")
    runs = [dataclasses.replace(run, protocol={**PROTOCOL, "transductive": False}) for run in RUNS]
    assert np.isnan(recorded(experiment(tmp_path, runs), Four()))


def test_it_is_never_on_samples_whose_labels_were_drawn_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = experiment(tmp_path, RUNS)
    assert recorded(path, Four()) == pytest.approx(200 / 3)
    with Ledger(path, write=True) as ledger:
        ledger.set_meta(drawn_labels.META, {"webcam": Drawn((2,), (0,), scored=3).encode()})
    found = results.read(path)
    together = ensembles.of_pairs(found, recommendation.recommend(found))[AW]
    assert np.isnan(ensembles.accuracy(found, AW, together))
    assert recorded(path, Four()) == 100  # the third was wrong; two are left
    monkeypatch.delattr(Four, "load")
    assert recorded(path, Four()) == 100  # known, and nothing is read again
