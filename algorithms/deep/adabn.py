"""AdaBN: adaptive batch normalisation; the source network, with the target's statistics."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.base import StateDict
from transfer_sweep.algorithms.deep._base import Batch, DeepMethod, DeepParams, only
from transfer_sweep.algorithms.networks.batch_norm import estimate_statistics, restore_statistics, statistics


class AdaBNParams(DeepParams):
    """None of its own: it learns as ``source_only`` does."""

    batch_norm_domains: Literal["source"] = only("source", "while training; then come the target's statistics")


class AdaBN(DeepMethod):
    """Trained as ``source_only``; then every batch norm takes its mean and variance from the target's inputs.

    Each epoch goes on from the source's statistics: layers that are frozen normalise by them while the others learn.
    """

    name = "adabn"
    source = "Li et al. 2018, Adaptive Batch Normalization for Practical Domain Adaptation (Pattern Recognition 80)"
    version = 2  # layers that are frozen keep to the source's statistics while the others learn
    controlled_by = "adabn"
    params_type = AdaBNParams
    uses_target = False
    _of_source: dict[str, Tensor] | None = None

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        return {"classification": cross_entropy(self.forward(source.inputs).logits, source.labels)}

    def after_epoch(self) -> None:
        self._of_source = statistics(self.network)
        if not estimate_statistics(self.network, self.forward, self.target_batches()):
            raise ValueError("adabn needs a network with batch norm: leave batch_norm on, and the bottleneck above 0")

    def extra_state(self) -> StateDict:
        return {"statistics_of_source": self._of_source}

    def load_extra_state(self, state: StateDict) -> None:
        saved = state.get("statistics_of_source")
        self._of_source = None if saved is None else {name: value.to(self.device) for name, value in saved.items()}

    def _train_mode(self) -> None:
        super()._train_mode()
        if self._of_source is not None:
            restore_statistics(self.network, self._of_source)
