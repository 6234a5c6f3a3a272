"""Importance-weighted validation, against closed forms and skada."""

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.support.evidence import certain
from transfer_sweep.reports.criteria import density_ratio as ratio
from transfer_sweep.reports.criteria.base import Evidence
from transfer_sweep.reports.criteria.density_ratio import density_ratio
from transfer_sweep.reports.criteria.dev import DEV
from transfer_sweep.reports.criteria.iwcv import IWCV
from transfer_sweep.reports.criteria.outputs import LabelledOutputs, Outputs


def importance_weighted(logits: ArrayLike, labels: ArrayLike, weights: ArrayLike) -> dict[str, float]:
    """IWCV and DEV of validation samples that have these weights."""
    held = LabelledOutputs(np.asarray(logits), np.zeros((len(np.asarray(labels)), 1)), np.asarray(labels))
    evidence = Evidence(Outputs.of_logits(held.logits), 2, held.features, held)
    vars(evidence)["importance"] = np.asarray(weights, dtype=float)
    return {"iwcv": IWCV().compute(evidence), "dev": DEV().compute(evidence)}


def test_the_density_ratio_of_two_gaussians_is_the_one_in_closed_form() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(40_000, 1)), rng.normal(loc=0.5, size=(20_000, 1))
    at = np.linspace(-1, 1.5, 6)[:, None]
    # N(½, 1) / N(0, 1) = exp(x/2 − 1/8), whatever the numbers of samples.
    assert density_ratio(source, target, at) == pytest.approx(np.exp(at[:, 0] / 2 - 1 / 8), rel=0.1)


def test_the_density_ratio_is_not_shrunk_where_samples_are_few() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(500, 1)), rng.normal(loc=1.0, size=(500, 1))
    # N(1, 1) / N(0, 1) = exp(x − ½): 4.48 at 2 and 0.22 at −1.
    assert density_ratio(source, target, np.array([[2.0], [-1.0]])) == pytest.approx([4.48, 0.22], rel=0.2)


@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_the_density_ratio_of_gaussians_in_many_dimensions_neither_shrinks_nor_explodes(shift: float) -> None:
    rng = np.random.default_rng(0)
    mean = np.zeros(100)
    mean[0] = shift
    source, target, at = rng.normal(size=(2000, 100)), rng.normal(size=(2000, 100)) + mean, rng.normal(size=(500, 100))
    found = np.log(density_ratio(source, target, at))
    slope, _ = np.polyfit(at @ mean - shift**2 / 2, found, 1)
    assert 0.7 < slope < 1.1


def test_the_density_ratio_of_a_handful_of_samples_is_there() -> None:
    few = np.arange(3.0)[:, None]
    assert np.isfinite(density_ratio(few, few + 1, few)).all()


def test_weights_of_one_give_the_plain_validation_risks() -> None:
    logits = np.log([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1], [0.2, 0.8]])
    found = importance_weighted(logits, [0, 0, 0, 1], np.ones(4))
    assert found["iwcv"] == pytest.approx(-0.25)
    assert found["dev"] == pytest.approx(np.mean(np.log([0.7, 0.4, 0.9, 0.8])))


def test_dev_is_that_of_skada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratio, "_COSTS", (1e-3,))  # theirs has one penalty
    metrics = pytest.importorskip("skada.metrics")
    skada = pytest.importorskip("skada")
    rng = np.random.default_rng(0)
    source, labels = make_blobs(120, n_features=4, centers=3, cluster_std=3.0, random_state=0)
    target = source[:80] + rng.normal(loc=1.0, size=(80, 4))
    inputs, domain = np.vstack([source, target]), np.repeat([1, -2], [120, 80])
    known = np.concatenate([labels, labels[:80]])
    model = skada.make_da_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, known, sample_domain=domain)
    between = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3))
    scorer = metrics.DeepEmbeddedValidation(
        domain_classifier=between,
        # A column: its own loss is a row, which its weights, a column, would make a matrix of.
        loss_func=lambda y, p: -np.log(p[np.arange(len(y)), y])[:, None],
        random_state=0,
    )
    theirs = scorer(model, inputs, known, sample_domain=domain)
    train, held, _, held_labels = train_test_split(
        source, labels, test_size=0.33, random_state=np.random.RandomState(0)
    )
    transform = model[:-1].transform
    weights = density_ratio(transform(train), transform(target), transform(held))
    logits = np.log(model.predict_proba(held, sample_domain=np.ones(len(held)), allow_source=True))
    assert importance_weighted(logits, held_labels, weights)["dev"] == pytest.approx(theirs, rel=1e-3)


def test_importance_weighting_of_what_is_not_finite_or_too_little_is_nan() -> None:
    assert all(map(math.isnan, importance_weighted([[1.0, 0.0]], [0], [1.0]).values()))
    assert all(map(math.isnan, importance_weighted(certain([0, 1]), [0, 1], [1.0, np.inf]).values()))
