"""MCC: minimum class confusion on target predictions."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch, BatchNormDomains
from transfer_sweep.algorithms.losses.class_confusion import class_confusion
from transfer_sweep.algorithms.schedules import LambdaSchedule
from transfer_sweep.datasets.base import added_later


class MCCParams(AdaptationParams):
    """The paper weighs the loss with 1 throughout."""

    batch_norm_domains: BatchNormDomains = added_later(
        "separate", before="joint", description="separate (Jin 2020's code), joint (TLL) or source"
    )
    lambda_schedule: LambdaSchedule = Field("constant", description="of λ (Jin 2020: constant)")
    temperature: float = Field(2.5, gt=0, le=100, description="T of the rescaled softmax (Jin 2020: 2.5 on Office-31)")


class MCC(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ · confusion of pairs of classes on the target batch."""

    name = "mcc"
    source = "Jin et al. 2020, Minimum Class Confusion for Versatile Domain Adaptation (ECCV)"
    params_type = MCCParams
    params: MCCParams

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        confusion = class_confusion(on_target.logits, self.params.temperature)
        return {
            "classification": cross_entropy(on_source.logits, source.labels),
            "confusion": self.weight(progress) * confusion,
        }
