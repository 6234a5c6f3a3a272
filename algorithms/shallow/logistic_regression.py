"""Logistic regression on the source's features, without adaptation: the row that every adaptation has to beat."""

from __future__ import annotations

from pydantic import Field

from algorithms.base import Params
from algorithms.shallow.base import LinearMethod, Matrix, fit_linear_classifier, unit_rows


class LogisticRegressionParams(Params):
    """Hyperparameters of logistic regression."""

    C: float = Field(
        1.0,
        ge=1e-6,
        le=1e6,
        description="weight of the losses against the squared weights; LIBLINEAR's default, Fan 2008",
    )
    unit_length: bool = Field(True, description="scale samples to length one, as Razavian et al. 2014, section 2")


class LogisticRegression(LinearMethod):
    """Multinomial logistic regression with an L2 penalty. Logits are its log-odds."""

    name = "logistic_regression"
    source = "Cox 1958, The Regression Analysis of Binary Sequences (JRSS B); solver: L-BFGS of scikit-learn"
    params_type = LogisticRegressionParams
    params: LogisticRegressionParams

    def fit(self) -> dict[str, float]:
        """Fit the classifier on the source."""
        self.weight, self.bias = fit_linear_classifier(
            "logistic_regression",
            self.represent(self.source_vectors, True),
            self.task.source.labels,
            self.task.num_classes,
            self.params.C,
        )
        return {}

    def represent(self, vectors: Matrix, from_source: bool) -> Matrix:
        """The vectors themselves, scaled to unit length if so chosen."""
        return unit_rows(vectors) if self.params.unit_length else vectors
