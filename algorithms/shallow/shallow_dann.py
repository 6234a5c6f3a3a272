"""DANN with one hidden layer: Algorithm 1 of Ganin et al. 2016."""

from __future__ import annotations

from pydantic import Field

from transfer_sweep.algorithms.shallow.shallow_nn import ShallowNN, ShallowNNParams


class ShallowDANNParams(ShallowNNParams):
    """The paper: λ from nine values between 0.01 and 1; both sides of the game learn at the same rate."""

    trade_off: float = Field(0.1, gt=0, le=1000, description="λ: weight of the domain regressor (authors' code: 0.1)")
    domain_lr: float = Field(
        1.0, gt=0, le=1000, description="× lr for the domain regressor (Ganin 2016: 1); more keeps it up with the game"
    )


class ShallowDANN(ShallowNN):
    """A hidden layer that predicts the classes of the source and hides the domain from a logistic regressor."""

    name = "shallow_dann"
    source = "Ganin et al. 2016, Domain-Adversarial Training of Neural Networks (JMLR 17), Algorithm 1"
    params_type = ShallowDANNParams
    params: ShallowDANNParams

    @property
    def game(self) -> tuple[float, float] | None:
        """λ, and the domain regressor's rate over μ."""
        return self.params.trade_off, self.params.domain_lr
