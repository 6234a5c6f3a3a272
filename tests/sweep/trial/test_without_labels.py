"""Targets of which some or no samples have labels: what is scored, and that nothing is made up."""

import json
import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from tests.support import plans
from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.datasets.base import UNLABELLED, Domain, Samples
from transfer_sweep.reports.ledger.records import Protocol, Training
from transfer_sweep.sweep.trial.scoring import Scored, Scoring
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

METHODS = ["nearest_neighbor", "tca", "dann"]


@pytest.fixture(scope="module")
def domains(domains: dict[str, Domain]) -> dict[str, Domain]:
    """Those, transductive."""
    return {name: replace(domain, test=None) for name, domain in domains.items()}


def _built(
    method: str, source: Domain, target: Domain, target_classes: int | Literal["unknown"] | None = None
) -> tuple[Algorithm, Scoring]:
    training: Training = "raw" if method_registry.get(method).family == "shallow" else "scratch"
    protocol = Protocol("small_cnn", training, holdout=0.2, transductive=True, target_classes=target_classes)
    trial = plans.trial("abc", method, source.name, target.name, protocol=protocol.text)
    return build_trial(trial, source, target, TaskConfig(1, num_classes=10), "cpu")


def _score(
    method: str, source: Domain, target: Domain, target_classes: int | Literal["unknown"] | None = None
) -> Scored:
    model, scoring = _built(method, source, target, target_classes)
    model.fit_epoch()
    return scoring(model, all_criteria=True)


def _with(domain: Domain, labels: object) -> Domain:
    return Domain(domain.name, Samples(domain.train.inputs, np.asarray(labels, dtype=np.int64)))


@pytest.mark.parametrize("method", METHODS)
def test_without_target_labels_there_is_no_accuracy_and_every_criterion_is_what_it_was(
    domains: dict[str, Domain], method: str
) -> None:
    source, target = domains["rendered"], domains["photo"]
    labelled = _score(method, source, target)
    blind = _score(method, source, _with(target, np.full(len(target.train), UNLABELLED)))
    assert math.isnan(blind.target_accuracy)
    assert json.dumps(blind.criteria) == json.dumps(labelled.criteria)
    assert blind.features is not None
    assert not blind.features.confusion.any()
    np.testing.assert_array_equal(blind.target, labelled.target)


def test_a_partly_labelled_target_is_scored_on_what_has_labels(domains: dict[str, Domain]) -> None:
    source, target = domains["rendered"], domains["photo"]
    labels = target.train.labels.copy()
    labels[::3] = UNLABELLED
    found = _score("nearest_neighbor", source, _with(target, labels))
    known = labels != UNLABELLED
    assert found.target_accuracy == pytest.approx(100 * np.mean(found.target.argmax(axis=1)[known] == labels[known]))
    assert found.features is not None
    assert found.features.confusion.sum() == known.sum()


def test_source_samples_without_labels_are_not_learned_from(domains: dict[str, Domain]) -> None:
    source, target = domains["rendered"], domains["photo"]
    labels = source.train.labels.copy()
    labels[:30] = UNLABELLED
    model, _ = _built("nearest_neighbor", _with(source, labels), target)
    held = model.task.source_validation
    assert held is not None
    assert len(model.task.source) + len(held) == 120
    assert model.task.source.labelled.all()
    assert held.labelled.all()


@pytest.mark.parametrize(("classes", "share"), [(None, 0.1), (2, 0.5), (1, 1.0), ("unknown", 0.1)])
def test_the_guard_against_collapse_looks_at_the_classes_that_the_target_has(
    domains: dict[str, Domain], classes: int | Literal["unknown"] | None, share: float
) -> None:
    one = domains["rendered"].train.take(np.flatnonzero(domains["rendered"].train.labels == 3))
    found = _score("nearest_neighbor", Domain("one", one), domains["photo"], classes)
    assert found.criteria["predicted_classes"] == pytest.approx(share)


def test_where_nobody_knows_how_many_classes_the_target_has_two_are_enough(domains: dict[str, Domain]) -> None:
    train = domains["rendered"].train
    two = train.take(np.flatnonzero(np.isin(train.labels, (3, 5))))
    known = _score("nearest_neighbor", Domain("two", two), domains["photo"])
    assert known.criteria["predicted_classes"] == pytest.approx(0.2)
    model, scoring = _built("nearest_neighbor", Domain("two", two), domains["photo"], "unknown")
    model.fit_epoch()
    assert scoring(model).criteria["predicted_classes"] == 1.0
