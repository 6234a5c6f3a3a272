"""Target only: the network trained on target labels of samples that are never scored; the upper bound."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import Batch, DeepMethod, DeepParams, only
from transfer_sweep.datasets.base import DataError, Samples


class TargetOnlyParams(DeepParams):
    """None of its own."""

    batch_norm_domains: Literal["source"] = only("source", "there are labelled batches only")


class TargetOnly(DeepMethod):
    """min E_t [ cross-entropy(C(F(x)), y) ]: what adaptation is measured against, never ranked with it."""

    name = "target_only"
    source = "'train on target' of Ganin and Lempitsky 2015, Unsupervised Domain Adaptation by Backpropagation (ICML)"
    params_type = TargetOnlyParams
    label_access = "target_train"
    semi_supervised = False
    uses_source = False
    uses_target = False

    def labelled(self) -> Samples:
        if self.task.target_labelled is None:
            raise DataError("target_only needs labelled target samples, disjoint from those it is scored on")
        return self.task.target_labelled

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        return {"classification": cross_entropy(self.forward(source.inputs).logits, source.labels)}
