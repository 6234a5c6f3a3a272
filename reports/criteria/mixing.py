"""Mixed target samples as probes of a model (MixVal).

A probe λx_i + (1 − λ)x_j, λ > ½, should be classified as x_i is. Pairs of one predicted class probe how dense the
neighbourhoods are, pairs of two classes where the boundary lies (Hu et al. 2023, Mixed Samples as Probes for
Unsupervised Model Selection in Domain Adaptation, NeurIPS, section 3). There, a random pairing gives what it gives of
both kinds, few of one class where there are many classes; here each sample has a partner of each kind.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from transfer_sweep.reports.criteria.accuracy import accuracy
from transfer_sweep.reports.criteria.base import Evidence
from transfer_sweep.reports.criteria.subsample import subsample

SHARE = 0.55
"""λ of the paper."""

_AT_ONCE = 1024  # inputs: all images once more would be too many


def partners(predicted: ArrayLike, seed: int = 0) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each sample another one of the same predicted class, and one of another.

    Args:
        predicted: (n,) class indices.
        seed: of the draw.

    Returns:
        Two (n,) arrays of row numbers; −1 where there is no such sample.
    """
    classes = np.asarray(predicted)
    n, rng = len(classes), np.random.default_rng(seed)
    # A random order, then sorted by class: members of a class are a run of it.
    shuffled = rng.permutation(n)
    order = shuffled[np.argsort(classes[shuffled], kind="stable")]
    _, starts, inverse, sizes = np.unique(classes[order], return_index=True, return_inverse=True, return_counts=True)
    start, size = starts[inverse], sizes[inverse]
    following = start + (np.arange(n) - start + 1) % np.maximum(size, 1)
    within = np.where(size > 1, order[following], -1)
    # A place outside of the run, uniformly: one of the n − size places, those past the run's start moved behind it.
    place = np.floor(rng.random(n) * (n - size)).astype(np.intp)
    place += np.where(place >= start, size, 0)
    across = np.where(size < n, order[np.minimum(place, n - 1)], -1)
    same, other = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    same[order], other[order] = within, across
    return same, other


def mixed(inputs: NDArray[Any], first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[Any]:
    """λ · inputs[first] + (1 − λ) · inputs[second], of the inputs' type (whole numbers are rounded).

    Args:
        inputs: (n, …) vectors or images.
        first, second: (m,) row numbers.
    """
    mix = SHARE * inputs[first].astype(np.float32) + (1 - SHARE) * inputs[second].astype(np.float32)
    return (np.rint(mix) if np.issubdtype(inputs.dtype, np.integer) else mix).astype(inputs.dtype)


def agreement_on_mixtures(evidence: Evidence, second: NDArray[np.intp]) -> float:
    """Percentage of mixed target samples that are classified as their larger part is.

    Args:
        evidence: of the model.
        second: (n,) the smaller part's row for each target sample; −1: it is not mixed.

    Returns:
        Percent, over at most :data:`~.subsample.MOST` samples; NaN without any.
    """
    predicted = evidence.target.classes
    rows = np.intersect1d(subsample(len(predicted)), np.flatnonzero(second >= 0))
    if not len(rows):
        return math.nan
    logits = [
        evidence.predict(mixed(evidence.target_inputs, part, second[part]))
        for part in np.array_split(rows, max(1, math.ceil(len(rows) / _AT_ONCE)))
    ]
    return accuracy(np.concatenate(logits), predicted[rows])
