"""mSDA: marginalised stacked denoising autoencoders, a representation of both domains learned without labels.

A layer is the linear map that best restores inputs from corrupted ones, each entry of which is zero with probability p,
in expectation over all corruptions: a closed form. Its outputs, through tanh, are the inputs of the next. What comes
out are the inputs and the outputs of all layers, side by side (Chen, Xu, Weinberger, Sha 2012, Marginalized Denoising
Autoencoders for Domain Adaptation, ICML, equations 4 to 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import csr_array

from transfer_sweep.datasets.base import Recorded

Matrix = NDArray[np.floating[Any]]
_SPAN_TOLERANCE = 1e-5  # of the longest sample's squared length: what is left of a sample outside of the others' span


class MSDAParams(Recorded):
    """What decides the representation."""

    layers: int = Field(5, ge=1, le=20, description="stacked autoencoders (Ganin 2016: 5)")
    noise: float = Field(0.5, gt=0, lt=1, description="p: probability that an entry is dropped (Ganin 2016: 0.5)")
    ridge: float = Field(1e-5, gt=0, le=1, description="added to the squared lengths of features, × their mean")
    rotate: bool = Field(
        False,
        description="hand over coordinates in an orthonormal basis of what the training samples span, as many as "
        "samples at most, instead of the features: all inner products with training samples are the same, and with "
        "them every method that is linear in its inputs, at a tenth of the cost; the lengths of other samples, and "
        "what is scaled by them, are those of their projections",
    )


class Advance(Protocol):
    """Called as work goes on."""

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` steps are there."""


def denoiser(inputs: Matrix, noise: float, ridge: float) -> tuple[Matrix, Matrix]:
    """The linear denoiser of a layer, in float64.

    With X̄ the inputs and a constant 1 that is never dropped, S = X̄ᵀX̄, q_i = 1 − p (1 for the constant), Q_ij =
    S_ij q_i q_j off the diagonal and S_ii q_i on it, P_ij = S_ij q_j: W = P (Q + ridge)⁻¹. As P is Q itself but for
    the diagonal and a factor, W = (I − Δ (Q + ridge)⁻¹) / (1 − p) with Δ = diag(p (1 − p) S_ii + ridge), so that one
    symmetric inverse is all there is to compute.

    Args:
        inputs: (n, m).
        noise: p.
        ridge: added to Q's diagonal but for the constant's, × the mean of S_ii.

    Returns:
        weight (m, m), applied as ``inputs @ weight.T``, and bias (m,).
    """
    samples = np.asarray(inputs, dtype=np.float64)
    n, m = samples.shape
    keep, features = 1 - noise, np.arange(m)
    sums = samples.sum(axis=0)
    matrix = np.empty((m + 1, m + 1), order="F")
    scatter = matrix[:m, :m]
    scatter[:] = scipy.linalg.blas.dsyrk(1.0, samples.T, trans=0, lower=1)  # samples.T is in the order it wants
    squares = scatter.diagonal().copy()
    floor = ridge * (float(squares.mean()) or 1.0)
    scatter *= keep**2
    scatter[features, features] = keep * squares + floor
    matrix[m, :m] = keep * sums
    matrix[m, m] = n
    factor, failed = scipy.linalg.lapack.dpotrf(matrix, lower=1, overwrite_a=1)
    if failed:
        raise ArithmeticError(f"the denoiser's matrix is singular with ridge {ridge:g}")
    inverse = scipy.linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
    lower = np.tril(inverse)
    inverse = lower + np.tril(lower, -1).T
    inverse[:m] *= -(noise * keep * squares + floor)[:, None]
    inverse[features, features] += 1
    inverse[:m] /= keep
    return inverse[:m, :m], inverse[:m, m]


def msda(
    training: csr_array | Matrix,
    others: Sequence[csr_array | Matrix],
    params: MSDAParams,
    advance: Advance = lambda done, total: None,
) -> NDArray[np.float16]:
    """The representation of samples.

    Args:
        training: (n, m) inputs of both domains, that the layers are learned from.
        others: inputs to be represented too, (n', m) each.
        params: see there; ``rotate`` is not done here.
        advance: told of layers.

    Returns:
        (n + Σ n', (1 + layers) m): the rows of ``training``, then of the others in order. Rounded to float16; layers
        are computed in float32, from maps solved for in float64.
    """
    dense = [part.toarray() if isinstance(part, csr_array) else np.asarray(part) for part in (training, *others)]
    current = np.vstack(dense).astype(np.float32)
    n, m = dense[0].shape
    stacked = np.empty((len(current), (1 + params.layers) * m), dtype=np.float16)
    stacked[:, :m] = current
    for layer in range(1, params.layers + 1):
        weight, bias = denoiser(current[:n], params.noise, params.ridge)
        current = current @ weight.astype(np.float32).T
        current += bias.astype(np.float32)
        np.tanh(current, out=current)
        stacked[:, layer * m : (layer + 1) * m] = current
        advance(layer, params.layers)
    return stacked


def span_coordinates(features: NDArray[np.floating[Any]], training: int, width: int = 4096) -> NDArray[np.float32]:
    """Coordinates of samples in an orthonormal basis of the span of the first ``training`` of them.

    By a pivoted Cholesky decomposition of the Gram matrix: with P a largest set of independent training samples and
    X_P X_Pᵀ = L Lᵀ, a sample x has the coordinates L⁻¹ X_P x. Inner products with training samples stay what they are.

    Args:
        features: (n, m), any floating type; read in blocks of columns.
        training: number of rows that span the space.
        width: columns of a block.

    Returns:
        (n, r) with r ≤ ``training``, the rank.
    """
    products = np.zeros((len(features), training), dtype=np.float32)
    for start in range(0, features.shape[1], width):
        block = features[:, start : start + width].astype(np.float32)
        products += block @ block[:training].T
    gram = products[:training].astype(np.float64)
    tolerance = _SPAN_TOLERANCE * float(gram.diagonal().max())
    factor, pivots, rank, _ = scipy.linalg.lapack.dpstrf(gram, tol=tolerance, lower=1)
    basis = np.tril(factor[:rank, :rank]).astype(np.float32)
    chosen = pivots[:rank] - 1
    return np.ascontiguousarray(scipy.linalg.solve_triangular(basis, products[:, chosen].T, lower=True).T)
