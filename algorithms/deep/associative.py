"""Associative domain adaptation: walks from source to target and back should end in the class they began in."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.losses.association import walker_and_visit
from transfer_sweep.algorithms.schedules import LambdaSchedule


class AssociativeParams(AdaptationParams):
    """λ weighs both losses; on digits the paper has them join after 500 of 12,000 steps.

    Its batches hold 100 samples of each of ten classes, and as many of the target. On features that are larger than
    its network's (batch norm, a pretrained backbone) walks are decided from the start, and a smaller λ does better.
    """

    trade_off: float = Field(1.0, ge=0, le=1000, description="λ: weight of the walker loss (Haeusser 2017: 1)")
    lambda_schedule: LambdaSchedule = Field("constant", description="of λ (Haeusser 2017: constant once it is on)")
    visit: float = Field(
        0.1,
        ge=0,
        le=100,
        description="β₂ / β₁, weight of the visit loss (Haeusser 2017: 0.1 signs, 0.2 and 0.6 digits)",
    )


class Associative(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ ( L_walker + β L_visit ), on class-balanced source batches."""

    name = "associative"
    source = "Haeusser et al. 2017, Associative Domain Adaptation (ICCV)"
    params_type = AssociativeParams
    class_balanced = True
    params: AssociativeParams

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        walker, visit = walker_and_visit(on_source.features, on_target.features, source.labels)
        weight = self.weight(progress)
        return {
            "classification": cross_entropy(on_source.logits, source.labels),
            "walker": weight * walker,
            "visit": weight * self.params.visit * visit,
        }
