"""Criteria of predictions (information maximisation, entropy, BNM) and the classes predicted, in closed form."""

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.support.evidence import certain
from transfer_sweep.reports.criteria.base import Evidence
from transfer_sweep.reports.criteria.bnm import BNM
from transfer_sweep.reports.criteria.entropy import Entropy
from transfer_sweep.reports.criteria.information_maximization import InformationMaximization


def prediction_criteria(logits: ArrayLike) -> dict[str, float]:
    evidence = Evidence.of_logits(np.asarray(logits))
    found = {each.name: each.compute(evidence) for each in (InformationMaximization(), Entropy(), BNM())}
    return found | {"predicted_classes": evidence.target.predicted_classes}


def test_a_model_sure_of_every_sample_and_balanced_over_classes_reaches_every_maximum() -> None:
    scores = prediction_criteria(certain([0, 1, 2, 3] * 5))
    assert scores["entropy"] == pytest.approx(0.0, abs=1e-12)
    assert scores["information_maximization"] == pytest.approx(math.log(4))
    assert scores["bnm"] == pytest.approx(1.0)  # the maximum of Cui 2020, equation 5
    assert scores["predicted_classes"] == 1.0


def test_a_collapsed_model_has_the_best_entropy_but_not_the_best_diversity() -> None:
    scores = prediction_criteria(certain([2] * 20))
    assert scores["entropy"] == pytest.approx(0.0, abs=1e-12)
    assert scores["information_maximization"] == pytest.approx(0.0, abs=1e-12)
    assert scores["bnm"] == pytest.approx(0.5)  # ‖P‖_* = √20 of at most √(20 · 4)
    assert scores["predicted_classes"] == 0.25


def test_an_undecided_model_has_minus_log_k_of_entropy_and_no_information() -> None:
    scores = prediction_criteria(np.zeros((7, 5)))
    assert scores["entropy"] == pytest.approx(-math.log(5))
    assert scores["information_maximization"] == pytest.approx(0.0, abs=1e-12)


def test_entropy_is_in_nats_and_minus_the_mean_over_samples() -> None:
    # Probabilities (1/4, 3/4) and (1/2, 1/2).
    scores = prediction_criteria(np.log([[0.25, 0.75], [0.5, 0.5]]))
    first = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert scores["entropy"] == pytest.approx(-(first + math.log(2)) / 2)
    mean = -(0.375 * math.log(0.375) + 0.625 * math.log(0.625))
    assert scores["information_maximization"] == pytest.approx(mean - (first + math.log(2)) / 2)


def test_nan_logits_give_nan_and_no_exception() -> None:
    logits = certain([0, 1, 2])
    logits[1, 2] = np.nan
    assert all(math.isnan(value) for value in prediction_criteria(logits).values())


def test_infinite_logits_are_the_limit_of_large_ones() -> None:
    infinite = np.where(certain([0, 1, 2, 3]) > 0, np.inf, 0.0)
    assert prediction_criteria(infinite) == pytest.approx(prediction_criteria(certain([0, 1, 2, 3])))
    assert math.isnan(prediction_criteria(np.full((2, 3), -np.inf))["bnm"])


def test_half_precision_logits_lose_nothing_to_the_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float16)
    assert prediction_criteria(logits) == prediction_criteria(logits.astype(np.float64))
