"""Trials on a part of a domain's training samples: which they are, and that nothing else of the domain is touched."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import plans
from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm, Task
from transfer_sweep.datasets.base import UNLABELLED, Domain, Samples
from transfer_sweep.reports.ledger.records import FewLabels, Protocol, Training
from transfer_sweep.sweep.trial.scoring import Scoring
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

WHOLE, PART, TEST = 300, 80, 40
METHODS = ["nearest_neighbor", "linear_svm", "coral", "dann", "fine_tune"]


def domain(name: str, train_size: int | None = PART, transductive: bool = False) -> Domain:
    """Vectors whose first entry is their place in the domain; ten classes, as many samples of each."""
    rng = np.random.default_rng(len(name))

    def samples(n: int) -> Samples:
        inputs = rng.normal(size=(n, 4)).astype(np.float32)
        inputs[:, 0] = np.arange(n)
        return Samples(inputs, np.arange(n) % 10)

    return Domain(name, samples(WHOLE), None if transductive else samples(TEST), train_size=train_size)


def built(
    method: str, source: Domain, target: Domain, seed: int, few: FewLabels | None = None
) -> tuple[Algorithm, Scoring]:
    training: Training = "raw" if method_registry.get(method).family == "shallow" else "scratch"
    protocol = Protocol("identity", training, holdout=0.1, transductive=target.test is None, few=few)
    trial = plans.trial("abc", method, source.name, target.name, protocol=protocol.text, seed=seed)
    return build_trial(trial, source, target, TaskConfig(2, num_classes=10), "cpu")


def rows(*parts: Samples | None) -> NDArray[np.int64]:
    """The places in their domain of all the samples, sorted."""
    return np.sort(np.concatenate([part.inputs[:, 0] for part in parts if part is not None]).astype(np.int64))


def inputs_of(task: Task) -> Samples:
    """The target's training samples, without labels."""
    return Samples(task.target_inputs, np.full(len(task.target_inputs), UNLABELLED))


def drawn(method: str, seed: int, source: str = "photo", target: str = "scans") -> tuple[list[int], list[int]]:
    """Which of the source's and of the target's training samples a trial has."""
    few = FewLabels(1) if method_registry.get(method).label_access == "few" else None
    task = built(method, domain(source), domain(target), seed, few)[0].task
    return rows(task.source, task.source_validation).tolist(), rows(inputs_of(task)).tolist()


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_draws_the_same_samples_whatever_the_method_and_another_seed_others(method: str) -> None:
    source, target = drawn(method, seed=1)
    assert (source, target) == drawn("source_only", seed=1)
    for part in (source, target):
        assert len(set(part)) == len(part) == PART
        assert set(part) < set(range(WHOLE))
    for own, other in zip((source, target), drawn(method, seed=2), strict=True):
        assert own != other
    assert source != target


def test_what_is_drawn_of_a_domain_depends_neither_on_its_role_nor_on_the_other() -> None:
    photo, scans = drawn("coral", 3)
    assert drawn("coral", 3, target="halves")[0] == photo
    assert drawn("coral", 3, source="scans", target="photo") == (scans, photo)


def test_draws_of_a_seed_are_nested_and_without_a_size_all_are_taken() -> None:
    def of(size: int | None) -> set[int]:
        task = built("coral", domain("photo", size), domain("scans"), 5)[0].task
        return set(rows(task.source, task.source_validation).tolist())

    assert of(50) < of(PART) < of(None) == set(range(WHOLE))


@pytest.mark.parametrize("method", ["nearest_neighbor", "target_only"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_test_part_is_scored_whole(method: str, seed: int) -> None:
    target = domain("scans")
    assert target.test is not None
    source = target if method == "target_only" else domain("photo")
    model, scoring = built(method, source, target, seed)
    model.fit_epoch()
    assert np.array_equal(scoring.on_scored(model)[1], target.test.labels)
    assert scoring(model).target.shape == (PART, 10)


def test_where_the_training_samples_are_scored_the_drawn_ones_are() -> None:
    target = domain("scans", transductive=True)
    model, scoring = built("nearest_neighbor", domain("photo"), target, 1)
    model.fit_epoch()
    among = rows(inputs_of(model.task))
    assert np.array_equal(scoring.on_scored(model)[1], target.train.labels[among])


def test_an_upper_bound_learns_from_the_samples_that_methods_adapt_to() -> None:
    target = domain("scans")
    task = built("target_only", target, target, 1)[0].task
    assert rows(task.target_labelled).tolist() == rows(task.source).tolist()
    assert set(rows(task.target_labelled).tolist()) < set(drawn("coral", 1)[1])
    assert len(rows(task.target_labelled)) == PART * 9 // 10


def test_a_few_labels_are_of_drawn_samples() -> None:
    task = built("linear_svm", domain("photo"), domain("scans"), 1, FewLabels(3))[0].task
    assert task.target_labelled is not None
    assert np.array_equal(np.bincount(task.target_labelled.labels), np.full(10, 3))
    assert set(rows(task.target_labelled).tolist()) < set(drawn("coral", 1)[1])


def test_labels_have_no_say_in_what_is_drawn() -> None:
    target = domain("scans")
    labels = np.random.default_rng(0).permutation(target.train.labels)
    blind = replace(target, train=replace(target.train, labels=labels))
    one, other = (built("coral", domain("photo"), each, 1)[0].task.target_inputs for each in (target, blind))
    assert np.array_equal(one, other)
