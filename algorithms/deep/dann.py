"""DANN: domain-adversarial training of neural networks, by gradient reversal."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.base import Discriminator
from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch, BatchNormDomains
from transfer_sweep.algorithms.losses.adversarial import domain_confusion
from transfer_sweep.algorithms.networks import DomainDiscriminator, reverse_gradient
from transfer_sweep.datasets.base import added_later


class DANNParams(AdaptationParams):
    """λ is the reversal's coefficient: the discriminator itself learns at full rate from the first step."""

    batch_norm_domains: BatchNormDomains = added_later(
        "separate",
        before="joint",
        description="separate (Long 2018's code on photographs), joint (on digits) or source",
    )
    hidden: int = Field(
        1024, ge=1, le=4096, description="units of the discriminator's two layers (Long 2018's code: 1024; digits 500)"
    )
    discriminator_dropout: float = added_later(
        0.5, before=0.0, ge=0, lt=1, description="after each of them (Long 2018's code: 0.5)"
    )
    discriminator_lr: float = Field(
        1.0,
        gt=0,
        le=100,
        description="× lr for the discriminator (Long 2018's code: the rate of bottleneck and classifier)",
    )


class DANN(AdaptationMethod):
    """min_{F,C} max_D  E_s [ cross-entropy ] − λ · L_domain(D(F(x))), as one step through a reversed gradient."""

    name = "dann"
    source = "Ganin et al. 2016, Domain-Adversarial Training of Neural Networks (JMLR 17)"
    discriminator = Discriminator("domain")
    params_type = DANNParams
    params: DANNParams

    def auxiliary(self) -> dict[str, nn.Module]:
        return {
            "discriminator": DomainDiscriminator(
                self.network.dim, self.params.hidden, self.params.discriminator_dropout
            )
        }

    def learning_rates(self) -> dict[str, float]:
        return {"discriminator": self.params.discriminator_lr}

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        learned = {"classification": cross_entropy(on_source.logits, source.labels)}
        if not self.started(progress):
            return learned
        features = torch.cat([on_source.features, on_target.features])
        logits = self.nets["discriminator"](reverse_gradient(features, self.weight(progress)))
        n = len(source.labels)
        return learned | {"domain": domain_confusion(logits[:n], logits[n:])}
