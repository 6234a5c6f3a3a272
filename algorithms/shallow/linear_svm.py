"""A linear SVM on the source's features, without adaptation: Razavian et al. 2014."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from transfer_sweep.algorithms.base import DomainRole, Params
from transfer_sweep.algorithms.shallow._base import LinearMethod, Matrix, fit_linear_classifier, unit_rows

if TYPE_CHECKING:
    from torch import nn


class LinearSVMParams(Params):
    """Hyperparameters of the linear SVM."""

    C: float = Field(
        1.0, ge=1e-6, le=1e6, description="weight of the hinge losses against the margin; LIBLINEAR's default, Fan 2008"
    )
    unit_length: bool = Field(True, description="scale samples to length one, as Razavian et al. 2014 do")


class LinearSVM(LinearMethod):
    """Off-the-shelf features and a linear SVM, one class against the rest. Logits are its decision values."""

    name = "linear_svm"
    source = "Razavian et al. 2014, CNN Features off-the-shelf: an Astounding Baseline for Recognition (CVPR workshops)"
    semi_supervised = True
    params_type = LinearSVMParams
    params: LinearSVMParams

    def fit(self) -> dict[str, float]:
        """Fit the SVM on the labelled samples."""
        vectors, labels = self.labelled()
        self.weight, self.bias = fit_linear_classifier(
            "svm", self.represent(vectors, "source"), labels, self.task.num_classes, self.params.C
        )
        return {}

    def represent(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """The vectors themselves, scaled to unit length if so chosen."""
        return unit_rows(vectors) if self.params.unit_length else vectors

    def represent_modules(self) -> list[nn.Module]:
        """Unit length, if so chosen."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415 - most uses need no torch

        return [_modules.UnitRows()] if self.params.unit_length else []
