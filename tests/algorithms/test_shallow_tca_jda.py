"""TCA and JDA against a textbook implementation: dense n×n matrices and a general eigensolver, in float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from skada import TransferComponentAnalysisAdapter
from sklearn.neighbors import KNeighborsClassifier

from transfer_sweep.algorithms.base import Task, TrainingError
from transfer_sweep.algorithms.shallow.jda import JDA, JDAParams
from transfer_sweep.algorithms.shallow.tca import TCA, TCAParams
from transfer_sweep.datasets.base import Samples

CLASSES = 3


def pair(source_size: int, target_size: int, dimensions: int) -> tuple[Samples, NDArray[np.float32]]:
    rng = np.random.default_rng(source_size + dimensions)
    centres = rng.normal(size=(CLASSES, dimensions))
    labels = np.arange(source_size) % CLASSES
    source = centres[labels] + rng.normal(size=(source_size, dimensions))
    target = centres[np.arange(target_size) % CLASSES] + 0.7 + rng.normal(size=(target_size, dimensions))
    return Samples(source.astype(np.float32), labels.astype(np.int64)), target.astype(np.float32)


def textbook(source: Samples, target: NDArray[np.float32], params: TCAParams, iterations: int) -> list[tuple[Any, Any]]:
    """Embeddings (n, k) and pseudo-labels of each iteration, as Algorithm 1 of Long et al. 2013 is written."""
    samples = np.vstack([source.inputs, target]).astype(float)
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)
    distances = squareform(pdist(samples))
    sigma = np.median(pdist(samples)) if params.bandwidth == "median" else pdist(samples).mean()
    kernel = {
        "primal": samples.T,
        "linear": samples @ samples.T,
        "rbf": np.exp(-(distances**2) / (2 * sigma**2)),
    }[params.kernel]
    n, n_source = len(samples), len(source)
    centring = np.eye(n) - 1 / n
    steps, pseudo_labels = [], None
    for _ in range(iterations):
        e = np.where(np.arange(n) < n_source, 1 / n_source, -1 / (n - n_source))
        mmd = np.outer(e, e)
        if pseudo_labels is not None:
            for c in range(CLASSES):
                in_source = np.concatenate([source.labels == c, np.zeros(n - n_source, bool)])
                in_target = np.concatenate([np.zeros(n_source, bool), pseudo_labels == c])
                if in_source.any() and in_target.any():
                    e = in_source / in_source.sum() - in_target / in_target.sum()
                    mmd += np.outer(e, e)
        mmd /= np.linalg.norm(mmd)
        left = kernel @ mmd @ kernel.T + params.mu * np.eye(len(kernel))
        # Of the inverse problem the finite eigenvalues are the largest: the null space of KHK is at zero.
        values, vectors = scipy.linalg.eig(kernel @ centring @ kernel.T, left)
        leading = np.real(vectors[:, np.argsort(-np.real(values))[: params.n_components]])
        leading /= np.linalg.norm(leading, axis=0)
        embedded = kernel.T @ leading
        embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
        pseudo_labels = KNeighborsClassifier(1).fit(embedded[:n_source], source.labels).predict(embedded[n_source:])
        steps.append((embedded, pseudo_labels))
    return steps


SIZES = {"more samples than dimensions": (40, 30, 8), "fewer": (20, 15, 50), "lanczos": (60, 50, 45)}


@pytest.mark.parametrize("mu", [0.01, 1.0])
@pytest.mark.parametrize("kernel", ["primal", "linear", "rbf"])
@pytest.mark.parametrize("size", SIZES)
def test_each_iteration_is_that_of_the_textbook(size: Any, kernel: Any, mu: float) -> None:
    source, target = pair(*SIZES[size])
    params = JDAParams(n_components=5, mu=mu, kernel=kernel, iterations=4)
    method = JDA(Task(source, None, target, CLASSES), params)
    for embedded, pseudo_labels in textbook(source, target, params, params.iterations):
        method.fit_epoch()
        # Components are defined up to their signs: inner products of the embedded samples are not.
        found = method.embedded()
        np.testing.assert_allclose(found @ found.T, embedded @ embedded.T, atol=1e-7)
        np.testing.assert_array_equal(method.predict_part("target").logits.argmax(1), pseudo_labels)


@pytest.mark.parametrize("bandwidth", ["median", "mean"])
def test_the_bandwidth_is_the_median_or_mean_distance(bandwidth: Any) -> None:
    source, target = pair(12, 10, 5)
    params = TCAParams(n_components=3, kernel="rbf", bandwidth=bandwidth)
    method = TCA(Task(source, None, target, CLASSES), params)
    method.fit_epoch()
    embedded, _ = textbook(source, target, params, 1)[0]
    np.testing.assert_allclose(method.embedded() @ method.embedded().T, embedded @ embedded.T, atol=1e-8)


def test_without_weight_on_the_means_tca_is_that_of_skada() -> None:
    # skada takes the lower half of its non-symmetric matrix for the whole, so that its TCA is the paper's only where
    # that matrix is symmetric: without the MMD term.
    source, target = pair(40, 30, 8)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (source.inputs.astype(float), target.astype(float))]
    domains = np.r_[np.ones(40), -np.ones(30)]
    adapter = TransferComponentAnalysisAdapter(kernel="linear", n_components=4, mu=0)
    embedded = adapter.fit_transform(np.vstack(unit), sample_domain=domains)
    embedded /= np.linalg.norm(embedded, axis=1, keepdims=True)
    method = TCA(Task(source, None, target, CLASSES), TCAParams(n_components=4, kernel="linear", mu=1e6))
    method.fit_epoch()
    np.testing.assert_allclose(method.embedded() @ method.embedded().T, embedded @ embedded.T, atol=1e-3)


def test_the_first_iteration_of_jda_is_tca() -> None:
    source, target = pair(40, 30, 8)
    task = Task(source, None, target, CLASSES)
    tca, jda = TCA(task, TCAParams(n_components=5)), JDA(task, JDAParams(n_components=5))
    tca.fit_epoch()
    jda.fit_epoch()
    np.testing.assert_array_equal(tca.predict_part("target").logits, jda.predict_part("target").logits)


def test_conditional_terms_follow_the_pseudo_labels() -> None:
    source, target = pair(40, 30, 8)
    method = JDA(Task(source, None, target, CLASSES), JDAParams(n_components=5))
    method.fit_epoch()
    first = method.contrasts()
    assert method.pseudo_labels is not None
    method.pseudo_labels = np.roll(method.pseudo_labels, 1)
    assert first.shape == method.contrasts().shape == (70, 1 + CLASSES)
    assert not np.allclose(first, method.contrasts())


def test_the_weight_on_the_means_brings_them_together() -> None:
    source, target = pair(60, 50, 8)
    left = []
    for mu in (100.0, 1e-4):
        method = TCA(Task(source, None, target, CLASSES), TCAParams(n_components=3, mu=mu))
        left.append(method.fit_epoch()["mmd"])
    assert left[1] < 0.1 * left[0]


@pytest.mark.parametrize("kernel", ["primal", "linear", "rbf"])
@pytest.mark.parametrize("size", [(40, 30, 8), (20, 15, 50)])
def test_projecting_the_training_samples_anew_gives_the_transductive_answer(kernel: Any, size: Any) -> None:
    source, target = pair(*size)
    method = JDA(Task(source, None, target, CLASSES), JDAParams(n_components=5, kernel=kernel))
    for _ in range(3):
        method.fit_epoch()
    for at_hand, anew in (
        (method.predict_part("target"), method.predict(target)),
        (method.predict_part("source"), method.predict(source.inputs, "source")),
    ):
        np.testing.assert_allclose(anew.features, at_hand.features, atol=1e-6)
        np.testing.assert_allclose(anew.logits, at_hand.logits, atol=1e-3)


def test_components_and_projections_have_length_one() -> None:
    source, target = pair(40, 30, 8)
    method = TCA(Task(source, None, target, CLASSES), TCAParams(n_components=5, mu=0.01))
    method.fit_epoch()
    np.testing.assert_allclose(np.linalg.norm(method.components, axis=0), 1)
    np.testing.assert_allclose(np.linalg.norm(method.predict(pair(9, 9, 8)[1]).features, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(("size", "rank"), [((40, 30, 8), 8), ((10, 8, 50), 17)])
def test_there_are_no_more_components_than_the_centred_samples_have_rank(size: Any, rank: int) -> None:
    source, target = pair(*size)
    method = TCA(Task(source, None, target, CLASSES), TCAParams(n_components=100))
    method.fit_epoch()
    assert method.predict_part("target").features.shape == (len(target), rank)


def test_jda_continues_bit_for_bit_from_a_saved_state(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    source, target = pair(60, 50, 45)
    task, params = Task(source, None, target, CLASSES), JDAParams(n_components=5, mu=0.1)
    whole, second_half = JDA(task, params), JDA(task, params)
    for _ in range(2):
        whole.fit_epoch()
    torch.save(whole.state_dict(), tmp_path / "state.pt")
    second_half.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(3):
        assert whole.fit_epoch() == second_half.fit_epoch()
    np.testing.assert_array_equal(whole.predict_part("target").logits, second_half.predict_part("target").logits)


def test_a_state_saved_before_the_first_iteration_is_a_start(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    source, target = pair(40, 30, 8)
    task = Task(source, None, target, CLASSES)
    fresh, restored = JDA(task, JDAParams()), JDA(task, JDAParams())
    torch.save(fresh.state_dict(), tmp_path / "state.pt")
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert restored.fit_epoch() == fresh.fit_epoch()


def test_jda_has_a_unit_of_budget_per_iteration() -> None:
    assert JDA.budget(JDAParams(iterations=7), epochs=30) == 7
    assert TCA.budget(TCAParams(), epochs=30) == 1


def test_a_kernel_that_cannot_fit_into_memory_is_refused_with_advice() -> None:
    inputs = np.zeros((15_000, 2), dtype=np.float32)
    task = Task(Samples(inputs, np.zeros(15_000, dtype=np.int64)), None, inputs.copy(), CLASSES)
    with pytest.raises(TrainingError, match="primal or linear"):
        TCA(task, TCAParams(kernel="rbf"))


def test_samples_that_are_all_zero_do_no_harm() -> None:
    source, target = pair(40, 30, 8)
    target[3] = 0
    for kernel in ("primal", "linear", "rbf"):
        method = JDA(Task(source, None, target, CLASSES), JDAParams(n_components=5, kernel=kernel))
        method.fit_epoch()
        method.fit_epoch()
        assert np.isfinite(method.predict_part("target").logits).all()
