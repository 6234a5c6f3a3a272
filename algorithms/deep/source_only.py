"""Source only: the network trained on source labels, never seeing the target."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import Batch, DeepMethod


class SourceOnly(DeepMethod):
    """min E_s [ cross-entropy(C(F(x)), y) ]: what adaptation has to beat."""

    name = "source_only"
    source = "the baseline of every paper here: ResNet-50 in Long et al. 2018, the Digit Network in French et al. 2018"
    uses_target = False

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        return {"classification": cross_entropy(self.forward(source.inputs).logits, source.labels)}
