"""AutoDIAL: domain-alignment layers with a learned degree of alignment, and the target's entropy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch, only
from transfer_sweep.algorithms.losses.entropy import entropy
from transfer_sweep.algorithms.networks import Network
from transfer_sweep.algorithms.networks.batch_norm import align_domains
from transfer_sweep.algorithms.schedules import LambdaSchedule


class AutoDIALParams(AdaptationParams):
    """λ weighs the entropy of target predictions."""

    batch_norm_domains: Literal["joint"] = only("joint", "its layers mix the moments of both (Carlucci 2017)")
    trade_off: float = Field(0.1, ge=0, le=1000, description="λ of the target's entropy (Carlucci 2017: 0.1–0.2)")
    lambda_schedule: LambdaSchedule = Field("constant", description="of λ (Carlucci 2017: constant)")


class AutoDIAL(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ E_t [ entropy ], each batch norm mixing both domains by a learned α."""

    name = "autodial"
    source = "Carlucci et al. 2017, AutoDIAL: Automatic DomaIn Alignment Layers (ICCV)"
    semi_supervised = False  # its layers take a training batch to be half source and half target
    controlled_by = "adabn"
    params_type = AutoDIALParams
    params: AutoDIALParams

    def build_network(self) -> Network:
        network = super().build_network()
        if not align_domains(network):
            raise ValueError(
                "autodial needs a network with batch norm: leave batch_norm on, and the bottleneck above 0"
            )
        return network

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        return {
            "classification": cross_entropy(on_source.logits, source.labels),
            "entropy": self.weight(progress) * entropy(on_target.logits).mean(),
        }
