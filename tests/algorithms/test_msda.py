"""mSDA: its closed form against the textbook's solve and against real corruption; rotation; the cache of a pair."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

from transfer_sweep.algorithms.representations.msda import MSDAParams, denoiser, msda, span_coordinates
from transfer_sweep.datasets.base import Dataset, Domain, FileCheck, Samples
from transfer_sweep.reports.ledger.records import canonical
from transfer_sweep.sweep.trial import inputs as features


def counts(n: int, m: int = 8, seed: int = 0) -> np.ndarray:
    """Correlated counts, the last feature absent."""
    rng = np.random.default_rng(seed)
    topics = rng.gamma(0.5, size=(n, 3)) @ rng.gamma(0.5, size=(3, m))
    drawn = rng.poisson(topics).astype(np.float32)
    drawn[:, -1] = 0
    return drawn


def textbook(samples: np.ndarray, noise: float, floor: float) -> np.ndarray:
    """W = P (Q + ridge)⁻¹ of Chen et al. 2012, equations 4 to 6, by a general solver: (m, m + 1)."""
    m = samples.shape[1]
    extended = np.hstack([samples, np.ones((len(samples), 1))]).astype(np.float64)
    scatter = extended.T @ extended
    keep = np.append(np.full(m, 1 - noise), 1.0)
    q = scatter * np.outer(keep, keep)
    np.fill_diagonal(q, keep * np.diag(scatter))
    p = scatter[:-1] * keep
    ridge = np.diag(np.append(np.full(m, floor), 0.0))
    return np.linalg.solve((q + ridge).T, p.T).T


@pytest.mark.parametrize("noise", [0.3, 0.5, 0.9])
def test_the_denoiser_is_the_papers_closed_form(noise: float) -> None:
    samples = counts(40)
    weight, bias = denoiser(samples, noise, 1e-3)
    expected = textbook(samples, noise, 1e-3 * float((samples**2).sum() / 8))
    np.testing.assert_allclose(np.column_stack([weight, bias]), expected, atol=1e-9)


def test_the_denoiser_is_what_least_squares_learns_from_very_many_corrupted_copies() -> None:
    samples = counts(40)
    rng = np.random.default_rng(1)
    copies = 20_000
    corrupted = np.tile(samples, (copies, 1)) * (rng.random((copies * 40, 8)) > 0.5)
    floor = 1e-2 * float((samples**2).sum() / 8)
    learned = Ridge(alpha=copies * floor).fit(corrupted, np.tile(samples, (copies, 1)))
    weight, bias = denoiser(samples, 0.5, 1e-2)
    np.testing.assert_allclose(weight, learned.coef_, atol=0.01)
    np.testing.assert_allclose(bias, learned.intercept_, atol=0.01)


def test_inputs_and_layers_stand_side_by_side_each_layer_on_the_one_before() -> None:
    samples, others = counts(40), counts(5, seed=2)
    found = msda(csr_array(samples), [csr_array(others)], MSDAParams(layers=2, ridge=1e-3))
    assert found.dtype == np.float16
    assert found.shape == (45, 24)
    expected = [np.vstack([samples, others]).astype(np.float64)]
    for _ in range(2):
        current = expected[-1]
        mapping = textbook(current[:40], 0.5, 1e-3 * float((current[:40] ** 2).sum() / 8))
        expected.append(np.tanh(current @ mapping[:, :-1].T + mapping[:, -1]))
    np.testing.assert_allclose(found, np.hstack(expected), atol=2e-3, rtol=1e-3)
    np.testing.assert_array_equal(found, msda(samples, [others], MSDAParams(layers=2, ridge=1e-3)))


def test_rotation_keeps_inner_products_with_training_samples_in_fewer_coordinates() -> None:
    every = np.vstack([counts(20, 50), counts(30, 50, seed=2)])
    every[5] = every[3]  # a duplicate adds nothing to the span
    found = span_coordinates(every.astype(np.float16), 20, width=16)
    assert found.shape[1] == np.linalg.matrix_rank(every[:20]) <= 19
    np.testing.assert_allclose(found @ found[:20].T, every @ every[:20].T, atol=1e-2, rtol=1e-3)


class Tiny(Dataset):
    """Two sparse domains of random counts."""

    name = "tiny"
    domains = ("a", "b")
    classes = ("no", "yes")
    raw_backbone = "bow8"
    source = "nothing"
    needs_root = False
    seeds: ClassVar[dict[str, int]] = {"a": 3, "b": 4}

    def load(self, domain: str) -> Domain:
        seed = self.seeds[domain]
        parts = [Samples(csr_array(counts(n, seed=seed + n)), np.arange(n) % 2) for n in (20 + seed, 10 + seed)]
        return Domain(domain, *parts, train_size=15)

    def verify(self) -> list[FileCheck]:
        return []


@pytest.mark.parametrize("rotate", [False, True])
def test_a_pair_shares_one_representation_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rotate: bool
) -> None:
    params = MSDAParams(layers=2, ridge=1e-3, rotate=rotate)
    form = canonical({"msda": params.model_dump(), "pair": ["a", "b"]})
    first = features.load(Tiny(), [("b", form), ("a", form)], tmp_path, lambda *_: None)
    monkeypatch.setattr(features, "msda", lambda *_: pytest.fail("it is cached"))
    again = features.load(Tiny(), [("a", form), ("b", form)], tmp_path, lambda *_: None)
    a, b = (Tiny().load(name) for name in "ab")
    expected = msda(
        np.vstack([csr_array(domain.train.inputs).toarray() for domain in (a, b)]),
        [domain.scored.inputs for domain in (a, b)],
        params,
    ).astype(np.float32)
    rows = {"a": expected[47:60], "b": expected[60:]}  # after 23 + 24 training samples
    for name, domain in (("a", a), ("b", b)):
        found = first[name, form]
        np.testing.assert_array_equal(found.scored.inputs, again[name, form].scored.inputs)
        np.testing.assert_array_equal(found.scored.labels, domain.scored.labels)
        assert found.trained_on == 15
        products = found.scored.inputs.astype(np.float32) @ first["a", form].train.inputs.astype(np.float32).T
        np.testing.assert_allclose(products, rows[name] @ expected[:23].T, atol=2e-2, rtol=2e-3)
    assert len(list((tmp_path / "features").glob("*.npy"))) == 1 + rotate
