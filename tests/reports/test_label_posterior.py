"""Choosing by a few labels with a label-free score as prior: against the same model written out with other tools."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from transfer_sweep.reports.label_posterior import LabelPosterior, Prior, agreement

CLASSES, INPUTS = 5, 400


def _trials(seed: int, accuracies: list[float]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Predictions (T, N) of trials that are right so often, on the same easy inputs, and the truth (N,)."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, INPUTS)
    difficulty = rng.random(INPUTS)
    wrong = (truth + rng.integers(1, CLASSES, (len(accuracies), INPUTS))) % CLASSES
    missed = 0.7 * difficulty + 0.3 * rng.random((len(accuracies), INPUTS)) > np.array(accuracies)[:, None]
    return np.where(missed, wrong, truth), truth


def test_agreement_is_the_share_of_inputs_on_which_two_trials_predict_the_same() -> None:
    predictions = np.array([[0, 1, 2, 2], [0, 1, 1, 2], [3, 3, 3, 2]])
    assert agreement(predictions).tolist() == [[1, 0.75, 0.25], [0.75, 1, 0.25], [0.25, 0.25, 1]]


def test_posterior_and_evidence_are_those_of_the_gaussian_model() -> None:
    """By conditioning the joint distribution of accuracies and of what the labels show, as textbooks have it."""
    predictions, truth = _trials(0, [0.9, 0.8, 0.7, 0.6, 0.5])
    score, deep = np.array([3.0, 1.0, 2.0, 0.5, 0.1]), np.array([True, True, True, False, False])
    right = (predictions == truth)[:, :30]
    scales, rho = (0.03, 0.06), 0.5  # worth so many labels that those that are seen change nothing
    prior = Prior(scales, (0.5, 0.2), (0.3, 0.1), (-1.0, 0.7), (rho, 1e12))

    profiles = np.cov(agreement(predictions), bias=True)
    profiles -= profiles.mean(axis=0)
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.diag(profiles).mean()
    ranked = norm.ppf([5 / 6, 1 / 6, 3 / 6, 3 / 4, 1 / 4])
    effects = np.array([ranked * deep, ranked * ~deep, ~deep * 1.0])
    level, seen = right.mean(), right.mean(axis=1)
    noise = rho / 60 * agreement(predictions) + 1e-6 * np.eye(5)
    densities, means = [], []
    for s in scales:
        mean = level + s * np.array([0.5, 0.3, -1.0]) @ effects
        covariance = 1 + s**2 * (profiles + effects.T @ np.diag([0.2, 0.1, 0.7]) ** 2 @ effects)
        densities.append(multivariate_normal(mean, covariance + noise).pdf(seen))
        means.append(mean + covariance @ np.linalg.inv(covariance + noise) @ (seen - mean))
    judged = LabelPosterior(predictions, score, deep, prior).given(right)
    assert judged.means == pytest.approx(np.average(means, axis=0, weights=densities), rel=1e-6)
    assert judged.evidence == pytest.approx(np.log(np.mean(densities)), rel=1e-6)


def test_without_labels_it_ranks_deep_trials_as_the_score_does_and_before_classical_ones() -> None:
    predictions, _ = _trials(1, [0.5] * 6)
    score, deep = np.array([1.0, 3.0, 2.0, 5.0, 6.0, 4.0]), np.array([True] * 4 + [False] * 2)
    means = LabelPosterior(predictions, score, deep).given(np.zeros((6, 0), dtype=bool)).means
    assert np.argsort(-means).tolist() == [3, 1, 2, 0, 4, 5]


def test_trials_that_predict_the_same_are_thought_equally_good_but_for_their_scores() -> None:
    predictions, truth = _trials(2, [0.9, 0.6, 0.5])
    twice = np.vstack([predictions, predictions[:1]])
    posterior = LabelPosterior(twice, np.array([2.0, 1.0, 1.0, 2.0]), np.ones(4, dtype=bool))
    means = posterior.given((twice == truth)[:, :50]).means
    assert means[0] == pytest.approx(means[3], abs=1e-9)
    assert means.argmax() in (0, 3)


def test_many_labels_overrule_a_score_that_is_wrong_and_few_do_not() -> None:
    predictions, truth = _trials(3, [0.9, 0.8, 0.7, 0.6])
    right = predictions == truth
    posterior = LabelPosterior(predictions, np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4, dtype=bool))
    assert posterior.given(right).means.argmax() == right.mean(axis=1).argmax() == 0
    assert posterior.given(right[:, :0]).means.argmax() == 3


def test_labels_and_score_together_choose_better_than_either_on_average() -> None:
    regret: dict[str, list[float]] = {"score": [], "labels": [], "both": []}
    rng = np.random.default_rng(4)
    for seed in range(60):
        wanted = rng.uniform(0.5, 0.9, 12)
        predictions, truth = _trials(seed, wanted.tolist())
        score = wanted + rng.normal(scale=0.1, size=12)
        right = predictions == truth
        scored = right[:, 20:].mean(axis=1)
        posterior = LabelPosterior(predictions, score, np.ones(12, dtype=bool))
        chosen = {"score": score, "labels": right[:, :20].mean(axis=1), "both": posterior.given(right[:, :20]).means}
        for way, values in chosen.items():
            regret[way].append(scored.max() - scored[values.argmax()])
    means = {way: np.mean(values) for way, values in regret.items()}
    assert means["both"] < min(means["score"], means["labels"])


def test_where_all_trials_predict_the_same_nothing_breaks() -> None:
    predictions = np.zeros((3, 10), dtype=np.int64)
    posterior = LabelPosterior(predictions, np.array([1.0, 2.0, 3.0]), np.ones(3, dtype=bool))
    means = posterior.given(np.array([[True, False]] * 3)).means
    assert np.isfinite(means).all()
