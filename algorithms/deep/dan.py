"""DAN: deep adaptation networks, multi-kernel MMD on several layers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.losses.mmd import Estimate, mmd


class DANParams(AdaptationParams):
    """Which layers are matched, and how."""

    layers: Literal["features", "predictions", "both"] = Field(
        "both", description="matched: the bottleneck, the class probabilities, or both (Long 2015: fc6, fc7 and fc8)"
    )
    estimate: Estimate = Field("biased", description="of the MMD; linear is the paper's O(n) one (Long 2015)")


class DAN(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ Σ_l MK-MMD²(source, target; layer l)."""

    name = "dan"
    source = "Long et al. 2015, Learning Transferable Features with Deep Adaptation Networks (ICML)"
    params_type = DANParams
    params: DANParams

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        losses = {"classification": cross_entropy(on_source.logits, source.labels)}
        weight, estimate = self.weight(progress), self.params.estimate
        if self.params.layers != "predictions":
            losses["mmd_features"] = weight * mmd(on_source.features, on_target.features, estimate=estimate)
        if self.params.layers != "features":
            p_source, p_target = softmax(on_source.logits, dim=1), softmax(on_target.logits, dim=1)
            losses["mmd_predictions"] = weight * mmd(p_source, p_target, estimate=estimate)
        return losses
