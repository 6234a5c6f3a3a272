"""Domain confusion with soft labels: features that hide their domain, and classes that stay alike across domains."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.base import StateDict
from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.deep._two_stages import StageParams, TwoStageMethod
from transfer_sweep.algorithms.losses import adversarial
from transfer_sweep.algorithms.losses.soft_labels import soft_label_loss, soft_labels
from transfer_sweep.algorithms.networks import DomainDiscriminator
from transfer_sweep.algorithms.schedules import LambdaSchedule
from transfer_sweep.datasets.base import Samples


class DomainConfusionParams(AdaptationParams, StageParams):
    """λ and ν as the paper has them; its source network is trained in the first stage."""

    first_share: float = Field(
        0.3, gt=0, lt=1, description="of the epochs, on the source alone: the network that gives the soft labels"
    )
    trade_off: float = Field(0.01, ge=0, le=1000, description="λ: weight of the confusion loss (Tzeng 2015: 0.01)")
    lambda_schedule: LambdaSchedule = Field("constant", description="of λ (Tzeng 2015: constant)")
    soft_labels: float = Field(0.1, ge=0, le=1000, description="ν: weight of the soft-label loss (Tzeng 2015: 0.1)")
    temperature: float = Field(2.0, gt=0, le=100, description="τ of the soft labels (Tzeng 2015: 2)")
    hidden: int = Field(0, ge=0, le=4096, description="units of the domain classifier's two layers; 0: a linear one")
    discriminator_lr: float = Field(1.0, gt=0, le=100, description="× lr for the domain classifier")


class DomainConfusion(AdaptationMethod, TwoStageMethod):
    """In turn:  min_D L_domain  and  min_{F,C} L_class(source, labelled target) + λ L_conf + ν L_soft.

    The first stage trains on the source alone. Its answers to the source's samples, averaged by class, are the soft
    labels of the labelled target samples in the second. Without target labels, what remains is confusion alone.
    """

    name = "domain_confusion"
    source = "Tzeng et al. 2015, Simultaneous Deep Transfer Across Domains and Tasks (ICCV), equations 1 to 10"
    params_type = DomainConfusionParams
    params: DomainConfusionParams
    _soft_labels: Tensor | None = None

    def auxiliary(self) -> dict[str, nn.Module]:
        dim, hidden = self.network.dim, self.params.hidden
        classifier = DomainDiscriminator(dim, hidden) if hidden else nn.Sequential(nn.Linear(dim, 1), nn.Flatten(0))
        return {"discriminator": classifier}

    def learning_rates(self) -> dict[str, float]:
        return {"discriminator": self.params.discriminator_lr}

    def parameter_groups(self) -> dict[str, list[tuple[nn.Module, float]]]:
        *network, discriminator = super().parameter_groups()["all"]
        return {"network": network, "discriminator": [discriminator]}

    def second_stage(self) -> Samples:
        self.nets.eval()
        with torch.no_grad():
            known = [(self.forward(batch.inputs).logits, batch.labels) for batch in self.labelled_batches()]
        logits, labels = (torch.cat(parts) for parts in zip(*known, strict=True))
        self._soft_labels = soft_labels(logits, labels, self.params.temperature)
        return self.task.source

    def step(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        if not self.second:
            losses = {"classification": cross_entropy(self.forward(source.inputs).logits, source.labels)}
            self.minimise(losses, "network")
            return losses
        on_source, on_target = self.forward_pair(source.inputs, target)
        features, n = torch.cat([on_source.features, on_target.features]), len(source.labels)
        logits = self.nets["discriminator"](features.detach())
        domain = adversarial.domain_confusion(logits[:n], logits[n:])
        self.minimise({"domain": domain}, "discriminator")
        confusion = adversarial.uniform_confusion(self.nets["discriminator"](features))
        losses = {
            "classification": cross_entropy(on_source.logits, source.labels),
            "confusion": self.weight(progress) * confusion,
            **self.few_label_losses(),
        }
        self.minimise(losses, "network")
        return losses | {"domain": domain}

    def losses_on_few(self, few: Batch) -> dict[str, Tensor]:
        assert self._soft_labels is not None  # few labels are looked at in the second stage only
        logits = self.forward(few.inputs).logits
        soft = soft_label_loss(logits, self._soft_labels[few.labels], self.params.temperature)
        return {
            "target_classification": cross_entropy(logits, few.labels),
            "soft_labels": self.params.soft_labels * soft,
        }

    def extra_state(self) -> StateDict:
        return {"soft_labels": self._soft_labels}

    def load_extra_state(self, state: StateDict) -> None:
        self._soft_labels = None if state["soft_labels"] is None else state["soft_labels"].to(self.device)
