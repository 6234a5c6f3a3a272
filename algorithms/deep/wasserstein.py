"""Wasserstein: a critic measures the distance of the domains' features, the network shortens it."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch
from transfer_sweep.algorithms.losses.wasserstein import gradient_penalty
from transfer_sweep.algorithms.networks import Critic
from transfer_sweep.datasets.base import added_later


class WassersteinParams(AdaptationParams):
    """WGAN's critic: no sigmoid, no logarithm, weights clipped to [−c, c], RMSProp without momentum.

    WDGRL's (Shen 2018) is ``gradient_penalty: 10, critic_optimizer: adam, critic_lr: 0.0001`` and a constant λ far
    below that of clipping, on a network without batch norm.
    """

    trade_off: float = Field(
        10.0,
        ge=0,
        le=10_000,
        description="λ; clipping makes the distance small, a penalty does not (Shen 2018's code: 1 on reviews, "
        "0.1 on CaffeNet's features, 0.00045 on digits)",
    )
    n_critic: int = Field(5, ge=1, le=100, description="critic updates a step (Arjovsky 2017: 5; Shen 2018: 5)")
    clip: float = Field(0.01, gt=0, le=10, description="c (Arjovsky 2017: 0.01); unused with a gradient penalty")
    gradient_penalty: float = Field(
        0.0, ge=0, le=1000, description="γ of WDGRL's penalty instead of clipping (Shen 2018: 10); 0: clipping"
    )
    critic_optimizer: Literal["rmsprop", "adam"] = added_later(
        "rmsprop", before="rmsprop", description="of the critic: rmsprop (Arjovsky 2017) or adam (Shen 2018's code)"
    )
    critic_lr: float = Field(
        5e-5, gt=0, le=1, description="of the critic, constant (Arjovsky 2017: 5e-5; Shen 2018: 1e-4)"
    )
    hidden: int = Field(100, ge=1, le=4096, description="units of the critic's hidden layer (Shen 2018: 100)")


class Wasserstein(AdaptationMethod):
    """min_F max_{‖f‖_L ≤ 1}  E_s [ cross-entropy ] + λ ( E_s [ f(F(x)) ] − E_t [ f(F(x)) ] )."""

    name = "wasserstein"
    source = (
        "Arjovsky et al. 2017, Wasserstein GAN (ICML), algorithm 1; with the gradient penalty: Shen et al. 2018, "
        "Wasserstein Distance Guided Representation Learning for Domain Adaptation (AAAI), algorithm 1"
    )
    version = 2  # the critic's learning rate no longer follows the network's schedule
    params_type = WassersteinParams
    params: WassersteinParams

    def auxiliary(self) -> dict[str, nn.Module]:
        return {"critic": Critic(self.network.dim, self.params.hidden)}

    def parameter_groups(self) -> dict[str, list[tuple[nn.Module, float]]]:
        *network, critic = super().parameter_groups()["all"]
        return {"network": network, "critic": [critic]}

    def optimizer(self, name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        if name != "critic":
            return super().optimizer(name, groups)
        if self.params.critic_optimizer == "adam":
            return torch.optim.Adam(groups, lr=self.params.critic_lr)
        return torch.optim.RMSprop(groups, lr=self.params.critic_lr)

    def _set_learning_rate(self, progress: float) -> None:
        """As ever, but for the critic, which is to keep up with features that still move: its rate is constant."""
        super()._set_learning_rate(progress)
        for group in self.optimizers["critic"].param_groups:
            group["lr"] = group["initial_lr"]

    def step(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source, on_target = self.forward_pair(source.inputs, target)
        for _ in range(self.params.n_critic):
            self._train_critic(on_source.features.detach(), on_target.features.detach())
        losses = {
            "classification": cross_entropy(on_source.logits, source.labels),
            "wasserstein": self.weight(progress) * self._distance(on_source.features, on_target.features),
            **self.few_label_losses(),
        }
        self.minimise(losses, "network")
        return losses

    def _distance(self, source: Tensor, target: Tensor) -> Tensor:
        values: Tensor = self.nets["critic"](torch.cat([source, target]))
        return values[: len(source)].mean() - values[len(source) :].mean()

    def _train_critic(self, source: Tensor, target: Tensor) -> None:
        losses = {"distance": -self._distance(source, target)}
        penalty = self.params.gradient_penalty
        if penalty:
            losses["penalty"] = penalty * gradient_penalty(self.nets["critic"], source, target)
        self.minimise(losses, "critic")
        if not penalty:
            with torch.no_grad():
                for weight in self.nets["critic"].parameters():
                    weight.clamp_(-self.params.clip, self.params.clip)
