"""Seeded splits: parts of a domain; and, stratified, source validation, few labelled target samples, folds.

Every function works on label indices, or on their number, alone and returns index arrays into them, so that the same
labels and seed give the same split for every method. Stratification is that of scikit-learn (class shares kept); the
rounding is spelled out here because the smallest classes of the field (7 images in Office-31's dslr) make
``StratifiedShuffleSplit`` refuse or empty a class.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from transfer_sweep.datasets.base import DataError

Indices = NDArray[np.int64]


def subset(n: int, size: int, seed: int, domain: str) -> Indices:
    """Draw a part of a domain's samples, whatever their labels.

    With one seed, the draw of more samples contains that of fewer; those of two domains are independent.

    Args:
        n: samples of the domain.
        size: samples to draw.
        seed: of the draw.
        domain: its name.

    Returns:
        ``size`` sorted indices into 0 … n − 1.

    Raises:
        DataError: there are fewer samples than that.
    """
    if not 0 <= size <= n:
        raise DataError(f"{size} samples of {domain} asked for, which has {n}")
    rng = np.random.default_rng((seed, *domain.encode()))
    return np.sort(rng.permutation(n)[:size])


def holdout(labels: NDArray[np.integer], fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Hold out a stratified share of labelled samples as source validation.

    Classes give their share by largest remainder, so that ``round(fraction * n)`` samples are held out in
    all; a class always keeps one training sample, which makes the held part smaller where classes are tiny.

    Args:
        labels: (n,) class indices.
        fraction: share to hold out, in [0, 1); 0 holds out nothing.
        seed: of the draw.

    Returns:
        ``(train, held)``: sorted, disjoint indices that together are 0 … n − 1.

    Raises:
        DataError: the fraction is outside of [0, 1).
    """
    if not 0 <= fraction < 1:
        raise DataError(f"the fraction held out must lie in [0, 1), not {fraction}")
    rng = np.random.default_rng(seed)
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    share = fraction * counts
    take = np.floor(share).astype(np.int64)
    wanted = round(fraction * len(labels)) - int(take.sum())
    ties = rng.permutation(len(counts))  # equal remainders are served in random order
    order = ties[np.argsort(-(share - take)[ties], kind="stable")]
    take[order[:wanted]] += 1
    return _draw(codes, np.minimum(take, counts - 1), rng)


def few_shot(
    labels: NDArray[np.integer], per_class: int, seed: int, among: NDArray[np.integer] | None = None
) -> tuple[Indices, Indices]:
    """Draw a few labelled samples of each class; only the rest may be scored.

    A class always keeps one sample in the rest, so one of ``per_class`` samples or fewer gives fewer. With
    one seed, the draw of k samples per class contains that of k − 1, and that among some classes is the part of
    theirs of the draw among all.

    Args:
        labels: (n,) class indices.
        per_class: samples to draw of each class, at least 0.
        seed: of the draw.
        among: the classes to draw of; None: all.

    Returns:
        ``(drawn, rest)``: sorted, disjoint indices that together are 0 … n − 1.

    Raises:
        DataError: ``per_class`` is negative.
    """
    if per_class < 0:
        raise DataError(f"the number of labelled samples per class must be at least 0, not {per_class}")
    known, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    take = np.minimum(per_class, counts - 1)
    if among is not None:
        take[~np.isin(known, among)] = 0
    rest, drawn = _draw(codes, take, np.random.default_rng(seed))
    return drawn, rest


def some_samples(among: NDArray[np.integer], n: int, seed: int) -> Indices:
    """Draw n of some indices, whatever their classes; with one seed, the draw of n begins with that of n - 1.

    Args:
        among: (m,) the indices, m at least n.
        n: how many.
        seed: of the draw.

    Returns:
        (n,) indices in the order of drawing.

    Raises:
        DataError: there are fewer than n.
    """
    if n > len(among):
        raise DataError(f"{n} samples are to be drawn, and there are {len(among)}")
    order = np.random.default_rng((seed, len(among))).permutation(len(among))
    return np.asarray(among, dtype=np.int64)[order[:n]]


def some_classes(num_classes: int, n: int, seed: int) -> Indices:
    """Draw n of the classes 0 … K − 1, sorted; with one seed, the draw of n contains that of n − 1."""
    order = np.random.default_rng((seed, num_classes)).permutation(num_classes)
    return np.sort(order[:n]).astype(np.int64)


def folds(labels: NDArray[np.integer], n: int, seed: int) -> list[tuple[Indices, Indices]]:
    """Stratified folds for out-of-fold scoring: every sample is scored exactly once.

    Samples of a class with fewer than n members are spread over some of the folds.

    Args:
        labels: (N,) class indices.
        n: number of folds, from 2 to the size of the largest class.
        seed: of the draw.

    Returns:
        n pairs ``(train, scored)`` of sorted, disjoint indices that together are 0 … N − 1.

    Raises:
        DataError: fewer than 2 folds, or more than the largest class has members.
    """
    largest = int(np.unique(labels, return_counts=True)[1].max(initial=0))
    if not 2 <= n <= largest:
        raise DataError(f"{n} folds asked for; the largest class has {largest} samples, so choose from 2 to {largest}")
    splitter = StratifiedKFold(n_splits=n, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        return [
            (train.astype(np.int64), scored.astype(np.int64))
            for train, scored in splitter.split(np.zeros(len(labels)), labels)
        ]


def _draw(codes: NDArray[np.integer], take: NDArray[np.int64], rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw ``take[k]`` samples of each class k; return what was left and what was drawn, both sorted."""
    drawn = np.zeros(len(codes), dtype=bool)
    for k, size in enumerate(take):
        drawn[rng.permutation(np.flatnonzero(codes == k))[:size]] = True
    return np.flatnonzero(~drawn), np.flatnonzero(drawn)
