"""CDAN: conditional adversarial domain adaptation."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

from transfer_sweep.algorithms.base import Discriminator
from transfer_sweep.algorithms.deep._base import AdaptationMethod, Batch
from transfer_sweep.algorithms.deep.dann import DANNParams
from transfer_sweep.algorithms.losses.adversarial import domain_confusion
from transfer_sweep.algorithms.losses.entropy import entropy_weights
from transfer_sweep.algorithms.networks import (
    DomainDiscriminator,
    MultilinearMap,
    RandomizedMultilinearMap,
    reverse_gradient,
)

_LARGEST_MAP = 4096  # dimensions of f ⊗ g above which it is randomised (Long 2018)


class CDANParams(DANNParams):
    """As DANN's, and what the discriminator is conditioned on."""

    entropy: bool = Field(True, description="weigh samples by the certainty of their prediction: CDAN+E (Long 2018)")
    random_dim: int = Field(1024, ge=1, le=8192, description="D of the randomised map (Long 2018: 1024)")


class CDAN(AdaptationMethod):
    """DANN with a discriminator of T(f, g), the (randomised) product of features and class probabilities."""

    name = "cdan"
    source = "Long et al. 2018, Conditional Adversarial Domain Adaptation (NeurIPS), CDAN and CDAN+E"
    discriminator = Discriminator("domain")
    params_type = CDANParams
    params: CDANParams

    def auxiliary(self) -> dict[str, nn.Module]:
        dim, classes = self.network.dim, self.network.num_classes
        join = (
            MultilinearMap(dim, classes)
            if dim * classes <= _LARGEST_MAP
            else RandomizedMultilinearMap(dim, classes, self.params.random_dim)
        )
        return {
            "map": join,
            "discriminator": DomainDiscriminator(join.dim, self.params.hidden, self.params.discriminator_dropout),
        }

    def learning_rates(self) -> dict[str, float]:
        return {"discriminator": self.params.discriminator_lr}

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        learned = {"classification": cross_entropy(on_source.logits, source.labels)}
        if not self.started(progress):
            return learned
        features = torch.cat([on_source.features, on_target.features])
        class_logits = torch.cat([on_source.logits, on_target.logits])
        # The authors' code conditions on g as a constant: the reversed gradient reaches features only.
        joint = self.nets["map"](features, softmax(class_logits.detach(), dim=1))
        logits = self.nets["discriminator"](reverse_gradient(joint, self.weight(progress)))
        weights = entropy_weights(class_logits) if self.params.entropy else None
        n = len(source.labels)
        return learned | {"domain": domain_confusion(logits[:n], logits[n:], weights)}
