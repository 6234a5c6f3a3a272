"""MADA: multi-adversarial domain adaptation, one domain discriminator for each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

from transfer_sweep.algorithms.base import Discriminator
from transfer_sweep.algorithms.deep._base import AdaptationMethod, Batch
from transfer_sweep.algorithms.deep.dann import DANNParams
from transfer_sweep.algorithms.losses.adversarial import domain_confusion
from transfer_sweep.algorithms.networks import ClassDiscriminators, reverse_gradient
from transfer_sweep.datasets.base import added_later


class MADAParams(DANNParams):
    """As DANN's, for each of the K discriminators."""

    hidden_layers: int = added_later(
        2, before=1, ge=1, le=2, description="of each discriminator (Pei 2018: 2, of 1024 units)"
    )


class MADA(AdaptationMethod):
    """min_{F,C} max_{D_1…K}  E_s [ cross-entropy ] − λ Σ_k L_domain(D_k(p_k(x) F(x))), p_k the class probabilities."""

    name = "mada"
    source = "Pei et al. 2018, Multi-Adversarial Domain Adaptation (AAAI)"
    discriminator = Discriminator("domain", per_class=True)
    params_type = MADAParams
    params: MADAParams

    def auxiliary(self) -> dict[str, nn.Module]:
        network, p = self.network, self.params
        discriminators = ClassDiscriminators(
            network.dim, network.num_classes, p.hidden, p.hidden_layers, p.discriminator_dropout
        )
        return {"discriminators": discriminators}

    def learning_rates(self) -> dict[str, float]:
        return {"discriminators": self.params.discriminator_lr}

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        learned = {"classification": cross_entropy(on_source.logits, source.labels)}
        if not self.started(progress):
            return learned
        features = reverse_gradient(torch.cat([on_source.features, on_target.features]), self.weight(progress))
        # Probabilities share samples out among discriminators; they are not there to fool them.
        shares = softmax(torch.cat([on_source.logits, on_target.logits]).detach(), dim=1)
        logits = self.nets["discriminators"](features, shares)
        n = len(source.labels)
        # A mean over classes and samples, times K: the paper's sum over discriminators.
        domain = self.network.num_classes * domain_confusion(logits[:n], logits[n:])
        return learned | {"domain": domain}
