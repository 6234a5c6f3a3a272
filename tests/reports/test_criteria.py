"""Criteria against closed forms, scikit-learn, scipy and skada."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.datasets import load_iris, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from transfer_sweep.reports.criteria import (
    Ensemble,
    Predictions,
    accuracy,
    class_cluster,
    density_ratio,
    importance_weighted,
    leave_one_out_accuracy,
    mixed,
    partners,
    prediction_criteria,
    proxy_a_distance,
    reverse_neighbor,
    soft_neighborhood_density,
)
from transfer_sweep.reports.criteria.mixing import SHARE
from transfer_sweep.reports.criteria.samples import MOST, some


def certain(classes: list[int], of: int = 4) -> np.ndarray:
    """Logits of a model that is sure of one class for each row."""
    return np.where(np.arange(of) == np.array(classes)[:, None], 1000.0, 0.0)


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
    assert math.isnan(accuracy(logits, [0, 1, 2]))


def test_infinite_logits_are_the_limit_of_large_ones() -> None:
    infinite = np.where(certain([0, 1, 2, 3]) > 0, np.inf, 0.0)
    assert prediction_criteria(infinite) == pytest.approx(prediction_criteria(certain([0, 1, 2, 3])))
    assert math.isnan(prediction_criteria(np.full((2, 3), -np.inf))["bnm"])


def test_half_precision_logits_lose_nothing_to_the_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float16)
    assert prediction_criteria(logits) == prediction_criteria(logits.astype(np.float64))


def test_accuracy_is_a_percentage() -> None:
    assert accuracy(certain([0, 1, 2, 3]), [0, 1, 2, 0]) == 75.0


def test_accuracy_refuses_labels_of_other_samples() -> None:
    with pytest.raises(ValueError, match="4 rows of logits"):
        accuracy(certain([0, 1, 2, 3]), [0, 1])


def test_leave_one_out_accuracy_is_that_of_cross_validation() -> None:
    inputs, labels = load_iris(return_X_y=True)
    expected = cross_val_score(KNeighborsClassifier(n_neighbors=1), inputs, labels, cv=LeaveOneOut()).mean()
    assert leave_one_out_accuracy(inputs, labels) == pytest.approx(100 * expected)


def test_no_sample_is_its_own_neighbour_even_among_duplicates() -> None:
    points = np.array([[0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [5.0, 0.0]])
    assert leave_one_out_accuracy(points, [0, 0, 1, 1]) == 100.0
    assert leave_one_out_accuracy(points, [0, 1, 0, 1]) == 0.0


def test_leave_one_out_of_a_diverged_representation_is_nan() -> None:
    assert math.isnan(leave_one_out_accuracy(np.full((3, 2), np.nan), [0, 1, 0]))


# --- soft neighbourhood density ---


def test_soft_neighborhood_density_is_the_mean_entropy_of_the_similarities_to_others() -> None:
    """Saito et al. 2021, equations 1 to 3, row by row."""
    logits = np.random.default_rng(0).normal(size=(40, 5))
    probabilities = softmax(logits, axis=1)
    unit = probabilities / np.linalg.norm(probabilities, axis=1, keepdims=True)
    expected = [
        scipy.stats.entropy(softmax([unit[i] @ unit[j] / 0.05 for j in range(40) if j != i])) for i in range(40)
    ]
    assert soft_neighborhood_density(logits) == pytest.approx(np.mean(expected), rel=1e-5)


def test_dense_neighbourhoods_are_better_than_sparse_ones() -> None:
    # Sure predictions in two classes of ten: nine neighbours of weight e²⁰, ten of weight 1.
    dense = soft_neighborhood_density(certain([0] * 10 + [1] * 10))
    weight = math.exp(20)
    total = 9 * weight + 10
    assert dense == pytest.approx(math.log(total) - 9 * weight * 20 / total, rel=1e-5)
    assert dense > soft_neighborhood_density(certain([0, 1, 2, 3]))


def test_soft_neighborhood_density_of_many_samples_is_that_of_the_same_part_of_them_each_time() -> None:
    logits = np.random.default_rng(0).normal(size=(MOST + 50, 3))
    assert soft_neighborhood_density(logits) == soft_neighborhood_density(logits[some(MOST + 50)])
    assert math.isnan(soft_neighborhood_density(logits[:1]))
    assert math.isnan(soft_neighborhood_density(np.full((4, 3), np.nan)))


# --- class clusters, and the way back ---


def test_class_cluster_is_one_where_predictions_are_the_clusters_and_zero_where_they_are_not() -> None:
    points, blobs = make_blobs(200, n_features=8, centers=4, cluster_std=0.1, random_state=0)
    assert class_cluster(points, blobs, 4) == pytest.approx(1.0)
    assert class_cluster(points, (blobs + 1) % 4, 4) == pytest.approx(1.0)  # the names of clusters do not matter
    assert abs(class_cluster(points, np.random.default_rng(0).permutation(blobs), 4)) < 0.05
    assert class_cluster(points, np.zeros(200, dtype=int), 4) == pytest.approx(0.0)


def test_class_cluster_of_a_diverged_or_collapsed_representation_raises_nothing() -> None:
    assert math.isnan(class_cluster(np.full((9, 2), np.nan), np.zeros(9), 3))
    assert math.isnan(class_cluster(np.zeros((2, 2)), np.zeros(2), 3))
    assert class_cluster(np.zeros((9, 2)), np.arange(9) % 3, 3) == pytest.approx(0.0)


def test_reverse_neighbor_is_the_accuracy_of_a_classifier_of_predicted_target_samples_on_the_source() -> None:
    inputs, labels = load_iris(return_X_y=True)
    source, target = inputs[::2] - inputs.mean(0), inputs[1::2] - inputs.mean(0)
    predicted = np.random.default_rng(0).permutation(labels[1::2])
    back = KNeighborsClassifier(n_neighbors=1, metric="cosine").fit(target, predicted)
    assert reverse_neighbor(source, labels[::2], target, predicted) == pytest.approx(
        100 * back.score(source, labels[::2])
    )
    assert math.isnan(reverse_neighbor(source, labels[::2], np.full_like(target, np.inf), predicted))


# --- importance weights ---


def test_the_density_ratio_of_two_gaussians_is_the_one_in_closed_form() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(40_000, 1)), rng.normal(loc=0.5, size=(20_000, 1))
    at = np.linspace(-1, 1.5, 6)[:, None]
    # N(½, 1) / N(0, 1) = exp(x/2 − 1/8), whatever the numbers of samples.
    assert density_ratio(source, target, at) == pytest.approx(np.exp(at[:, 0] / 2 - 1 / 8), rel=0.1)


def test_weights_of_one_give_the_plain_validation_risks() -> None:
    logits = np.log([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1], [0.2, 0.8]])
    found = importance_weighted(logits, [0, 0, 0, 1], np.ones(4))
    assert found["iwcv"] == pytest.approx(-0.25)
    assert found["dev"] == pytest.approx(np.mean(np.log([0.7, 0.4, 0.9, 0.8])))


def test_dev_is_that_of_skada() -> None:
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
    assert importance_weighted(logits, held_labels, weights)["dev"] == pytest.approx(theirs, rel=1e-6)


def test_importance_weighting_of_what_is_not_finite_or_too_little_is_nan() -> None:
    assert all(map(math.isnan, importance_weighted([[1.0, 0.0]], [0], [1.0]).values()))
    assert all(map(math.isnan, importance_weighted(certain([0, 1]), [0, 1], [1.0, np.inf]).values()))


# --- mixtures ---


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


# --- ensembles ---


def agreement(logits: list[Any], votes: list[bool]) -> list[float]:
    ensemble = Ensemble()
    for own, vote in zip(logits, votes, strict=True):
        ensemble.add(Predictions.of(own), vote)
    return ensemble.agreement()


def test_agreement_with_the_ensemble_is_with_the_largest_mean_probability() -> None:
    sure, unsure = certain([0, 1, 2, 3]), 0.001 * certain([1, 1, 1, 1])
    wrong = certain([0, 1, 2, 0])
    assert agreement([sure, unsure], [True, True]) == [100.0, 25.0]
    assert agreement([sure, wrong], [True, False]) == [100.0, 75.0]
    found = agreement([sure, None, np.full((4, 4), np.nan)], [True, True, True])
    assert found[0] == 100.0
    assert np.isnan(found[1:]).all()
    assert np.isnan(agreement([None, sure], [True, False])).all()


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.0])
def test_the_proxy_a_distance_of_two_gaussians_is_that_of_the_best_linear_classifier(gap: float) -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 4000, 3))
    target[:, 0] += gap
    # The best linear classifier of N(0, I) and N(gap e, I) errs with probability Φ(−gap / 2).
    expected = 2 * (1 - 2 * scipy.stats.norm.cdf(-gap / 2))
    assert proxy_a_distance(source, target) == pytest.approx(expected, abs=0.06)


def test_more_features_than_samples_sparse_or_dense_make_no_difference_to_the_proxy_a_distance() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.poisson(0.3, (2, 60, 200)).astype(np.float32)
    target[:, :5] += rng.poisson(0.8, (60, 5))
    found = proxy_a_distance(source, target)
    assert 0 < found < 2
    assert proxy_a_distance(csr_array(source), csr_array(target)) == pytest.approx(found)
    turned = np.linalg.qr(rng.normal(size=(200, 200)))[0]  # a linear classifier does not see rotations
    assert proxy_a_distance(source @ turned, target @ turned) == pytest.approx(found, abs=0.1)
    target[:, 5] += 9
    assert proxy_a_distance(source, target) == 2


def test_the_proxy_a_distance_of_what_is_not_finite_or_too_little_is_nan() -> None:
    points = np.ones((4, 2))
    assert math.isnan(proxy_a_distance(points, np.where(points > 0, np.inf, 0)))
    assert math.isnan(proxy_a_distance(points, points[:1]))
