"""Fine-tuning: a network that knows something already, trained further on a few labelled target samples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import Batch, only
from transfer_sweep.algorithms.deep._two_stages import StageParams, TwoStageMethod
from transfer_sweep.algorithms.networks.blocks import blocks
from transfer_sweep.datasets.base import DataError, Samples


class FineTuneParams(StageParams):
    """What the network knows before, and how much of it may change."""

    batch_norm_domains: Literal["source"] = only("source", "there are labelled batches only")
    first_share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="of the epochs, on the source; 0: none, the network starts as built (pretrained, or at random)",
    )
    frozen_blocks: int = Field(
        0, ge=0, description="blocks from the input on that stay as they are; all but the last layer: a linear probe"
    )
    block_decay: float = Field(
        1.0, gt=0, le=1, description="× lr for each block further from the output (Howard 2018: 1/2.6)"
    )
    tuning_lr: float = Field(1.0, gt=0, le=10, description="× lr in the second stage, on the target's samples")


class FineTune(TwoStageMethod):
    """First min E_s [ cross-entropy ], then min E over the few labelled target samples, the first blocks kept.

    Blocks are those of :func:`blocks`; more frozen ones than there are below the
    classifier's last layer are all of them. A pretrained backbone is at ``backbone_lr``, as everywhere.
    """

    name = "fine_tune"
    source = (
        "Yosinski et al. 2014, How transferable are features in deep neural networks? (NeurIPS); rates by depth: "
        "Howard and Ruder 2018, Universal Language Model Fine-tuning for Text Classification (ACL)"
    )
    label_access = "few"
    semi_supervised = False  # the few labels are all that it learns in the end, not a term beside others
    uses_target = False
    params_type = FineTuneParams
    params: FineTuneParams

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        return {"classification": cross_entropy(self.forward(source.inputs).logits, source.labels)}

    def second_stage(self) -> Samples:
        if self.task.target_labelled is None:
            raise DataError("fine_tune needs a few labelled target samples, disjoint from those it is scored on")
        below = blocks(self.network, self.task.backbone)[:-1]
        self.frozen = [module for block in below[: self.params.frozen_blocks] for module in block]
        return self.task.target_labelled

    def parameter_groups(self) -> dict[str, list[tuple[nn.Module, float]]]:
        if not self.second:
            return super().parameter_groups()
        of_backbone = set(self.network.backbone.modules()) if self.task.training == "finetune" else set()
        rate, groups = self.params.tuning_lr, []
        for block in reversed(blocks(self.network, self.task.backbone)):
            for module in block:
                groups.append((module, rate * (self.params.backbone_lr if module in of_backbone else 1.0)))
            rate *= self.params.block_decay
        return {"all": groups[::-1]}
