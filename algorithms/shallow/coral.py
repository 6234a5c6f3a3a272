"""CORAL, correlation alignment: Sun et al. 2016.

Source samples are whitened by their covariance and coloured by the target's, x ↦ x (C_s + λI)^(−½) (C_t + λI)^½;
a classifier is trained on them and applied to the target's samples as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from transfer_sweep.algorithms.base import DomainRole
from transfer_sweep.algorithms.shallow._base import (
    AlignmentMethod,
    AlignmentParams,
    Eigenbasis,
    Matrix,
    scatter_eigenbasis,
)

if TYPE_CHECKING:
    from torch import nn


class CORALParams(AlignmentParams):
    """Hyperparameters of CORAL."""

    classifier: Literal["nn", "svm"] = Field(
        "svm", description="what is trained on the aligned source: a linear SVM as in Sun et al. 2016, or 1-NN"
    )
    regularization: float = Field(
        1.0, ge=1e-6, le=1e6, description="λ added to the covariances' diagonals; 1 in Sun et al. 2016, Algorithm 1"
    )


class CORAL(AlignmentMethod):
    """The source's covariance is made the target's."""

    name = "coral"
    source = "Sun, Feng, Saenko 2016, Return of Frustratingly Easy Domain Adaptation (AAAI), Algorithm 1"
    params_type = CORALParams
    params: CORALParams
    learned: ClassVar[tuple[str, ...]] = (
        *AlignmentMethod.learned,
        "source_variances",
        "source_axes",
        "target_variances",
        "target_axes",
    )
    source_variances: Matrix
    source_axes: Matrix
    target_variances: Matrix
    target_axes: Matrix

    def align(self) -> None:
        """Set the eigenvalues (r,) and eigenvectors (m, r) of both covariances."""
        self.source_variances, self.source_axes = _covariance(self.source_vectors)
        self.target_variances, self.target_axes = _covariance(self.target_vectors)

    def transform(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """Source samples whitened and re-coloured; target samples as they are."""
        if domain == "target":
            return vectors
        ridge = self.params.regularization
        white = _times_power(vectors, self.source_variances, self.source_axes, ridge, -0.5)
        return _times_power(white, self.target_variances, self.target_axes, ridge, 0.5)

    def transform_modules(self) -> list[nn.Module]:
        """None: target samples stay as they are."""
        return []


def _covariance(vectors: Matrix) -> Eigenbasis:
    """Eigenvalues and eigenvectors of the unbiased covariance of vectors (n, m)."""
    values, axes = scatter_eigenbasis(vectors)
    return Eigenbasis(values / max(1, len(vectors) - 1), axes)


def _times_power(vectors: Matrix, variances: Matrix, axes: Matrix, ridge: float, power: float) -> Matrix:
    """X (C + λI)^p for C = V diag(variances) Vᵀ of low rank, without an m×m matrix: outside of V it is λ^p."""
    outside: float = np.power(ridge, power)
    return outside * vectors + ((vectors @ axes) * ((variances + ridge) ** power - outside)) @ axes.T
