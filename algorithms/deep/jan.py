"""JAN: joint adaptation networks, MMD of the joint distribution of features and predictions."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.losses.mmd import Estimate, KernelWeights, joint_mmd
from transfer_sweep.algorithms.networks import reverse_gradient
from transfer_sweep.datasets.base import added_later


class JANParams(AdaptationParams):
    """How the joint discrepancy is estimated, and whether against an adversary.

    The authors' code (Xlearn) is ``predictions_bandwidth: 1.68, kernels: sum, estimate: unbiased``; TLL's is the same
    but for σ = 0.92, which makes 1.69 of 1.68.
    """

    adversarial: bool = Field(False, description="JAN-A: a layer of its own maximises the discrepancy (Long 2017)")
    estimate: Estimate = Field(
        "biased",
        description="of the JMMD; linear is the paper's O(n) one (Long 2017); unbiased: Xlearn's and TLL's; cyclic: "
        "their linear version",
    )
    predictions_bandwidth: float = added_later(
        0.0,
        before=0.0,
        ge=0,
        le=1000,
        description="γ of the predictions' kernel exp(−d²/γ) (Xlearn: 1.68; TLL: 2 · 0.92²); 0: the mean squared "
        "distance, as for features",
    )
    kernels: KernelWeights = added_later(
        "mean", before="mean", description="the features' five are averaged, or summed (Xlearn, TLL)"
    )


class JAN(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ JMMD²(source, target; bottleneck, class probabilities)."""

    name = "jan"
    source = "Long et al. 2017, Deep Transfer Learning with Joint Adaptation Networks (ICML)"
    params_type = JANParams
    params: JANParams

    def auxiliary(self) -> dict[str, nn.Module]:
        if not self.params.adversarial:
            return {}
        dim, classes = self.network.dim, self.network.num_classes
        return {"theta_features": nn.Linear(dim, dim), "theta_predictions": nn.Linear(classes, classes)}

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        features = torch.cat([on_source.features, on_target.features])
        predictions = softmax(torch.cat([on_source.logits, on_target.logits]), dim=1)
        if self.params.adversarial:
            features = self._against("theta_features", features)
            predictions = self._against("theta_predictions", predictions)
        p = self.params
        # Predictions have one kernel, features five, as in the authors' code.
        discrepancy = joint_mmd(
            [features, predictions],
            [5, 1],
            len(source.labels),
            p.estimate,
            p.kernels == "sum",
            [0.0, p.predictions_bandwidth],
        )
        return {
            "classification": cross_entropy(on_source.logits, source.labels),
            "jmmd": self.weight(progress) * discrepancy,
        }

    def _against(self, name: str, layer: Tensor) -> Tensor:
        """Reversed twice for what lies below, once for θ: θ climbs the discrepancy that the network descends."""
        return reverse_gradient(self.nets[name](reverse_gradient(layer)))
