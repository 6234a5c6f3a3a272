"""1-nearest-neighbour on the source's samples, without adaptation: the baseline of Long et al. 2013."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from transfer_sweep.algorithms.base import DomainRole, Params
from transfer_sweep.algorithms.shallow._base import Matrix, ShallowMethod, nearest_neighbor_logits, unit_rows

if TYPE_CHECKING:
    from torch import nn


class NearestNeighborParams(Params):
    """Hyperparameters of 1-NN."""

    unit_length: bool = Field(
        False, description="scale samples to length one (1-NN by cosine); off in the 1-NN column of Long et al. 2013"
    )


class NearestNeighbor(ShallowMethod):
    """1-NN: a sample gets the class of the nearest source sample, by Euclidean distance."""

    name = "nearest_neighbor"
    source = "Long et al. 2013, Transfer Feature Learning with Joint Distribution Adaptation (ICCV), table 2: NN"
    semi_supervised = True
    params_type = NearestNeighborParams
    params: NearestNeighborParams

    def fit(self) -> dict[str, float]:
        """Nothing is learned: the labelled samples are the model."""
        return {}

    def represent(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """The vectors themselves, scaled to unit length if so chosen."""
        return unit_rows(vectors) if self.params.unit_length else vectors

    def classify(self, features: Matrix) -> Matrix:
        """Minus the distance to each class's nearest labelled sample."""
        vectors, labels = self.labelled()
        return nearest_neighbor_logits(features, self.represent(vectors, "source"), labels, self.task.num_classes)

    @property
    def compares_with_samples(self) -> bool:
        """Always."""
        return True

    def represent_modules(self) -> list[nn.Module]:
        """Unit length, if so chosen."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415 - most uses need no torch

        return [_modules.UnitRows()] if self.params.unit_length else []

    def classify_module(self) -> nn.Module:
        """1-NN among the labelled samples."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415 - most uses need no torch

        vectors, labels = self.labelled()
        return _modules.NearestNeighbor(self.represent(vectors, "source"), labels, self.task.num_classes)
