"""DAN: deep adaptation networks, multi-kernel MMD on several layers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.losses.mmd import Estimate, KernelWeights, mmd
from transfer_sweep.algorithms.networks import Output
from transfer_sweep.datasets.base import added_later


class DANParams(AdaptationParams):
    """Which layers are matched, and how.

    The paper and its codes differ. Caffe's (Xlearn): fc7 and the logits, kernels summed, one random pair of pairs for
    each sample. PyTorch's (Xlearn): the bottleneck, summed, unbiased or cyclic. TLL's: the bottleneck, summed, cyclic.
    """

    layers: Literal["features", "predictions", "both"] = Field(
        "both", description="matched: the bottleneck, the predictions, or both (Long 2015: fc6, fc7 and fc8)"
    )
    outputs: Literal["probabilities", "logits"] = added_later(
        "probabilities",
        before="probabilities",
        description="what predictions are: class probabilities, or logits (Long 2015, Xlearn's Caffe code: fc8)",
    )
    estimate: Estimate = Field(
        "biased",
        description="of the MMD; linear is the paper's O(n) one (Long 2015); cyclic: over neighbours (Xlearn's linear "
        "version, TLL); unbiased: Xlearn's other",
    )
    kernels: KernelWeights = added_later(
        "mean",
        before="mean",
        description="the five are averaged, as the paper's weights sum to 1, or summed (Xlearn, TLL)",
    )


class DAN(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ Σ_l MK-MMD²(source, target; layer l)."""

    name = "dan"
    source = "Long et al. 2015, Learning Transferable Features with Deep Adaptation Networks (ICML)"
    params_type = DANParams
    params: DANParams

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        losses = {"classification": cross_entropy(on_source.logits, source.labels)}
        weight, layers = self.weight(progress), self.params.layers
        if layers != "predictions":
            losses["mmd_features"] = weight * self._mmd(on_source.features, on_target.features)
        if layers != "features":
            losses["mmd_predictions"] = weight * self._mmd(self._outputs(on_source), self._outputs(on_target))
        return losses

    def _outputs(self, of: Output) -> Tensor:
        return of.logits if self.params.outputs == "logits" else softmax(of.logits, dim=1)

    def _mmd(self, source: Tensor, target: Tensor) -> Tensor:
        return mmd(source, target, estimate=self.params.estimate, summed=self.params.kernels == "sum")
