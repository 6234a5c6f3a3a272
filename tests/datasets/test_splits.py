"""Splits: disjoint, complete, stratified, seeded, and gentle to classes of one sample."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer_sweep.datasets.base import DataError, Samples
from transfer_sweep.datasets.splits import Indices, few_shot, folds, holdout, some_classes, some_samples, subset

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=120).map(lambda values: np.array(values, dtype=np.int64))
# Class sizes as in Office-31's dslr: 7 to 31 images.
SMALL = np.repeat(np.arange(5), [7, 9, 12, 31, 18])


def assert_partition(first: Indices, second: Indices, n: int) -> None:
    assert np.array_equal(first, np.sort(first))
    assert np.array_equal(second, np.sort(second))
    assert np.array_equal(np.sort(np.concatenate([first, second])), np.arange(n))


@settings(deadline=None)
@given(LABELS, st.floats(0, 0.99), st.integers(0, 3))
def test_holdout_partitions_and_leaves_every_class_something_to_train_on(
    labels: Indices, fraction: float, seed: int
) -> None:
    train, held = holdout(labels, fraction, seed)
    assert_partition(train, held, len(labels))
    assert set(labels[train]) == set(labels)
    assert len(held) <= round(fraction * len(labels))


def test_holdout_keeps_class_shares() -> None:
    labels = np.repeat(np.arange(10), 100)
    _, held = holdout(labels, 0.1, seed=0)
    assert np.array_equal(np.bincount(labels[held]), np.full(10, 10))


def test_holdout_of_classes_that_do_not_divide_still_holds_a_tenth() -> None:
    train, held = holdout(SMALL, 0.1, seed=0)
    assert len(held) == 8  # a tenth of 77
    assert set(np.bincount(SMALL[held], minlength=5) - np.floor(0.1 * np.bincount(SMALL)).astype(int)) <= {0, 1}
    assert len(train) == 69


def test_holdout_of_nothing() -> None:
    train, held = holdout(SMALL, 0.0, seed=3)
    assert len(held) == 0
    assert np.issubdtype(held.dtype, np.integer)  # an index array even when empty
    assert np.array_equal(train, np.arange(len(SMALL)))


def test_a_part_of_a_domain_has_its_size_and_every_sample_an_equal_chance() -> None:
    draws = [subset(20, 5, seed, "mnist") for seed in range(2000)]
    assert {len(np.unique(rows)) for rows in draws} == {5}
    assert all(np.array_equal(rows, np.sort(rows)) for rows in draws)
    counts = np.bincount(np.concatenate(draws), minlength=20)
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    with pytest.raises(DataError, match="21 samples of mnist asked for, which has 20"):
        subset(20, 21, 0, "mnist")


def test_parts_of_two_domains_overlap_as_much_as_chance_has_it() -> None:
    # Of 20 samples, 10 each: 5 in common on average; the variance is that of a hypergeometric distribution.
    pairs = [(subset(20, 10, seed, "mnist"), subset(20, 10, seed, "usps")) for seed in range(500)]
    common = [len(np.intersect1d(mnist, usps)) for mnist, usps in pairs]
    expected = scipy.stats.hypergeom(20, 10, 10)
    assert abs(np.mean(common) - expected.mean()) < 4 * expected.std() / np.sqrt(len(common))


def test_the_seed_decides() -> None:
    assert np.array_equal(holdout(SMALL, 0.2, 1)[1], holdout(SMALL, 0.2, 1)[1])
    assert not np.array_equal(holdout(SMALL, 0.2, 1)[1], holdout(SMALL, 0.2, 2)[1])
    assert not np.array_equal(few_shot(SMALL, 3, 1)[0], few_shot(SMALL, 3, 2)[0])
    assert not np.array_equal(folds(SMALL, 3, 1)[0][1], folds(SMALL, 3, 2)[0][1])


@settings(deadline=None)
@given(LABELS, st.integers(0, 10), st.integers(0, 3))
def test_few_shot_draws_per_class_and_leaves_one_to_score(labels: Indices, per_class: int, seed: int) -> None:
    drawn, rest = few_shot(labels, per_class, seed)
    assert_partition(drawn, rest, len(labels))
    counts = np.bincount(labels)
    assert np.array_equal(
        np.bincount(labels[drawn], minlength=len(counts)), np.clip(per_class, 0, np.maximum(counts - 1, 0))
    )


def test_more_shots_contain_fewer() -> None:
    assert set(few_shot(SMALL, 2, seed=5)[0]) < set(few_shot(SMALL, 3, seed=5)[0])


def test_shots_of_some_classes_are_the_same_samples_as_of_all() -> None:
    among = some_classes(5, 3, seed=1)
    of_all, of_some = few_shot(SMALL, 3, seed=5)[0], few_shot(SMALL, 3, 5, among)[0]
    assert np.array_equal(of_some, of_all[np.isin(SMALL[of_all], among)])
    assert np.array_equal(np.bincount(SMALL[of_some], minlength=5), 3 * np.isin(np.arange(5), among))


def test_drawn_classes_are_sorted_seeded_and_nested() -> None:
    draws = [some_classes(31, n, seed=2) for n in range(32)]
    assert all(np.array_equal(draw, np.unique(draw)) and len(draw) == n for n, draw in enumerate(draws))
    assert all(set(fewer) < set(more) for fewer, more in itertools.pairwise(draws))
    assert np.array_equal(draws[31], np.arange(31))
    assert not np.array_equal(some_classes(31, 15, 2), some_classes(31, 15, 3))


@settings(deadline=None)
@given(LABELS.map(lambda labels: np.append(labels, [0] * 5)), st.integers(0, 3))
def test_every_sample_is_scored_in_exactly_one_fold(labels: Indices, seed: int) -> None:
    parts = folds(labels, 5, seed)
    assert len(parts) == 5
    for train, scored in parts:
        assert_partition(train, scored, len(labels))
    assert np.array_equal(np.sort(np.concatenate([scored for _, scored in parts])), np.arange(len(labels)))


def test_folds_keep_class_shares() -> None:
    for _, scored in folds(SMALL, 5, seed=0):
        assert np.abs(np.bincount(SMALL[scored], minlength=5) - np.bincount(SMALL) / 5).max() < 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: holdout(SMALL, 1.0, 0),
        lambda: holdout(SMALL, -0.1, 0),
        lambda: few_shot(SMALL, -1, 0),
        lambda: folds(SMALL, 1, 0),
        lambda: folds(SMALL, 32, 0),
    ],
)
def test_impossible_splits_are_refused_in_one_line(call: Callable[[], object]) -> None:
    with pytest.raises(DataError) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_taking_samples_copies_no_inputs_until_they_are_looked_at() -> None:
    whole = Samples(np.arange(40, dtype=np.float32).reshape(10, 4), np.arange(10))
    once = whole.take(np.array([8, 2, 5, 7]))
    twice = once.take(np.array([3, 0]))
    array, rows = twice.rows()
    assert array is whole.inputs
    np.testing.assert_array_equal(rows, [7, 8])
    assert len(twice) == 2
    np.testing.assert_array_equal(twice.inputs, whole.inputs[[7, 8]])
    np.testing.assert_array_equal(twice.labels, [7, 8])
    assert whole.rows() == (whole.inputs, None)


@settings(deadline=None)
@given(st.sets(st.integers(0, 500), min_size=1, max_size=60), st.integers(0, 3))
def test_samples_are_drawn_without_repetition_and_more_of_them_begin_with_fewer(among: set[int], seed: int) -> None:
    indices = np.array(sorted(among))
    whole = some_samples(indices, len(indices), seed)
    assert np.array_equal(np.sort(whole), indices)
    for n in range(len(indices)):
        assert np.array_equal(some_samples(indices, n, seed), whole[:n])
    with pytest.raises(DataError, match="samples are to be drawn"):
        some_samples(indices, len(indices) + 1, seed)


def test_samples_are_drawn_at_random() -> None:
    often = np.bincount(np.concatenate([some_samples(np.arange(10), 2, seed) for seed in range(1000)]))
    assert abs(often - 200).max() < 60  # five standard deviations of a binomial count of 1000 draws at 1/5
