"""The classifiers of the shallow methods, and what all of these methods have in common."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsClassifier

from transfer_sweep.algorithms import registry
from transfer_sweep.algorithms.base import Task, TrainingError
from transfer_sweep.algorithms.shallow._base import LinearMethod, nearest_neighbor_logits, scatter_eigenbasis
from transfer_sweep.algorithms.shallow.linear_svm import LinearSVM, LinearSVMParams
from transfer_sweep.algorithms.shallow.logistic_regression import LogisticRegression, LogisticRegressionParams
from transfer_sweep.algorithms.shallow.nearest_neighbor import NearestNeighbor, NearestNeighborParams
from transfer_sweep.datasets.base import Samples

SHALLOW = sorted(name for name, family in registry.names().items() if family == "shallow")


def blobs(seed: int, samples: int = 60, dimensions: int = 6, classes: int = 3, shift: float = 0.0) -> Samples:
    """Gaussian classes around the same centres for every seed, moved by ``shift``."""
    centres = np.random.default_rng(99).normal(size=(classes, dimensions), scale=2)
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    inputs = centres[labels] + shift + rng.normal(size=(samples, dimensions))
    return Samples(inputs.astype(np.float32), labels.astype(np.int64))


def test_nearest_neighbor_predicts_what_scikit_learn_does() -> None:
    source, target = blobs(0), blobs(1, samples=500, shift=0.5)
    method = NearestNeighbor(Task(source, None, target.inputs, 3), NearestNeighborParams())
    method.fit_epoch()
    reference = KNeighborsClassifier(1, algorithm="brute").fit(source.inputs, source.labels)
    np.testing.assert_array_equal(method.predict(target.inputs).logits.argmax(1), reference.predict(target.inputs))


def test_nearest_neighbor_by_cosine_ranks_by_the_angle() -> None:
    source, target = blobs(0), blobs(1, shift=0.5)
    method = NearestNeighbor(Task(source, None, target.inputs, 3), NearestNeighborParams(unit_length=True))
    reference = KNeighborsClassifier(1, metric="cosine").fit(source.inputs, source.labels)
    np.testing.assert_array_equal(method.predict(target.inputs).logits.argmax(1), reference.predict(target.inputs))


def test_logits_of_nearest_neighbor_are_minus_the_distance_to_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocks of a few rows, so that more than one is computed.
    monkeypatch.setattr("transfer_sweep.algorithms.shallow._base._BLOCK", 500)
    source, target = blobs(0), blobs(1)
    distances = cdist(target.inputs.astype(float), source.inputs.astype(float))
    expected = -np.stack([distances[:, source.labels == c].min(1) for c in range(3)], axis=1)
    logits = nearest_neighbor_logits(target.inputs, source.inputs, source.labels, 3)
    np.testing.assert_allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize("name", SHALLOW)
def test_a_class_without_source_samples_is_never_predicted_and_keeps_entropies_finite(name: str) -> None:
    source, target = blobs(0), blobs(1, shift=3.0)
    present = source.take(np.flatnonzero(source.labels != 1))
    cls = registry.get(name)
    method = cls(Task(present, None, target.inputs, 5), cls.params_type())
    for _ in range(cls.budget(method.params, 1)):
        method.fit_epoch()
    logits = method.predict(target.inputs).logits
    assert logits.shape == (60, 5)
    assert logits.dtype == np.float32
    assert set(logits.argmax(1)) <= {0, 2}
    assert np.isfinite(logits.astype(np.float16)).all()


@pytest.mark.parametrize("name", SHALLOW)
def test_images_are_the_vectors_of_their_pixels_between_0_and_1(name: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(90, 1, 4, 4), dtype=np.uint8)
    labels = np.arange(60) % 3
    images[np.arange(60), 0, 0, labels] = 255
    vectors = (images / np.float32(255)).reshape(90, 16).astype(np.float32)
    cls = registry.get(name)
    params = cls.params_type()
    answers = []
    for inputs in (images, vectors):
        source = Samples(inputs[:60], labels)
        method = cls(Task(source, None, inputs[60:], 3), params)
        method.fit_epoch()
        answers.append(method.predict(inputs[60:].copy()))
    np.testing.assert_allclose(answers[0].logits, answers[1].logits, atol=1e-5)


@pytest.mark.parametrize("name", SHALLOW)
def test_saved_and_loaded_it_answers_the_same(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    source, target = blobs(0), blobs(1, shift=0.5)
    cls = registry.get(name)
    task = Task(source, None, target.inputs, 3)
    fitted, restored = cls(task, cls.params_type()), cls(task, cls.params_type())
    fitted.fit_epoch()
    torch.save(fitted.state_dict(), tmp_path / "state.pt")
    restored.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for inputs in (target.inputs, source.inputs, blobs(2).inputs):
        np.testing.assert_array_equal(fitted.predict(inputs).logits, restored.predict(inputs).logits)
        np.testing.assert_array_equal(fitted.predict(inputs).features, restored.predict(inputs).features)


def test_the_svm_is_at_the_minimum_of_the_squared_hinge_loss() -> None:
    # LIBLINEAR (Fan et al. 2008): ½‖w‖² + ½b² + C Σ max(0, 1 − y(wᵀx + b))²; its gradient is zero.
    source = blobs(0, samples=90, shift=1.0)
    method = LinearSVM(Task(source, None, source.inputs, 3), LinearSVMParams(C=0.5))
    method.fit_epoch()
    unit = source.inputs / np.linalg.norm(source.inputs, axis=1, keepdims=True)
    signs = np.where(source.labels[:, None] == np.arange(3), 1.0, -1.0)
    slack = np.maximum(0, 1 - signs * method.predict(source.inputs).logits) * signs
    np.testing.assert_allclose(method.weight, slack.T @ unit, atol=2e-3)
    np.testing.assert_allclose(method.bias, slack.sum(0), atol=2e-3)


def test_logistic_regression_is_at_the_minimum_of_the_cross_entropy() -> None:
    # ½‖W‖² + C Σ −log softmax(Wx + b)_y: W = C Σ (onehot − softmax) xᵀ, and the residuals sum to zero.
    source = blobs(0, samples=90, shift=1.0)
    method = LogisticRegression(Task(source, None, source.inputs, 3), LogisticRegressionParams(C=2.0))
    method.fit_epoch()
    unit = source.inputs / np.linalg.norm(source.inputs, axis=1, keepdims=True)
    logits = method.predict(source.inputs).logits
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    residual = (source.labels[:, None] == np.arange(3)) - probabilities
    np.testing.assert_allclose(method.weight, 2.0 * residual.T @ unit, atol=1e-2)
    np.testing.assert_allclose(residual.sum(0), 0, atol=1e-2)


@pytest.mark.parametrize("cls", [LinearSVM, LogisticRegression])
def test_a_cost_means_the_same_on_inputs_of_any_scale(cls: type[LinearMethod]) -> None:
    source, target = blobs(0), blobs(1)
    params = cls.params_type.model_validate({"unit_length": False})
    answers = []
    for scale in (1, 30):
        task = Task(Samples(source.inputs * scale, source.labels), None, target.inputs * scale, 3)
        method = cls(task, params)
        method.fit_epoch()
        answers.append(method.predict(task.target_inputs).logits)
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-3)


def test_of_two_classes_the_svm_gives_opposite_decision_values() -> None:
    source = blobs(0, classes=2)
    method = LinearSVM(Task(source, None, source.inputs, 2), LinearSVMParams())
    method.fit_epoch()
    logits = method.predict(source.inputs).logits
    np.testing.assert_allclose(logits[:, 0], -logits[:, 1])
    assert (logits.argmax(1) == source.labels).mean() > 0.9


@pytest.mark.parametrize("name", ["linear_svm", "logistic_regression", "coral"])
def test_a_linear_classifier_says_so_when_there_is_one_class_only(name: str) -> None:
    source = Samples(blobs(0).inputs, np.zeros(60, dtype=np.int64))
    cls = registry.get(name)
    method = cls(Task(source, None, source.inputs, 3), cls.params_type())
    with pytest.raises(TrainingError, match="at least two classes"):
        method.fit_epoch()


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_the_eigenbasis_of_a_scatter_leaves_its_null_space_out(shape: tuple[int, int]) -> None:
    vectors = np.random.default_rng(0).normal(size=shape)
    values, basis = scatter_eigenbasis(vectors)
    scatter = (len(vectors) - 1) * np.cov(vectors, rowvar=False)
    assert len(values) == np.linalg.matrix_rank(scatter)
    np.testing.assert_allclose(basis.T @ basis, np.eye(len(values)), atol=1e-10)
    np.testing.assert_allclose(basis * values @ basis.T, scatter, atol=1e-10)
