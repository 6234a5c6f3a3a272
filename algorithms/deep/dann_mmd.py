"""DaNN: a domain adaptive neural network, one hidden layer with MMD before its nonlinearity."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.losses.mmd import mmd
from transfer_sweep.algorithms.schedules import LambdaSchedule


class DaNNParams(AdaptationParams):
    """The paper's network is plain: no batch norm; its MMD weighs 10³ from the first step."""

    trade_off: float = Field(10.0, ge=0, le=10_000, description="λ: weight of the MMD (Ghifary 2014: 1000)")
    batch_norm: bool = Field(False, description="in the bottleneck (Ghifary 2014: none)")
    lambda_schedule: LambdaSchedule = Field("constant", description="of λ (Ghifary 2014: constant)")


class DaNN(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ MMD²(W x_s + b, W x_t + b), with one Gaussian kernel."""

    name = "dann_mmd"
    source = "Ghifary et al. 2014, Domain Adaptive Neural Networks for Object Recognition (PRICAI)"
    params_type = DaNNParams
    params: DaNNParams

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        return {
            "classification": cross_entropy(on_source.logits, source.labels),
            "mmd": self.weight(progress) * mmd(on_source.hidden, on_target.hidden, kernels=1),
        }
