"""DDC: deep domain confusion, an adaptation layer and MMD with one kernel."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.losses.mmd import mmd


class DDCParams(AdaptationParams):
    """The paper's λ is 0.25, from the first step, with the linear kernel on 256 units without batch norm."""

    trade_off: float = Field(
        10.0, ge=0, le=1000, description="λ: weight of the MMD (Tzeng 2014: 0.25, of the linear kernel)"
    )
    kernel: Literal["gaussian", "linear"] = Field(
        "gaussian",
        description="linear: distance of the mean features (Tzeng 2014); gaussian: as Long 2015 has it",
    )


class DDC(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ MMD²(source, target) on the adaptation layer."""

    name = "ddc"
    source = "Tzeng et al. 2014, Deep Domain Confusion: Maximizing for Domain Invariance (arXiv 1412.3474)"
    params_type = DDCParams
    params: DDCParams

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        if self.params.kernel == "linear":
            distance = (on_source.features.mean(dim=0) - on_target.features.mean(dim=0)).square().sum()
        else:
            distance = mmd(on_source.features, on_target.features, kernels=1)
        return {
            "classification": cross_entropy(on_source.logits, source.labels),
            "mmd": self.weight(progress) * distance,
        }
