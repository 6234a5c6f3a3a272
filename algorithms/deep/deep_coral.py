"""Deep CORAL: covariances of source and target, aligned while training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.losses.coral import coral


class DeepCORALParams(AdaptationParams):
    """The paper sets λ so that both losses end about equal."""

    layer: Literal["hidden", "features", "logits"] = Field(
        "logits", description="whose covariances are aligned (Sun 2016: fc8, the logits)"
    )


class DeepCORAL(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ ‖C_s − C_t‖²_F / (4 d²)."""

    name = "deep_coral"
    source = "Sun and Saenko 2016, Deep CORAL: Correlation Alignment for Deep Domain Adaptation (ECCVW), eq. 1–6"
    params_type = DeepCORALParams
    params: DeepCORALParams

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        layer = self.params.layer
        return {
            "classification": cross_entropy(on_source.logits, source.labels),
            "coral": self.weight(progress) * coral(getattr(on_source, layer), getattr(on_target, layer)),
        }
