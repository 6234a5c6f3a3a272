"""How transferable are the layers of a network: the first n copied from a base network, the rest trained anew."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.base import TrainingError
from transfer_sweep.algorithms.deep._base import Batch, only
from transfer_sweep.algorithms.deep._two_stages import StageParams, TwoStageMethod
from transfer_sweep.algorithms.networks.blocks import blocks
from transfer_sweep.datasets.base import DataError, Samples

_NEW_LAYERS = 1 << 32  # added to a seed: no trial's base starts from it


class TransferabilityParams(StageParams):
    """Which of the paper's networks: AnB, BnB, and with ``fine_tune`` AnB+ and BnB+. A is the source, B the target."""

    batch_norm_domains: Literal["source"] = only("source", "there are labelled batches only")
    first_share: float = Field(0.5, gt=0, lt=1, description="of the epochs, for the base network")
    layers: int = Field(1, ge=0, description="n: first layers copied from the base; 0: a network trained on B alone")
    base: Literal["source", "target"] = Field("source", description="what the base learned: A (AnB) or B (BnB)")
    fine_tune: bool = Field(False, description="the +: copied layers learn on with the rest, instead of staying frozen")


class Transferability(TwoStageMethod):
    """Base network: min E_base [ cross-entropy ]. Its first n layers, and new ones above: min E_B [ cross-entropy ].

    A trial trains both. With one seed the base is the same for every n, bit for bit on CPU, and so are the layers
    above, so that networks differ in what is copied alone. Without copied layers the base is not trained; the second
    stage always has the same epochs.
    """

    name = "transferability"
    source = "Yosinski et al. 2014, How transferable are features in deep neural networks? (NeurIPS), sections 2 and 4"
    label_access = "target_train"
    semi_supervised = False
    uses_target = False
    params_type = TransferabilityParams
    params: TransferabilityParams

    @classmethod
    def lengths(cls, params: StageParams, epochs: int) -> tuple[int, int]:
        """Epochs of the base (none where nothing is copied) and of the network on B."""
        assert isinstance(params, TransferabilityParams)
        first, second = super().lengths(params, epochs)
        return first if params.layers else 0, second

    def labelled(self) -> Samples:
        return self.task.source if self.params.base == "source" else self._of_b()

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        return {"classification": cross_entropy(self.forward(source.inputs).logits, source.labels)}

    def second_stage(self) -> Samples:
        n, of_base = self.params.layers, blocks(self.network, self.task.backbone)
        if n >= len(of_base):
            raise TrainingError(
                f"the network has {len(of_base)} layers of weights, of which up to {len(of_base) - 1} can be copied, "
                f"not {n}: lower layers"
            )
        torch.manual_seed(_NEW_LAYERS + self.seed)  # the same new layers, however long the base took
        new = blocks(self.build_network(), self.task.backbone)
        for old_block, new_block in zip(of_base[n:], new[n:], strict=True):
            for old, fresh in zip(old_block, new_block, strict=True):
                old.load_state_dict(fresh.state_dict())
        if not self.params.fine_tune:
            self.frozen = [module for block in of_base[:n] for module in block]
        return self._of_b()

    def _of_b(self) -> Samples:
        if self.task.target_labelled is None:
            raise DataError("transferability needs labelled target samples, disjoint from those it is scored on")
        return self.task.target_labelled
