"""Logistic regression on the source's features, without adaptation: the row that every adaptation has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from transfer_sweep.algorithms.base import DomainRole, Params
from transfer_sweep.algorithms.shallow._base import LinearMethod, Matrix, fit_linear_classifier, unit_rows

if TYPE_CHECKING:
    from torch import nn


class LogisticRegressionParams(Params):
    """Hyperparameters of logistic regression."""

    C: float = Field(
        10.0,
        ge=1e-6,
        le=1e6,
        description="weight of the losses against the squared weights; Kornblith et al. 2019 tune it; "
        "10 is where SURF and its samples of length one level off",
    )
    unit_length: bool = Field(True, description="scale samples to length one, as Razavian et al. 2014 do")


class LogisticRegression(LinearMethod):
    """Multinomial logistic regression with an L2 penalty. Logits are its log-odds."""

    name = "logistic_regression"
    source = "Kornblith, Shlens, Le 2019, Do Better ImageNet Models Transfer Better? (CVPR): fixed features"
    semi_supervised = True
    params_type = LogisticRegressionParams
    params: LogisticRegressionParams

    def fit(self) -> dict[str, float]:
        """Fit the classifier on the labelled samples."""
        vectors, labels = self.labelled()
        self.weight, self.bias = fit_linear_classifier(
            "logistic_regression", self.represent(vectors, "source"), labels, self.task.num_classes, self.params.C
        )
        return {}

    def represent(self, vectors: Matrix, domain: DomainRole) -> Matrix:
        """The vectors themselves, scaled to unit length if so chosen."""
        return unit_rows(vectors) if self.params.unit_length else vectors

    def represent_modules(self) -> list[nn.Module]:
        """Unit length, if so chosen."""
        from transfer_sweep.algorithms.shallow import _modules  # noqa: PLC0415 - most uses need no torch

        return [_modules.UnitRows()] if self.params.unit_length else []
