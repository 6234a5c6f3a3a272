"""Self-ensembling: a student agrees with its teacher, the average of its former selves, on the target."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.deep._base import AdaptationMethod, AdaptationParams, Batch, only
from transfer_sweep.algorithms.losses.self_ensembling import class_balance, confident, consistency
from transfer_sweep.algorithms.networks.augmentation import random_affine, random_intensity
from transfer_sweep.algorithms.networks.network import Output
from transfer_sweep.algorithms.schedules import LambdaSchedule, LearningRateSchedule


class SelfEnsemblingParams(AdaptationParams):
    """The paper's full variant for MNIST–USPS; without affine map and translation, its ablation MT+CT."""

    batch_norm_domains: Literal["separate"] = only("separate", "each domain by itself; the teacher sees the target")
    lr: float = Field(0.001, gt=0, le=1, description="learning rate at the start of training (French 2018: 0.001)")
    optimizer: Literal["sgd", "adam"] = Field("adam", description="sgd with momentum, or Adam (French 2018: Adam)")
    weight_decay: float = Field(0.0, ge=0, le=1, description="L2 penalty (French 2018: none)")
    lr_schedule: LearningRateSchedule = Field("constant", description="ganin, cosine, or constant (French 2018)")
    trade_off: float = Field(3.0, ge=0, le=1000, description="λ: weight of the target's losses (French 2018: 3)")
    lambda_schedule: LambdaSchedule = Field("constant", description="of λ (French 2018, with confidence: constant)")
    teacher: float = Field(0.99, ge=0, lt=1, description="share of itself that the teacher keeps (French 2018: 0.99)")
    confidence: float = Field(
        0.968, ge=0, lt=1, description="samples of which the teacher is less sure do not count (French 2018: 0.968)"
    )
    class_balance: float = Field(0.005, ge=0, le=10, description="of that loss (French 2018: 0.005, or 0)")
    affine_std: float = Field(0.1, ge=0, le=1, description="of random affine maps of images (French 2018: 0.1)")
    translation: float = Field(2.0, ge=0, le=32, description="of images, pixels along each axis (French 2018: 2)")
    mirror: bool = Field(False, description="mirror half of the images; not for digits")
    noise: float = Field(0.1, ge=0, le=10, description="of pixels, in their standard deviations (French 2018: 0.1)")
    intensity_low: float = Field(1.0, gt=0, le=1, description="least factor (French 2018, MNIST–SVHN: 0.25)")
    intensity_high: float = Field(1.0, ge=1, le=10, description="largest factor (French 2018, MNIST–SVHN: 1.5)")
    intensity_offset: float = Field(0.0, ge=0, le=10, description="largest offset (French 2018, MNIST–SVHN: 0.5)")
    intensity_flip: bool = Field(False, description="invert half of the images (French 2018, MNIST–SVHN: yes)")


class SelfEnsembling(AdaptationMethod):
    """min E_s [ cross-entropy ] + λ ( consistency on confident target samples + β · class balance ).

    Student and teacher see a target batch under their own augmentation and dropout, and source and target pass
    apart, so that batch norm has each domain's statistics. The teacher predicts. Vectors are not augmented.
    """

    name = "self_ensembling"
    source = "French, Mackiewicz, Fisher 2018, Self-ensembling for Visual Domain Adaptation (ICLR)"
    controlled_by = "adabn"
    params_type = SelfEnsemblingParams
    params: SelfEnsemblingParams

    def auxiliary(self) -> dict[str, nn.Module]:
        return {"teacher": copy.deepcopy(self.network).requires_grad_(False)}

    def step(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        losses = self.losses(source, target, progress) | self.few_label_losses()
        self.minimise(losses)
        # Weights only: the teacher's batch norms keep the statistics of what it saw itself.
        torch._foreach_lerp_(
            list(self.nets["teacher"].parameters()), list(self.network.parameters()), 1 - self.params.teacher
        )
        return losses

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        on_source = self.forward(self._augmented(source.inputs)).logits
        student = self.forward(self._augmented(target)).logits.softmax(dim=1)
        with torch.no_grad():
            teacher = self.forward(self._augmented(target), self.nets["teacher"]).logits.softmax(dim=1)
        sure = confident(teacher, self.params.confidence)
        weight = self.weight(progress)
        return {
            "classification": cross_entropy(on_source, source.labels),
            "consistency": weight * consistency(student, teacher, sure),
            "class_balance": weight * self.params.class_balance * class_balance(student, sure),
        }

    def losses_on_few(self, few: Batch) -> dict[str, Tensor]:
        return super().losses_on_few(few._replace(inputs=self._augmented(few.inputs)))

    def evaluate(self, inputs: Tensor) -> Output:
        """The teacher's answer."""
        return self.forward(inputs, self.nets["teacher"])

    def _augmented(self, images: Tensor) -> Tensor:
        """Images standardised by their batch, augmented there, and brought back to grey levels, as float32."""
        if images.ndim < 4:
            return images
        p = self.params
        grey = images.float()
        std, mean = torch.std_mean(grey, dim=(0, 2, 3), keepdim=True)
        std = std.clamp_min(1.0)  # grey levels: a batch of one colour has no contrast to keep
        standard = (grey - mean) / std
        if p.intensity_flip or p.intensity_offset or p.intensity_low < p.intensity_high:
            standard = random_intensity(
                standard, p.intensity_low, p.intensity_high, p.intensity_offset, p.intensity_flip
            )
        if p.affine_std or p.translation or p.mirror:
            standard = random_affine(standard, p.affine_std, p.translation, p.mirror)
        if p.noise:
            standard = standard + p.noise * torch.randn_like(standard)
        return (standard * std + mean).contiguous(memory_format=torch.channels_last)
