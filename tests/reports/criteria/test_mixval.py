"""Mixtures of target samples as probes, against skada."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from transfer_sweep.reports.criteria.accuracy import accuracy
from transfer_sweep.reports.criteria.base import Evidence
from transfer_sweep.reports.criteria.mixing import SHARE, mixed, partners
from transfer_sweep.reports.criteria.mixval_inter import MixValInter
from transfer_sweep.reports.criteria.mixval_intra import MixValIntra
from transfer_sweep.reports.criteria.outputs import Outputs


def test_partners_are_of_the_same_and_of_another_class_and_never_the_sample_itself() -> None:
    predicted = np.random.default_rng(0).integers(0, 4, size=200)
    same, other = partners(predicted)
    assert (predicted[same] == predicted).all()
    assert (same != np.arange(200)).all()
    assert (predicted[other] != predicted).all()
    assert len(np.unique(same)) == 200  # a permutation inside each class
    assert len(np.unique(other)) > 100  # drawn from all the others
    again = partners(predicted)
    assert (again[0] == same).all()
    assert (again[1] == other).all()


def test_a_sample_without_a_partner_has_none() -> None:
    same, other = partners([0, 1, 1])
    assert same.tolist() == [-1, 2, 1]
    assert other[0] in (1, 2)
    assert other[1:].tolist() == [0, 0]
    assert partners([3, 3])[1].tolist() == [-1, -1]
    assert [len(found) for found in partners([])] == [0, 0]


def test_agreement_on_mixtures_is_that_of_skada() -> None:
    metrics = pytest.importorskip("skada.metrics")
    skada = pytest.importorskip("skada")
    inputs, labels = make_blobs(150, n_features=3, centers=3, cluster_std=4.0, random_state=1)
    model = skada.make_da_pipeline(LogisticRegression()).fit(inputs, labels, sample_domain=np.ones(150))
    domain = np.full(150, -2)
    predicted = model.predict(inputs, sample_domain=domain)
    second = np.random.RandomState(7).permutation(150)
    mixtures = mixed(inputs, np.arange(150), second)
    for kind, chosen in (("intra", predicted == predicted[second]), ("inter", predicted != predicted[second])):
        scorer = metrics.MixValScorer(alpha=SHARE, ice_type=kind, random_state=7)
        theirs = scorer(model, inputs, np.where(labels == 0, -1, labels), sample_domain=domain)
        logits = np.log(model.predict_proba(mixtures[chosen], sample_domain=np.full(chosen.sum(), -1)))
        assert accuracy(logits, predicted[chosen]) == pytest.approx(100 * theirs)


def test_mixed_images_are_images() -> None:
    images = np.array([[[0]], [[255]]], dtype=np.uint8)
    assert mixed(images, np.array([0, 1]), np.array([1, 0])).tolist() == [[[115]], [[140]]]
    assert mixed(images, np.array([0]), np.array([1])).dtype == np.uint8


def test_mixtures_on_the_side_of_their_larger_part_agree_and_a_lone_sample_has_no_mixture() -> None:
    inputs = np.array([[-3.0], [-1.0], [1.0], [1.1]])

    def side(points: NDArray[Any]) -> NDArray[Any]:
        return np.hstack([-points, points])

    evidence = Evidence(Outputs.of_logits(side(inputs)), 2, inputs, predict=side)
    assert MixValIntra().compute(evidence) == 100.0
    # With 0.45 of −3, both of the right side end on the left: −0.8 and −0.745. With 0.45 of −1 they stay.
    _, other = partners([0, 0, 1, 1])
    stay = 2 + int((other[2:] == 1).sum())
    assert MixValInter().compute(evidence) == 25.0 * stay
    one = Evidence(Outputs.of_logits(side(inputs[:1])), 2, inputs[:1], predict=side)
    assert np.isnan([MixValIntra().compute(one), MixValInter().compute(one)]).all()
