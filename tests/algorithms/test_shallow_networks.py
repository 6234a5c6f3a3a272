"""Algorithm 1 of the DANN paper: its steps against autograd, its stopping, its reverse validation, its figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.datasets import make_blobs

from transfer_sweep.algorithms import registry
from transfer_sweep.algorithms.base import Task, TrainingError
from transfer_sweep.algorithms.shallow import _stochastic as stochastic
from transfer_sweep.algorithms.shallow._stochastic import Array, Network
from transfer_sweep.algorithms.shallow.shallow_dann import ShallowDANN, ShallowDANNParams
from transfer_sweep.algorithms.shallow.shallow_nn import ShallowNN, ShallowNNParams
from transfer_sweep.datasets import splits
from transfer_sweep.datasets.amazon_reviews import AmazonReviews
from transfer_sweep.datasets.base import Samples

CLASSES = 3


def reference(
    network: Network,
    source: Array,
    labels: NDArray[np.int64],
    target: Array,
    order: NDArray[np.int64],
    partners: NDArray[np.int64],
    lr: float,
    lam: float,
    factor: float,
) -> list[Array]:
    """The paper's updates in float64, with gradients by autograd: simultaneous, one sample of each domain a step."""
    W, b, V, c, u, d = (
        torch.tensor(getattr(network, name), dtype=torch.float64, requires_grad=True) for name in "WbVcud"
    )
    for i, j in zip(order, partners, strict=True):
        h, t_h = (torch.sigmoid(torch.tensor(x, dtype=torch.float64) @ W + b) for x in (source[i], target[j]))
        loss = -torch.log_softmax(V @ h + c, 0)[labels[i]]
        likelihood = (torch.nn.functional.logsigmoid(u @ h + d) + torch.nn.functional.logsigmoid(-(u @ t_h + d)))[0]
        objective = loss + lam * likelihood
        gradients = torch.autograd.grad(objective, (W, b, V, c, u, d), allow_unused=True)
        with torch.no_grad():
            for parameter, gradient, rate in zip(
                (W, b, V, c, u, d), gradients, (-lr, -lr, -lr, -lr, lr * factor, lr * factor), strict=True
            ):
                parameter.add_(gradient, alpha=rate)
    return [p.detach().numpy() for p in (W, b, V, c, u, d)]


@pytest.mark.parametrize("game", [(0.7, 1.0), (2.0, 10.0), None])
def test_a_pass_is_the_papers_updates_by_autograd(game: tuple[float, float] | None) -> None:
    rng = np.random.default_rng(0)
    source, target = (rng.poisson(0.4, (n, 12)).astype(np.float32) for n in (40, 25))
    labels = rng.integers(CLASSES, size=40)
    network = Network.random(12, 5, CLASSES, rng)
    network.u[:] = rng.normal(size=5)
    draws = np.random.default_rng(1)
    order = draws.permutation(40)
    partners = draws.integers(25, size=40)
    expected = reference(network, source, labels, target, order, partners, 0.3, *(game or (0.0, 0.0)))
    stochastic.train_pass(
        network, csr_array(source), labels, csr_array(target), np.random.default_rng(1), lr=0.3, game=game
    )
    for name, value in zip("WbVcud", expected, strict=True):
        np.testing.assert_allclose(getattr(network, name), value, atol=3e-5, err_msg=name)


def blobs(seed: int = 0) -> tuple[Samples, Samples, Samples]:
    """Training, held-out source and shifted target samples of three classes in four dimensions."""
    points, labels = make_blobs([60] * CLASSES, n_features=4, cluster_std=1.0, random_state=seed)
    points = points.astype(np.float32)
    kept, held = splits.holdout(labels, 0.2, seed)
    source = Samples(points, labels.astype(np.int64))
    return source.take(kept), source.take(held), Samples(points + np.float32(0.3), source.labels)


def fitted(name: str, **params: Any) -> tuple[ShallowNN, dict[str, float]]:
    train, held, target = blobs()
    cls = registry.get(name)
    chosen = cls.params_type.model_validate({"lr": 0.05} | params)
    method = cls(Task(train, held, target.inputs, CLASSES), chosen, seed=3)
    assert isinstance(method, ShallowNN)
    return method, method.fit_epoch()


@pytest.mark.parametrize("name", ["shallow_nn", "shallow_dann"])
def test_the_network_kept_is_the_one_with_the_lowest_validation_risk(name: str) -> None:
    method, measured = fitted(name, max_passes=40, min_passes=10)
    _, held, target = blobs()
    risk = (method.predict_part("validation").logits.argmax(1) != held.labels).mean()
    assert measured["validation_risk"] == pytest.approx(risk)
    assert risk < 0.1
    assert 1 <= measured["passes"] <= 40
    assert (method.predict_part("target").logits.argmax(1) == target.labels).mean() > 0.9
    assert 80 < method.criteria()["reverse_validation"] <= 100


def test_training_ends_half_as_long_again_after_the_best_network(monkeypatch: pytest.MonkeyPatch) -> None:
    passes, risks = [], iter([0.5, 0.3, 0.4, 0.3] + [0.4] * 100)
    monkeypatch.setattr("transfer_sweep.algorithms.shallow.shallow_nn.train_pass", lambda *_: passes.append(1))
    monkeypatch.setattr(ShallowNN, "_risk", staticmethod(lambda *_: next(risks)))
    _, measured = fitted("shallow_nn", min_passes=0)
    # The latest of equals is the best: the fourth, so that the sixth may still improve and the seventh ends it.
    assert measured["passes"] == 4
    assert len(passes) == 7


def test_without_held_out_samples_the_last_network_is_kept_and_nothing_is_validated() -> None:
    train, _, target = blobs()
    method = ShallowDANN(Task(train, None, target.inputs, CLASSES), ShallowDANNParams(max_passes=3))
    assert method.fit_epoch()["passes"] == 3
    assert method.criteria() == {}


def test_the_same_seed_gives_the_same_network_and_its_state_restores_it() -> None:
    method, _ = fitted("shallow_dann", max_passes=5)
    again, _ = fitted("shallow_dann", max_passes=5)
    np.testing.assert_array_equal(method.predict_part("target").logits, again.predict_part("target").logits)
    fresh = type(method)(method.task, method.params, seed=3)
    fresh.load_state_dict(method.state_dict())
    np.testing.assert_array_equal(method.predict_part("target").features, fresh.predict_part("target").features)


def test_a_network_that_diverges_ends_in_one_line() -> None:
    train, held, target = blobs()
    huge = Samples(np.full_like(train.inputs, np.nan), train.labels)
    with pytest.raises(TrainingError, match="lower lr"):
        ShallowNN(Task(huge, held, target.inputs, CLASSES), ShallowNNParams()).fit_epoch()


def test_the_logarithm_refuses_negative_inputs() -> None:
    with pytest.raises(TrainingError, match="counts"):
        fitted("shallow_nn", scaling="log_length")


def test_scaled_samples_have_the_length_asked_for() -> None:
    method, _ = fitted("shallow_nn", max_passes=1, scaling="length", length=7.0)
    lengths = np.sqrt((method._source**2).sum(axis=1))
    np.testing.assert_allclose(lengths, 7.0, rtol=1e-5)


@pytest.mark.data
def test_dann_reaches_the_papers_figure_on_raw_counts(data_root: Path) -> None:
    """Ganin et al. 2016, table 1: dvd → books 72.3, on one split and seed."""
    reviews = AmazonReviews(data_root)
    source, target = reviews.load("dvd").train, reviews.load("books")
    kept, held = splits.holdout(source.labels, 0.1, 0)
    params = ShallowDANNParams(scaling="log_length", lr=3e-3, trade_off=3, domain_lr=10)
    method = ShallowDANN(Task(source.take(kept), source.take(held), target.train.inputs, 2), params)
    method.fit_epoch()
    assert target.test is not None
    assert 100 * (method.predict(target.test.inputs).logits.argmax(1) == target.test.labels).mean() > 72.3
