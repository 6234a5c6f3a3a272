"""The label firewall at a trial: what criteria see, and what they do not."""

import dataclasses
import json
import math

import numpy as np
import pytest

import algorithms.registry
from datasets.base import Domain
from datasets.offline_digits import OfflineDigits, OfflineDigitsOptions
from reports import selection
from sweep import tasks

EVERY = set(selection.OWN) - {"reverse_validation"}


@pytest.fixture(scope="module")
def domains() -> dict[str, Domain]:
    digits = OfflineDigits(options=OfflineDigitsOptions(channels=1, train=150, test=60))
    return {name: digits.load(name) for name in ("rendered", "photo")}


def _score(method: str, source: Domain, target: Domain, holdout: float = 0.2, thorough: bool = True) -> tasks.Scored:
    cls = algorithms.registry.get(method)
    training = "raw" if cls.family == "shallow" else "scratch"
    setting = tasks.Setting(holdout, 0, epochs=1, num_classes=10, backbone="small_cnn", training=training)
    model, scoring = tasks.build(cls, cls.params_type(), source, target, setting, "cpu")
    model.fit_epoch()
    return scoring(model, thorough)


@pytest.mark.parametrize("method", ["nearest_neighbor", "tca", "source_only", "dann"])
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
    assert set(true.criteria) == EVERY | {"predicted_classes"}
    assert np.isfinite(list(true.criteria.values())).all()
    assert blind.target_accuracy != true.target_accuracy


def test_where_nothing_is_held_out_importance_weighting_is_nan_and_the_rest_is_there(
    domains: dict[str, Domain],
) -> None:
    found = _score("nearest_neighbor", domains["rendered"], domains["photo"], holdout=0).criteria
    assert {name for name, value in found.items() if math.isnan(value)} == {"iwcv", "dev"}


def test_most_epochs_compute_the_cheap_criteria_only(domains: dict[str, Domain]) -> None:
    found = _score("nearest_neighbor", domains["rendered"], domains["photo"], thorough=False).criteria
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
    assert undefined == {"source_validation", "iwcv", "dev", "reverse_neighbor"}


def test_a_model_that_predicts_one_class_is_scored(domains: dict[str, Domain]) -> None:
    cls = algorithms.registry.get("nearest_neighbor")
    setting = tasks.Setting(0.2, 0, epochs=1, num_classes=10, backbone="small_cnn", training="raw")
    one = domains["rendered"].train.take(np.flatnonzero(domains["rendered"].train.labels == 3))
    model, scoring = tasks.build(cls, cls.params_type(), Domain("one", one), domains["photo"], setting, "cpu")
    model.fit_epoch()
    found = scoring(model, thorough=True).criteria
    assert found["predicted_classes"] == 0.1
    assert math.isnan(found["mixval_inter"])  # there is no sample of another class to mix with
