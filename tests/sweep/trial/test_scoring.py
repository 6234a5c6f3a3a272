"""The label firewall at a trial: what criteria see, and what they do not."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tests.support import plans
from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.datasets import splits
from transfer_sweep.datasets.base import Domain, Samples
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.records import FewLabels, Protocol, Training
from transfer_sweep.sweep.trial.scoring import Scored, Scoring
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

EVERY = {each.key for name, each in selection.PER_TRIAL.items() if name != "reverse_validation"}


def _built(
    method: str, source: Domain, target: Domain, holdout: float = 0.2, few: FewLabels | None = None, epochs: int = 1
) -> tuple[Algorithm, Scoring]:
    training: Training = "raw" if method_registry.get(method).family == "shallow" else "scratch"
    protocol = Protocol("small_cnn", training, holdout=holdout, few=few)
    trial = plans.trial("abc", method, source.name, target.name, protocol=protocol.text)
    return build_trial(trial, source, target, TaskConfig(epochs, num_classes=10), "cpu")


def _score(method: str, source: Domain, target: Domain, holdout: float = 0.2, all_criteria: bool = True) -> Scored:
    model, scoring = _built(method, source, target, holdout)
    model.fit_epoch()
    return scoring(model, all_criteria)


@pytest.mark.parametrize("method", ["nearest_neighbor", "tca", "source_only", "dann", "shallow_dann"])
def test_shuffled_target_labels_change_no_criterion(domains: dict[str, Domain], method: str) -> None:
    target = domains["photo"]
    assert target.test is not None
    rng = np.random.default_rng(3)
    train, test = (
        dataclasses.replace(part, labels=rng.permutation(part.labels)) for part in (target.train, target.test)
    )
    true = _score(method, domains["rendered"], target)
    blind = _score(method, domains["rendered"], dataclasses.replace(target, train=train, test=test))
    assert json.dumps(blind.criteria) == json.dumps(true.criteria)
    own = {"reverse_validation"} if method == "shallow_dann" else set()
    assert set(true.criteria) == EVERY | {"predicted_classes"} | own
    assert np.isfinite(list(true.criteria.values())).all()
    assert true.features is not None
    assert blind.features is not None
    assert (blind.features.confusion != true.features.confusion).any()


def test_where_nothing_is_held_out_importance_weighting_is_nan_and_the_rest_is_there(
    domains: dict[str, Domain],
) -> None:
    found = _score("nearest_neighbor", domains["rendered"], domains["photo"], holdout=0).criteria
    assert {name for name, value in found.items() if math.isnan(value)} == {"iwcv@2", "dev@2"}


def test_most_epochs_compute_the_cheap_criteria_only(domains: dict[str, Domain]) -> None:
    found = _score("nearest_neighbor", domains["rendered"], domains["photo"], all_criteria=False).criteria
    assert set(found) == {
        "source_validation",
        "entropy",
        "information_maximization",
        "bnm",
        "predicted_classes",
    }


def test_the_out_of_fold_upper_bound_has_no_score_on_labels_that_it_is_scored_on(domains: dict[str, Domain]) -> None:
    target = dataclasses.replace(domains["photo"], test=None)
    found = _score("target_only", target, target).criteria
    undefined = {name for name, value in found.items() if math.isnan(value)}
    assert undefined == {"source_validation", "iwcv@2", "dev@2", "reverse_neighbor"}


def test_a_model_that_predicts_one_class_is_scored(domains: dict[str, Domain]) -> None:
    one = domains["rendered"].train.take(np.flatnonzero(domains["rendered"].train.labels == 3))
    model, scoring = _built("nearest_neighbor", Domain("one", one), domains["photo"])
    model.fit_epoch()
    found = scoring(model, all_criteria=True).criteria
    assert found["predicted_classes"] == 0.1
    assert math.isnan(found["mixval_inter"])  # there is no sample of another class to mix with


# --- a few labels ---


def _few(method: str, source: Domain, target: Domain, few: FewLabels) -> tuple[Algorithm, Scoring]:
    return _built(method, source, target, few=few, epochs=2)


@pytest.mark.parametrize("method", ["linear_svm", "nearest_neighbor", "dann", "fine_tune", "domain_confusion"])
def test_shuffling_the_labels_of_scored_samples_changes_nothing_for_a_method_with_a_few(
    domains: dict[str, Domain], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = dataclasses.replace(domains["photo"], test=None)
    drawn, rest = splits.few_shot(target.train.labels, 3, 0)
    blind = target.train.labels.copy()
    blind[rest] = np.random.default_rng(3).permutation(blind[rest])
    # Who is drawn depends on labels by class: the same samples are to be drawn once the others' are shuffled.
    monkeypatch.setattr(splits, "few_shot", lambda *_: (drawn, rest))
    scores = []
    for labels in (target.train.labels, blind):
        domain = Domain("photo", Samples(target.train.inputs, labels))
        model, scoring = _few(method, domains["rendered"], domain, FewLabels(3))
        for _ in range(1 if model.family == "shallow" else 2):  # the second stage, of methods that have one, is seen
            model.fit_epoch()
        scores.append(scoring(model, all_criteria=True))
    assert json.dumps(scores[0].criteria) == json.dumps(scores[1].criteria)
    assert np.array_equal(scores[0].target, scores[1].target)
    assert scores[0].target_accuracy != scores[1].target_accuracy


def test_the_labelled_ones_are_taken_out_of_the_scored_and_handed_over(domains: dict[str, Domain]) -> None:
    target = dataclasses.replace(domains["photo"], test=None)
    model, scoring = _few("nearest_neighbor", domains["rendered"], target, FewLabels(3))
    model.fit_epoch()
    drawn, rest = splits.few_shot(target.train.labels, 3, 0)
    logits, labels = scoring.on_scored(model)
    assert np.array_equal(labels, target.train.labels[rest])
    assert np.array_equal(logits, model.predict_part("target").logits[rest])
    given = model.task.target_labelled
    assert given is not None
    assert np.array_equal(given.labels, target.train.labels[drawn])
    assert np.array_equal(given.inputs, target.train.inputs[drawn])
    # 1-NN knows them by heart.
    assert np.array_equal(model.predict(given.inputs).logits.argmax(axis=1), given.labels)


def test_with_a_test_set_labels_come_from_the_training_samples_and_all_of_the_test_set_is_scored(
    domains: dict[str, Domain],
) -> None:
    target = domains["photo"]
    assert target.test is not None
    model, scoring = _few("linear_svm", domains["rendered"], target, FewLabels(2))
    model.fit_epoch()
    assert np.array_equal(scoring.on_scored(model)[1], target.test.labels)
    assert model.task.target_labelled is not None
    assert np.array_equal(np.bincount(model.task.target_labelled.labels), np.full(10, 2))


@pytest.mark.parametrize("transductive", [True, False])
@pytest.mark.parametrize("per_class", [0, 2])
def test_where_some_classes_have_labels_only_the_others_are_scored(
    domains: dict[str, Domain], transductive: bool, per_class: int
) -> None:
    target = dataclasses.replace(domains["photo"], test=None) if transductive else domains["photo"]
    model, scoring = _few("linear_svm", domains["rendered"], target, FewLabels(per_class, classes=4))
    model.fit_epoch()
    labels = scoring.on_scored(model)[1]
    given = model.task.target_labelled
    chosen = splits.some_classes(10, 4, 0)
    if per_class:
        assert given is not None
        assert np.array_equal(np.unique(given.labels), chosen)
    else:
        assert given is None
    assert len(labels) == np.isin(target.scored.labels, chosen, invert=True).sum()
    assert not np.isin(labels, chosen).any()


def test_without_the_source_only_the_few_are_learned_from(domains: dict[str, Domain]) -> None:
    target = domains["photo"]
    model, _ = _few("linear_svm", target, target, FewLabels(2, source=False))
    assert len(model.task.source) == 20
    assert model.task.target_labelled is None  # they would count twice
    assert model.task.source_validation is None


def test_a_method_that_declares_to_take_no_labels_gets_none(domains: dict[str, Domain]) -> None:
    with pytest.raises(TypeError, match="tca"):
        _few("tca", domains["rendered"], domains["photo"], FewLabels(1))


@pytest.mark.parametrize("transductive", [True, False])
def test_drawn_samples_are_not_scored_where_they_would_be(domains: dict[str, Domain], transductive: bool) -> None:
    target = domains["photo"]
    target = dataclasses.replace(target, test=None) if transductive else target
    model, scoring = _built("nearest_neighbor", domains["rendered"], target)
    model.fit_epoch()
    logits, labels = scoring.on_scored(model)
    rest, their_labels = scoring.on_scored(model, without=[5, 0, 9])
    kept = np.setdiff1d(np.arange(len(labels)), [0, 5, 9] if transductive else [])
    assert np.array_equal(their_labels, labels[kept])
    assert np.array_equal(rest, logits[kept])
