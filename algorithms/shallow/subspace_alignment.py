"""Subspace alignment: Fernando et al. 2013.

Each domain is described by its leading principal axes, P_s and P_t (m, d). Source samples go into their subspace and
are aligned by M = P_sᵀP_t (the minimiser of ‖P_s M − P_t‖_F), target samples go into theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from transfer_sweep.algorithms.base import DomainRole
from transfer_sweep.algorithms.shallow._base import AlignmentMethod, AlignmentParams, Matrix, scatter_eigenbasis

if TYPE_CHECKING:
    from torch import nn


class SubspaceAlignmentParams(AlignmentParams):
    """Hyperparameters of subspace alignment."""

    n_components: int = Field(
        80,
        ge=1,
        le=5000,
        description="subspace dimension d, at most the rank of the smaller domain; Fernando et al. 2013 tune it per "
        "pair, 80 is best on SURF on average",
    )


class SubspaceAlignment(AlignmentMethod):
    """Principal axes of the source, aligned with those of the target."""

    name = "subspace_alignment"
    source = "Fernando et al. 2013, Unsupervised Visual Domain Adaptation Using Subspace Alignment (ICCV), Algorithm 1"
    params_type = SubspaceAlignmentParams
    params: SubspaceAlignmentParams
    learned: ClassVar[tuple[str, ...]] = (
        *AlignmentMethod.learned,
        "source_mean",
        "source_map",
        "target_mean",
        "target_map",
    )
    source_mean: Matrix
    source_map: Matrix
    target_mean: Matrix
    target_map: Matrix

    def align(self) -> None:
        """Set the maps P_s P_sᵀ P_t and P_t (m, d), and the domains' means."""
        source = scatter_eigenbasis(self.source_vectors).vectors
        target = scatter_eigenbasis(self.target_vectors).vectors
        dimension = min(self.params.n_components, source.shape[1], target.shape[1])
        source, target = source[:, :dimension], target[:, :dimension]
        self.source_mean, self.source_map = self.source_vectors.mean(0), source @ (source.T @ target)
        self.target_mean, self.target_map = self.target_vectors.mean(0), target

    def transform(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """Coordinates in the target's subspace, after alignment for source samples."""
        if domain == "source":
            return (vectors - self.source_mean) @ self.source_map
        return (vectors - self.target_mean) @ self.target_map

    def transform_modules(self) -> list[nn.Module]:
        """The linear map into the target's subspace."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415 - most uses need no torch

        return [_modules.Affine(self.target_map, -self.target_mean @ self.target_map)]
