"""Transfer component analysis: Pan et al. 2011, in the form of Long et al. 2013, and its eigenproblem.

With the samples of both domains as the rows of φ (their vectors, or their kernel values), H the centring matrix and
M the MMD matrix, the components A (p, k) are the k eigenvectors of smallest eigenvalue of

    (φᵀMφ + μI) A = φᵀHφ A Θ,

scaled to unit length. M = EEᵀ, where E has one column per pair of means that is to be brought together, so that
neither M nor H (both n×n) is ever formed: see :class:`TransferComponents`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from scipy.spatial.distance import squareform

from transfer_sweep.algorithms.base import DomainRole, Params, Part, StateDict, Task, TrainingError
from transfer_sweep.algorithms.shallow._base import (
    Matrix,
    ShallowMethod,
    nearest_neighbor_logits,
    scatter_eigenbasis,
    unit_rows,
)

if TYPE_CHECKING:
    from torch import nn

# Kernel values of all pairs of samples are held in memory, in float64: 3.2 GB at this many samples.
_LARGEST_KERNEL = 20_000
# Lanczos beats a dense eigensolver where it is asked for less than this part of the eigenvectors (measured on SURF).
_LANCZOS_SHARE = 1 / 7


class TCAParams(Params):
    """Hyperparameters of TCA and JDA."""

    n_components: int = Field(
        100, ge=1, le=5000, description="components k kept, at most the rank of the data; 100 in Long et al. 2013"
    )
    mu: float = Field(
        1.0,
        ge=1e-6,
        le=1e6,
        description="weight of the regulariser against the MMD matrix of Frobenius norm one (μ of Pan et al. 2011, "
        "λ of Long et al. 2013, who take 1.0 for objects, 0.1 for digits and faces)",
    )
    kernel: Literal["primal", "linear", "rbf"] = Field(
        "primal", description="primal: a linear map of the vectors; Long et al. 2013 choose among the three"
    )
    bandwidth: Literal["median", "mean"] = Field(
        "median",
        description="rbf kernel exp(−d²/2σ²): which of all pairwise distances σ is (Gretton et al. 2012: the median)",
    )


class Kernel:
    """What turns unit-length samples into the rows of φ: themselves (primal), or kernel values with all of X.

    The linear kernel's values are XXᵀ = (XV)Σ·Pᵀ with X = PΣVᵀ; as P is orthonormal, eigenproblem and projections are
    those of the rows XVΣ, of which there are only as many columns as X has rank.

    Args:
        name: ``primal``, ``linear`` or ``rbf``.
        bandwidth: of the rbf kernel: ``median`` or ``mean`` of all pairwise distances.
        samples: X (n, m), unit length.

    Raises:
        TrainingError: the rbf kernel of so many samples does not fit into memory.
    """

    def __init__(self, name: Literal["primal", "linear", "rbf"], bandwidth: Literal["median", "mean"], samples: Matrix):
        self.name = name
        self.samples: Matrix = np.asarray(samples, dtype=np.float64)
        self.sigma = 1.0
        if name == "linear":
            self.map = _right_singular(self.samples)
        elif name == "rbf":
            if len(samples) > _LARGEST_KERNEL:
                raise TrainingError(
                    f"the rbf kernel of {len(samples)} samples does not fit into memory (at most {_LARGEST_KERNEL}): "
                    "choose kernel: primal or linear"
                )
            distances = np.sqrt(squareform(self._squared_distances(self.samples), checks=False))
            self.sigma = float(np.median(distances) if bandwidth == "median" else distances.mean()) or 1.0

    def restore(self, samples: Matrix, linear_map: Matrix | None, sigma: float) -> None:
        """Give the values of another kernel of this name.

        Args:
            samples: its X.
            linear_map: VΣ of its X, of the linear kernel.
            sigma: of the rbf kernel.
        """
        self.samples, self.sigma = samples, sigma
        if linear_map is not None:
            self.map = linear_map

    def _squared_distances(self, vectors: Matrix) -> Matrix:
        # Unit length is not assumed: a zero vector stays zero.
        distances = vectors @ (-2 * self.samples.T)
        distances += (self.samples**2).sum(1)
        distances += (vectors**2).sum(1)[:, None]
        return np.maximum(distances, 0, out=distances)

    def __call__(self, vectors: Matrix) -> Matrix:
        """The rows of φ (n', p) for vectors (n', m)."""
        vectors = np.asarray(vectors, dtype=np.float64)
        if self.name == "primal":
            return vectors
        if self.name == "linear":
            return vectors @ self.map
        values = self._squared_distances(vectors)
        values *= -1 / (2 * self.sigma**2)
        return np.exp(values, out=values)


def _right_singular(samples: Matrix) -> Matrix:
    """VΣ (m, r) of the thin singular value decomposition of X (n, m), from the smaller of XᵀX and XXᵀ."""
    rows, columns = samples.shape
    values: Matrix
    basis: Matrix
    values, basis = scipy.linalg.eigh(samples.T @ samples if columns <= rows else samples @ samples.T, driver="evd")
    kept = values > values[-1] * max(rows, columns) * np.finfo(np.float64).eps
    return basis[:, kept] * np.sqrt(values[kept]) if columns <= rows else samples.T @ basis[:, kept]


class TransferComponents:
    """The eigenproblem of TCA and JDA for fixed samples and any low-rank MMD matrix.

    The scatter φᵀHφ = U D Uᵀ is decomposed once. With G = Uᵀφᵀ E and v = D^½Uᵀa the generalised problem becomes the
    ordinary symmetric one of the r×r matrix D^½(μI + GGᵀ)⁻¹D^½, which is (Woodbury) a diagonal minus a matrix of the
    rank of E: its leading eigenvectors are those wanted.

    Args:
        rows: φ (n, p), float64.
    """

    def __init__(self, rows: Matrix) -> None:
        self.rows = rows
        self.values, self.basis = scatter_eigenbasis(rows)
        self._roots = np.sqrt(self.values)

    def solve(self, contrasts: Matrix, mu: float, n_components: int) -> Matrix:
        """The components for M = EEᵀ, scaled to Frobenius norm one.

        Args:
            contrasts: E (n, q).
            mu: weight of the regulariser.
            n_components: k.

        Returns:
            A (p, min(k, r)), columns of unit length, the smallest eigenvalue first.
        """
        scaled = contrasts / np.sqrt(np.linalg.norm(contrasts.T @ contrasts))
        axes, lengths, _ = np.linalg.svd(self.basis.T @ (self.rows.T @ scaled), full_matrices=False)  # of G
        # μ(μI + GGᵀ)⁻¹ = I − SSᵀ
        shrunk = axes * (lengths / np.sqrt(mu + lengths**2))
        leading = _leading_eigenvectors(self.values, self._roots[:, None] * shrunk, n_components)
        components = self._roots[:, None] * leading
        components -= shrunk @ (shrunk.T @ components)
        components /= np.linalg.norm(components, axis=0)
        return self.basis @ components


def _leading_eigenvectors(diagonal: Matrix, low_rank: Matrix, count: int) -> Matrix:
    """Eigenvectors (r, k), of largest eigenvalue first, of diag(d) − WWᵀ, positive semidefinite; W is (r, q)."""
    size = len(diagonal)
    count = min(count, size)
    if count < size * _LANCZOS_SHARE:

        def product(vector: Matrix) -> Matrix:
            return diagonal * vector - low_rank @ (low_rank.T @ vector)

        operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
        try:
            # A fixed start makes the result a function of the data alone.
            values, vectors = eigsh(operator, k=count, which="LA", v0=np.ones(size))
        except ArpackNoConvergence:
            pass
        else:
            leading: Matrix = vectors[:, np.argsort(-values)]
            return leading
    dense = -low_rank @ low_rank.T
    dense[np.diag_indices(size)] += diagonal
    vectors = scipy.linalg.eigh(dense, subset_by_index=[size - count, size - 1], overwrite_a=True)[1]
    return np.flip(vectors, axis=1)


def mean_contrast(source_size: int, target_size: int) -> Matrix:
    """The column of E (n, 1) that brings the domains' means together: 1/n_s for the source, −1/n_t for the target.

    Source: EEᵀ is the matrix L of Pan et al. 2011 and M₀ of Long et al. 2013.
    """
    return np.concatenate([np.full(source_size, 1 / source_size), np.full(target_size, -1 / target_size)])[:, None]


class TCA(ShallowMethod):
    """TCA: components that keep the variance and bring the domains' means together; 1-NN in them."""

    name = "tca"
    source = "Pan et al. 2011, Domain Adaptation via Transfer Component Analysis (IEEE TNN 22(2)), unsupervised TCA"
    params_type = TCAParams
    params: TCAParams
    learned: ClassVar[tuple[str, ...]] = ("components",)
    components: Matrix

    def __init__(self, task: Task, params: TCAParams, device: str = "cpu", seed: int = 0) -> None:
        super().__init__(task, params, device, seed)
        samples = unit_rows(np.vstack([self.source_vectors, self.target_vectors]).astype(np.float64))
        self._kernel = Kernel(params.kernel, params.bandwidth, samples)
        self._embedded: Matrix | None = None
        self._references: tuple[Matrix, NDArray[np.int64]] | None = None

    @cached_property
    def rows(self) -> Matrix:
        """φ (n, p) of all samples, source before target."""
        return self._kernel(self._kernel.samples)

    @cached_property
    def problem(self) -> TransferComponents:
        """The eigenproblem of all samples."""
        return TransferComponents(self.rows)

    def contrasts(self) -> Matrix:
        """E (n, q): the pairs of means to bring together, source samples before target samples."""
        return mean_contrast(len(self.source_vectors), len(self.target_vectors))

    def fit(self) -> dict[str, float]:
        """Solve for the components; returns the squared distances of the means that remain, summed (``mmd``)."""
        contrasts = self.contrasts()
        self.components = self.problem.solve(contrasts, self.params.mu, self.params.n_components)
        self._embedded = None
        return {"mmd": float(((contrasts.T @ self.embedded()) ** 2).sum())}

    def embedded(self) -> Matrix:
        """Projections (n, k) of all samples, source before target."""
        if self._embedded is None:
            self._embedded = unit_rows(self.rows @ self.components)
        return self._embedded

    def represent(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """Projections on the components, of unit length."""
        return unit_rows(self._kernel(unit_rows(vectors.astype(np.float64))) @ self.components)

    def represent_part(self, part: Part) -> Matrix:
        """Projections of the samples; those of the training samples are there already."""
        if part == "source":
            return self.embedded()[: len(self.source_vectors)]
        if part == "target":
            return self.embedded()[-len(self.target_vectors) :]
        return super().represent_part(part)

    def classify(self, features: Matrix) -> Matrix:
        """Minus the distance to each class's nearest projected source sample."""
        return nearest_neighbor_logits(features, *self.references(), self.task.num_classes)

    def references(self) -> tuple[Matrix, NDArray[np.int64]]:
        """The projected source samples (n, k) and their labels (n,)."""
        if self._references is not None:
            return self._references
        return self.represent_part("source"), self.task.source.labels

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from what :meth:`state_dict` returned."""
        super().load_state_dict(state)
        self._embedded = self._references = None

    def model_state(self) -> StateDict:
        """The components, the projected source samples, and what the kernel's values are with."""
        import torch  # noqa: PLC0415 - training needs no torch

        references, labels = self.references()
        arrays: dict[str, Matrix | NDArray[np.int64]] = {
            "components": self.components,
            "references": references,
            "labels": labels,
        }
        if self.params.kernel == "linear":
            arrays["map"] = self._kernel.map
        if self.params.kernel == "rbf":
            # Before they are scaled to unit length, in float64: half the size.
            arrays["samples"] = np.vstack([self.source_vectors, self.target_vectors])
        state: StateDict = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        return {**state, "sigma": self._kernel.sigma}

    def load_model_state(self, state: StateDict) -> None:
        """Predict as the model did whose :meth:`model_state` this is.

        A state that is all of the model's (as they were saved before) needs the task's samples.
        """
        if "references" not in state:
            self.load_state_dict(state)
            return
        arrays = {name: value.numpy() for name, value in state.items() if name != "sigma"}
        self.components, self._embedded = arrays["components"], None
        self._references = (arrays["references"], arrays["labels"])
        samples = unit_rows(arrays["samples"].astype(np.float64)) if "samples" in arrays else self._kernel.samples
        self._kernel.restore(samples, arrays.get("map"), state["sigma"])

    @property
    def compares_with_samples(self) -> bool:
        """Always."""
        return True

    def represent_modules(self) -> list[nn.Module]:
        """Unit length, the kernel, the components, unit length."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415 - most uses need no torch

        if self.params.kernel == "rbf":
            kernel: list[nn.Module] = [_modules.Gaussian(self._kernel.samples, self._kernel.sigma)]
        else:
            kernel = [_modules.Affine(self._kernel.map)] if self.params.kernel == "linear" else []
        return [_modules.UnitRows(), *kernel, _modules.Affine(self.components), _modules.UnitRows()]

    def classify_module(self) -> nn.Module:
        """1-NN among the projected source samples."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415 - most uses need no torch

        return _modules.NearestNeighbor(*self.references(), self.task.num_classes)
