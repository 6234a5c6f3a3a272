"""Algorithm 1 of Ganin et al. 2016: a network of one hidden layer, trained one sample at a time, and its adversary.

The hidden layer is G_f(x) = sigm(b + Wx), its units are classified by G_y = softmax(c + V G_f), and the logistic domain
regressor G_d = sigm(d + uᵀ G_f) tells source (1) from target (0). One step takes one source and one target sample.
Compiled, and on the entries of CSR matrices: a step costs the sum of two samples' non-zero entries times the hidden
size, 20 µs for bags of words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Array = NDArray[np.floating[Any]]


@dataclass
class Network:
    """The parameters, m inputs, D hidden units, K classes; trained in place, in one floating type.

    Attributes:
        W: (m, D), the transpose of the paper's, so that an input's weights lie together.
        b: (D,).
        V: (K, D).
        c: (K,).
        u: (D,).
        d: (1,).
    """

    W: Array
    b: Array
    V: Array
    c: Array
    u: Array
    d: Array

    @classmethod
    def random(cls, inputs: int, hidden: int, classes: int, rng: np.random.Generator) -> Network:
        """W and V uniform in ±√(6 / (rows + columns)) (Glorot 2010), as in the authors' code; the rest zero."""

        def uniform(rows: int, columns: int) -> Array:
            bound = math.sqrt(6 / (rows + columns))
            return rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)

        zeros = [np.zeros(size, np.float32) for size in (hidden, classes, hidden, 1)]
        return cls(uniform(inputs, hidden), zeros[0], uniform(classes, hidden), *zeros[1:])

    def copy(self) -> Network:
        """The same numbers in other arrays."""
        return Network(*(getattr(self, field.name).copy() for field in fields(self)))

    def hidden(self, inputs: csr_array | Array) -> Array:
        """G_f of inputs (n, m): (n, D)."""
        activations = np.asarray(inputs @ self.W) + self.b
        with np.errstate(over="ignore"):  # exp(large) is infinite, and its sigmoid 0
            return 1 / (1 + np.exp(-activations))

    def logits(self, hidden: Array) -> Array:
        """c + V G_f of hidden units (n, D): (n, K)."""
        return hidden @ self.V.T + self.c


def train_pass(
    network: Network,
    source: csr_array,
    labels: NDArray[np.int64],
    target: csr_array,
    rng: np.random.Generator,
    lr: float,
    game: tuple[float, float] | None = None,
) -> None:
    """One pass over the source in random order, each sample with one drawn uniformly from the target.

    Args:
        network: updated in place.
        source: (n, m).
        labels: (n,) classes.
        target: (n', m).
        rng: draws the order and the target's samples.
        lr: μ, of all that learns.
        game: λ, and the factor on μ for the domain regressor u, d (1 in the paper); None trains without it.
    """
    order = rng.permutation(source.shape[0])
    partners = rng.integers(target.shape[0], size=len(order)) if game is not None else order[:0]
    scalars = (network.W.dtype.type(value) for value in (lr, *(game or (0, 0))))
    _pass(
        *(source.indptr, source.indices, source.data, labels),
        *(target.indptr, target.indices, target.data),
        *(order, partners),
        *(network.W, network.b, network.V, network.c, network.u, network.d),
        *scalars,
    )


_compiled = numba.njit(cache=True, fastmath={"contract", "reassoc"}, error_model="numpy")


@_compiled
def _activate(begin, end, columns, values, W, b, h):  # type: ignore[no-untyped-def]  # numba infers the types
    """h ← sigm(b + Wx) for the sample x whose entries are begin … end − 1."""
    one = W.dtype.type(1)
    h[:] = b
    for q in range(begin, end):
        x, row = values[q], W[columns[q]]
        for k in range(h.shape[0]):
            h[k] += x * row[k]
    for k in range(h.shape[0]):
        h[k] = one / (one + np.exp(-h[k]))


@_compiled
def _descend(begin, end, columns, values, W, b, delta, lr):  # type: ignore[no-untyped-def]
    """W ← W − μ Δ xᵀ, b ← b − μ Δ."""
    for q in range(begin, end):
        x, row = lr * values[q], W[columns[q]]
        for k in range(delta.shape[0]):
            row[k] -= x * delta[k]
    for k in range(delta.shape[0]):
        b[k] -= lr * delta[k]


@_compiled
def _classify(h, label, V, c, error, delta):  # type: ignore[no-untyped-def]
    """error ← softmax(c + V h) − e(label), and delta ← Vᵀ error."""
    largest = -np.inf
    for y in range(c.shape[0]):
        error[y] = c[y]
        for k in range(h.shape[0]):
            error[y] += V[y, k] * h[k]
        largest = max(largest, error[y])
    error[:] = np.exp(error - error.dtype.type(largest))
    error /= error.sum()
    error[label] -= error.dtype.type(1)
    delta[:] = 0
    for y in range(c.shape[0]):
        for k in range(h.shape[0]):
            delta[k] += error[y] * V[y, k]


@_compiled
def _play(h, t_h, u, d, lr, lam, delta, t_delta):  # type: ignore[no-untyped-def]
    """Add to delta, and set t_delta to, λ ∂/∂h (log G_d(x_i) + log(1 − G_d(x_j))); let u and d climb the same."""
    one = u.dtype.type(1)
    on_source, on_target = d[0], d[0]
    for k in range(h.shape[0]):
        on_source += u[k] * h[k]
        on_target += u[k] * t_h[k]
    pull = lam * (one - one / (one + np.exp(-on_source)))
    push = -lam / (one + np.exp(-on_target))
    for k in range(h.shape[0]):
        delta[k] += pull * u[k]
        t_delta[k] = push * u[k]
        u[k] += lr * (pull * h[k] + push * t_h[k])
    d[0] += lr * (pull + push)


@_compiled
def _pass(  # type: ignore[no-untyped-def]
    indptr, columns, values, labels, t_indptr, t_columns, t_values, order, partners, W, b, V, c, u, d, lr, lam, factor
):
    """A pass over the source; all gradients of a step are taken before its updates."""
    one = W.dtype.type(1)
    h, t_h, delta, t_delta, error = np.empty_like(b), np.empty_like(b), np.empty_like(b), np.empty_like(b), c.copy()
    for step in range(order.shape[0]):
        begin, end = indptr[order[step]], indptr[order[step] + 1]
        _activate(begin, end, columns, values, W, b, h)
        _classify(h, labels[order[step]], V, c, error, delta)
        if partners.shape[0] > 0:
            t_begin, t_end = t_indptr[partners[step]], t_indptr[partners[step] + 1]
            _activate(t_begin, t_end, t_columns, t_values, W, b, t_h)
            _play(h, t_h, u, d, lr * factor, lam, delta, t_delta)
            t_delta *= t_h * (one - t_h)
            _descend(t_begin, t_end, t_columns, t_values, W, b, t_delta, lr)
        delta *= h * (one - h)
        _descend(begin, end, columns, values, W, b, delta, lr)
        for y in range(c.shape[0]):
            for k in range(h.shape[0]):
                V[y, k] -= lr * error[y] * h[k]
        c -= lr * error
