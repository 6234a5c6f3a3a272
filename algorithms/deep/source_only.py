"""Source only: the network trained on source labels, never seeing the target."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.base import Params
from transfer_sweep.algorithms.deep._base import Batch, BatchNormDomains, DeepMethod, DeepParams
from transfer_sweep.datasets.base import added_later


class SourceOnlyParams(DeepParams):
    """None of its own. With another value of ``batch_norm_domains`` it is what methods are without their term."""

    batch_norm_domains: BatchNormDomains = added_later(
        "source",
        before="source",
        description="joint, separate: the target passes too, without a loss, as in a method of this mode with λ = 0: "
        "what batch norm alone gives",
    )


class SourceOnly(DeepMethod):
    """min E_s [ cross-entropy(C(F(x)), y) ]: what adaptation has to beat."""

    name = "source_only"
    source = "the baseline of every paper here: ResNet-50 in Long et al. 2018, the Digit Network in French et al. 2018"
    params_type = SourceOnlyParams
    params: SourceOnlyParams

    @classmethod
    def control(cls, params: Params, backbone: str, training: str) -> None:
        """It is a control."""

    @property
    def draws_target(self) -> bool:
        return self.params.batch_norm_domains != "source"

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        if self.draws_target:
            on_source, _ = self.forward_pair(source.inputs, target)
        else:
            on_source = self.forward(source.inputs)
        return {"classification": cross_entropy(on_source.logits, source.labels)}
