"""AdaBN: adaptive batch normalisation; the source network, with the target's statistics."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import Batch, DeepMethod
from transfer_sweep.algorithms.networks.batch_norm import estimate_statistics


class AdaBN(DeepMethod):
    """Trained as ``source_only``; then every batch norm takes its mean and variance from the target's inputs."""

    name = "adabn"
    source = "Li et al. 2018, Adaptive Batch Normalization for Practical Domain Adaptation (Pattern Recognition 80)"
    uses_target = False

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        return {"classification": cross_entropy(self.forward(source.inputs).logits, source.labels)}

    def after_epoch(self) -> None:
        if not estimate_statistics(self.network, self.forward, self.target_batches()):
            raise ValueError("adabn needs a network with batch norm: leave batch_norm on, and the bottleneck above 0")
