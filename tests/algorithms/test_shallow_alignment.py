"""Subspace alignment and CORAL against skada, and against their equations written densely."""

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray
from skada import CORALAdapter, SubspaceAlignmentAdapter
from sklearn.neighbors import KNeighborsClassifier

from transfer_sweep.algorithms.base import Task
from transfer_sweep.algorithms.shallow._base import AlignmentMethod, AlignmentParams
from transfer_sweep.algorithms.shallow.coral import CORAL, CORALParams
from transfer_sweep.algorithms.shallow.subspace_alignment import SubspaceAlignment, SubspaceAlignmentParams
from transfer_sweep.datasets.base import Samples


def pair(samples: int, dimensions: int) -> tuple[Samples, NDArray[np.float32]]:
    """Three classes; the target is the source's distribution, turned, stretched and moved."""
    rng = np.random.default_rng(samples)
    labels = np.arange(samples) % 3
    centres = rng.normal(size=(3, dimensions), scale=2)
    source = centres[labels] + rng.normal(size=(samples, dimensions))
    target = centres[labels] + rng.normal(size=(samples, dimensions))
    target = target @ (np.eye(dimensions) + 0.3 * rng.normal(size=(dimensions, dimensions))) + 1
    return Samples(source.astype(np.float32), labels.astype(np.int64)), target.astype(np.float32)


def skada_domains(samples: int) -> NDArray[np.float64]:
    return np.concatenate([np.ones(samples), -np.ones(samples)])


@pytest.mark.parametrize("size", [(80, 10), (20, 40)])
def test_subspace_alignment_is_that_of_skada(size: tuple[int, int]) -> None:
    source, target = pair(*size)
    method = SubspaceAlignment(Task(source, None, target, 3), SubspaceAlignmentParams(n_components=4))
    method.fit_epoch()
    found = np.vstack([method.predict_part("source").features, method.predict_part("target").features])
    both = np.vstack([source.inputs, target]).astype(float)
    expected = SubspaceAlignmentAdapter(n_components=4).fit_transform(both, sample_domain=skada_domains(size[0]))
    # Principal axes are defined up to their signs: inner products of the aligned samples are not.
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3)


def test_the_subspace_is_no_larger_than_the_smaller_domain_spans() -> None:
    source, target = pair(80, 40)
    method = SubspaceAlignment(Task(source, None, target[:12], 3), SubspaceAlignmentParams(n_components=100))
    method.fit_epoch()
    assert method.predict(target).features.shape == (80, 11)


def test_coral_is_that_of_skada_without_regularisation() -> None:
    source, target = pair(80, 10)
    method = CORAL(Task(source, None, target, 3), CORALParams(regularization=1e-6))
    method.fit_epoch()
    found = method.predict_part("source").features
    both = np.vstack([source.inputs, target]).astype(float)
    expected = CORALAdapter(reg=None).fit_transform(both, sample_domain=skada_domains(80))[:80]
    # skada centres both domains, the paper's algorithm neither.
    np.testing.assert_allclose(found - found.mean(0), expected, atol=1e-3)


@pytest.mark.parametrize("size", [(80, 10), (20, 40)])
def test_coral_is_the_algorithm_of_the_paper(size: tuple[int, int]) -> None:
    # Sun et al. 2016, Algorithm 1: C = cov(D) + I; D_s ← D_s C_s^(−½) C_t^(½).
    source, target = pair(*size)
    method = CORAL(Task(source, None, target, 3), CORALParams())
    method.fit_epoch()
    identity = np.eye(size[1])
    source_covariance, target_covariance = (np.cov(x, rowvar=False) + identity for x in (source.inputs, target))
    whitening = np.linalg.inv(scipy.linalg.sqrtm(source_covariance).real)
    expected = source.inputs @ whitening @ scipy.linalg.sqrtm(target_covariance).real
    np.testing.assert_allclose(method.predict_part("source").features, expected, atol=1e-3)
    np.testing.assert_array_equal(method.predict_part("target").features, target)


def test_coral_gives_the_source_the_covariance_of_the_target() -> None:
    source, target = pair(80, 10)
    method = CORAL(Task(source, None, target, 3), CORALParams(regularization=1e-6))
    method.fit_epoch()
    aligned = method.predict_part("source").features
    np.testing.assert_allclose(np.cov(aligned, rowvar=False), np.cov(target, rowvar=False), atol=1e-3)


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (SubspaceAlignment, SubspaceAlignmentParams(n_components=4, classifier="nn")),
        (CORAL, CORALParams(classifier="nn")),
        (CORAL, CORALParams(classifier="nn", unit_length=True)),
    ],
)
def test_one_nearest_neighbour_is_sought_among_the_aligned_source_samples(
    cls: type[AlignmentMethod], params: AlignmentParams
) -> None:
    source, target = pair(80, 10)
    method = cls(Task(source, None, target, 3), params)
    method.fit_epoch()
    reference = KNeighborsClassifier(1).fit(method.predict_part("source").features, source.labels)
    found = method.predict_part("target")
    np.testing.assert_array_equal(found.logits.argmax(1), reference.predict(found.features))


@pytest.mark.parametrize("cls", [SubspaceAlignment, CORAL])
def test_the_svm_learns_the_aligned_source(cls: type[AlignmentMethod]) -> None:
    source, target = pair(80, 10)
    method = cls(Task(source, None, target, 3), cls.params_type.model_validate({"classifier": "svm"}))
    method.fit_epoch()
    assert (method.predict_part("source").logits.argmax(1) == source.labels).mean() > 0.95


@pytest.mark.parametrize("cls", [SubspaceAlignment, CORAL])
def test_held_out_source_samples_are_aligned_as_the_source_is(cls: type[AlignmentMethod]) -> None:
    source, target = pair(80, 10)
    held_out = source.take(np.arange(10))
    method = cls(Task(source, held_out, target, 3), cls.params_type())
    method.fit_epoch()
    as_source = method.predict_part("source").features[:10]
    np.testing.assert_allclose(method.predict_part("validation").features, as_source, rtol=1e-5)
    np.testing.assert_array_equal(method.predict(source.inputs, "source").features[:10], as_source)
    assert not np.allclose(method.predict(held_out.inputs, "target").features, as_source)
