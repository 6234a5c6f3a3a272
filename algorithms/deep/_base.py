"""The training loop of every deep method, and the hyperparameters they share.

A deep method is a loss over (source batch, target batch, progress): it overrides :meth:`DeepMethod.losses`.
One that needs other networks names them in :meth:`DeepMethod.auxiliary`; one whose update is not a single
gradient step (MCD's three, a critic's inner loop) overrides :meth:`DeepMethod.step`. Learning rates,
mixed precision, clipping, the guard against NaN and checkpoints are here, once; batches and random state are beside.

An epoch is ⌈max(n_s, n_t) / batch size⌉ steps for every method, ``source_only`` too: methods are compared after
the same number of updates, and a small source (448 images of dslr against 2817 of amazon) is not cut short.
Each step takes one batch of each domain; the smaller domain is gone through more than once.

Where the protocol gives a few target labels, every step draws a batch of those samples too, and their cross-entropy
(:meth:`DeepMethod.few_label_losses`) joins the method's losses: the one way in which methods made for no target
labels take some.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transfer_sweep.algorithms.base import (
    Algorithm,
    DomainRole,
    Params,
    Part,
    Prediction,
    StateDict,
    Task,
    TrainingError,
)
from transfer_sweep.algorithms.deep._batches import LabelledArray, class_balanced, on_device, shuffled
from transfer_sweep.algorithms.deep._random_state import RandomState
from transfer_sweep.algorithms.networks.augmentation import CROP, centre_crop, random_crop_flip
from transfer_sweep.algorithms.networks.backbones import BackboneError
from transfer_sweep.algorithms.networks.batch_norm import keeping_statistics
from transfer_sweep.algorithms.networks.network import Network, Output, build_network, has_batch_norm
from transfer_sweep.algorithms.schedules import (
    LambdaSchedule,
    LearningRateSchedule,
    lambda_factor,
    learning_rate_factor,
)
from transfer_sweep.datasets.base import Samples, added_later

# Samples in a pass of the network, and those whose inputs are copied at once where trials share their array.
_PREDICT_BATCH = {"vectors": 4096, "images": 128}
_PREDICT_COPIES = {"vectors": 4096, "images": 1024}


BatchNormDomains = Literal["joint", "separate", "source"]
"""What batch norm sees of two domains, see :attr:`DeepParams.batch_norm_domains`."""


class DeepParams(Params):
    """What every deep method has. Defaults are those that the frozen Office-31 figures stand on."""

    lr: float = Field(0.01, gt=0, le=1, description="learning rate at the start of training (Long 2018: 0.01)")
    batch_size: int = Field(64, ge=2, le=1024, description="of each domain (Ganin 2016: 64 each)")
    optimizer: Literal["sgd", "adam"] = Field("sgd", description="sgd with momentum, or Adam (Kingma 2015)")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd; the first-moment decay of adam (Ganin 2016: 0.9)")
    weight_decay: float = Field(1e-3, ge=0, le=1, description="L2 penalty (Long 2018's code: 5e-4; Jin 2020's: 1e-3)")
    lr_schedule: LearningRateSchedule = Field(
        "ganin", description="ganin: (1+αp)^−β (Ganin 2016); cosine; step; constant"
    )
    lr_alpha: float = Field(10.0, ge=0, le=1000, description="α of the ganin schedule (Ganin 2016: 10)")
    lr_beta: float = Field(0.75, ge=0, le=10, description="β of the ganin schedule (Ganin 2016: 0.75)")
    lr_step: float = added_later(
        0.5, before=0.5, gt=0, le=1, description="of the step schedule: share of the budget after which lr falls, again"
    )
    lr_decay: float = added_later(
        0.5, before=0.5, gt=0, le=1, description="of the step schedule: factor of each fall (Long 2018's code: 0.5)"
    )
    bottleneck: int = Field(256, ge=0, le=4096, description="units of the adaptation layer (Long 2018: 256); 0: none")
    batch_norm: bool = Field(True, description="in the bottleneck, before its ReLU (Ioffe 2015)")
    batch_norm_domains: BatchNormDomains = added_later(
        "joint",
        before="joint",
        description="what batch norm sees. joint: both domains in one batch (Long 2017's code); separate: each "
        "domain's batch by itself, both in the running statistics (Long 2018's code); source: the source alone (and "
        "a few labelled target samples where there are some), whose running statistics normalise the target, too",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="in the bottleneck (Srivastava 2014: 0.5)")
    backbone_lr: float = Field(0.1, ge=0, le=10, description="× lr for a pretrained backbone (Long 2015: 1/10)")
    freeze_batch_norm: bool = Field(
        False, description="keep a pretrained backbone's batch-norm statistics while it is fine-tuned"
    )
    grad_clip: float = Field(0.0, ge=0, description="largest norm of the gradient (Pascanu 2013); 0: no clipping")


def only(mode: BatchNormDomains, why: str) -> Any:
    """The field ``batch_norm_domains`` of a method that has no choice there.

    Args:
        mode: what it does, and did before there was the field.
        why: the field's description.
    """
    return added_later(mode, before=mode, description=why)


class AdaptationParams(DeepParams):
    """What methods have that add one weighted adaptation term to the classification loss."""

    trade_off: float = Field(1.0, ge=0, le=1000, description="λ: weight of the adaptation term")
    lambda_schedule: LambdaSchedule = Field(
        "ganin", description="ganin: λ grows as 2/(1+e^(−γp))−1 (Ganin 2016); constant: λ from the first step"
    )
    lambda_gamma: float = Field(10.0, gt=0, le=1000, description="γ of the ganin λ schedule (Ganin 2016: 10)")
    lambda_start: float = added_later(
        0.0, before=0.0, ge=0, lt=1, description="share of the budget before the term joins, on the source's loss alone"
    )


class Batch(NamedTuple):
    """A labelled batch: inputs (n, …) as the network takes them, labels (n,) int64."""

    inputs: Tensor
    labels: Tensor


class DeepMethod(Algorithm):
    """A method trained by gradient steps on source and target batches.

    Attributes:
        network: backbone, bottleneck and classifier.
        nets: every module that is trained or saved: ``network`` and the auxiliary ones, by name.
        epoch: epochs done.
        class_balanced: whether source batches hold each class equally often (associative loss needs it).
        controlled_by: the method whose batch norms predict as this one's do: ``source_only`` in its mode, or ``adabn``
            where predictions are made with the target's statistics alone.
        uses_target: whether a target batch passes through the network in a step; without it none is drawn.
    """

    family = "deep"
    semi_supervised = True
    params_type = DeepParams
    class_balanced: ClassVar[bool] = False
    controlled_by: ClassVar[Literal["source_only", "adabn"]] = "source_only"
    uses_target: ClassVar[bool] = True
    params: DeepParams

    def __init__(self, task: Task, params: Params, device: str = "cpu", seed: int = 0) -> None:
        super().__init__(task, params, device, seed)
        self._target_inputs = on_device(task.target_inputs, device)
        few = task.target_labelled if self.semi_supervised else None
        self._few = None if few is None else Batch(on_device(few.inputs, device), on_device(few.labels, device))
        self._images = task.target_inputs.ndim == 4
        self._kind = "images" if self._images else "vectors"
        # Crops are for backbones that take 224 pixels; digits are seen whole.
        self._crops = self._images and task.target_inputs.shape[-1] > CROP
        self._mixed_precision = self._images and torch.device(device).type == "cuda"
        self.epoch = 0
        self._most_steps = sys.maxsize
        self.learn_from(self.labelled())

        self._random_state = RandomState(seed, device)
        with self._random_state.in_use():
            self.network = self.build_network()
            self.nets = nn.ModuleDict({"network": self.network, **self.auxiliary()})
        self.nets.to(device)
        if self._images:
            self.nets.to(memory_format=torch.channels_last)
        self.start_optimizers()

    # --- what a method overrides ---

    def losses(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        """The terms of the loss, weighted, by name; their sum is minimised.

        Args:
            source: labelled batch.
            target: (n, …) inputs of an unlabelled batch of the same size (empty where ``draws_target`` is False).
            progress: p ∈ [0, 1) over the full budget.
        """
        raise NotImplementedError

    def build_network(self) -> Network:
        """The network; a method that changes its layers does it here."""
        if self.task.training == "finetune" and self.task.pretrained is None:
            raise BackboneError(
                f"fine-tuning {self.task.backbone} needs its pretrained weights: hand them over as Task.pretrained, "
                f"or train from scratch"
            )
        return build_network(
            self.task.backbone,
            self.task.target_inputs.shape[1:],
            self.task.num_classes,
            bottleneck=self.params.bottleneck,
            batch_norm=self.params.batch_norm,
            dropout=self.params.dropout,
            pretrained=self.task.pretrained,
            values=self.task.values,
        )

    def auxiliary(self) -> dict[str, nn.Module]:
        """Networks beside ``network`` (a discriminator, say), by name; called once, when ``network`` exists."""
        return {}

    @classmethod
    def control(cls, params: Params, backbone: str, training: str) -> tuple[str, Mapping[str, Any]] | None:
        """None where no target passes through the network's batch norms, or it has none that learns."""
        assert isinstance(params, DeepParams)
        sees_target = cls.controlled_by == "adabn" or (cls.uses_target and params.batch_norm_domains != "source")
        if not sees_target or not has_batch_norm(
            backbone, training, params.bottleneck, params.batch_norm, params.freeze_batch_norm
        ):
            return None
        shared = {name: getattr(params, name) for name in DeepParams.model_fields}
        if cls.controlled_by == "adabn":
            del shared["batch_norm_domains"]
        return cls.controlled_by, shared

    @property
    def draws_target(self) -> bool:
        """Whether steps get a target batch, by default as :attr:`uses_target` says."""
        return self.uses_target

    def labelled(self) -> Samples:
        """The labelled samples to train on."""
        return self.task.source

    def parameter_groups(self) -> dict[str, list[tuple[nn.Module, float]]]:
        """Optimizers by name, each a list of (module, multiple of the learning rate).

        By default one optimizer of everything, with a pretrained backbone at ``backbone_lr``.
        """
        backbone_lr = self.params.backbone_lr if self.task.training == "finetune" else 1.0
        groups = [
            (self.network.backbone, backbone_lr),
            (self.network.bottleneck, 1.0),
            (self.network.classifier, 1.0),
        ]
        rates = self.learning_rates()
        groups += [(module, rates.get(name, 1.0)) for name, module in self.nets.items() if name != "network"]
        return {"all": groups}

    def learning_rates(self) -> dict[str, float]:
        """Multiples of the learning rate for auxiliary networks, by name; 1 where none is given."""
        return {}

    def optimizer(self, name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of that name in :meth:`parameter_groups`; by default the one that params ask for."""
        p = self.params
        if p.optimizer == "adam":
            return torch.optim.Adam(groups, lr=p.lr, betas=(p.momentum, 0.999), weight_decay=p.weight_decay, fused=True)
        return torch.optim.SGD(groups, lr=p.lr, momentum=p.momentum, weight_decay=p.weight_decay, fused=True)

    def progress_after(self, epochs: float) -> float:
        """p ∈ [0, 1] of the schedules after so many epochs of the budget."""
        return epochs / max(self.task.epochs, 1)

    def after_epoch(self) -> None:
        """What follows an epoch's last step, before the epoch counts as done."""

    def step(self, source: Batch, target: Tensor, progress: float) -> dict[str, Tensor]:
        """One update; returns the losses to report. Override it for an update of several gradient steps.

        What overrides it adds :meth:`few_label_losses` to the network's losses, or is not ``semi_supervised``.
        """
        losses = self.losses(source, target, progress) | self.few_label_losses()
        self.minimise(losses)
        return losses

    def losses_on_few(self, few: Batch) -> dict[str, Tensor]:
        """The terms of the loss on a batch of the few labelled target samples, by name: their cross-entropy."""
        return {"target_classification": cross_entropy(self.forward(few.inputs).logits, few.labels)}

    def extra_state(self) -> StateDict:
        """What a method keeps besides networks and optimizers. Saved and handed to :meth:`load_extra_state`."""
        return {}

    def load_extra_state(self, state: StateDict) -> None:
        """Restore what :meth:`extra_state` returned."""

    # --- what a method calls ---

    def learn_from(self, labelled: Samples) -> None:
        """Draw source batches from these samples from now on; the larger of them and the target makes an epoch."""
        self._labelled = LabelledArray.of(labelled, self.device)
        whole = math.ceil(max(len(labelled), len(self.task.target_inputs)) / self.params.batch_size)
        self.steps_per_epoch = min(whole, self._most_steps)

    def start_optimizers(self) -> None:
        """New optimizers of :meth:`parameter_groups`, with nothing of former steps in them."""
        self.optimizers = {
            name: self.optimizer(name, _parameters(groups)) for name, groups in self.parameter_groups().items()
        }
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]

    def forward_pair(self, source: Tensor, target: Tensor) -> tuple[Output, Output]:
        """Both batches through the network; what its batch norms see, ``batch_norm_domains`` says."""
        if self.params.batch_norm_domains == "joint":
            n = len(source)
            both = self.forward(torch.cat([source, target]))
            return Output(*(t[:n] for t in both)), Output(*(t[n:] for t in both))
        return self.forward(source), self._forward_target(target)

    def forward_source(self, source: Tensor, target: Tensor) -> Output:
        """The first of :meth:`forward_pair`; the target passes only where it takes part in it."""
        return (
            self.forward_pair(source, target)[0] if self.params.batch_norm_domains == "joint" else self.forward(source)
        )

    def forward_target(self, source: Tensor, target: Tensor) -> Output:
        """The second of :meth:`forward_pair`; the source passes only where it takes part in it."""
        if self.params.batch_norm_domains == "joint":
            return self.forward_pair(source, target)[1]
        return self._forward_target(target)

    def _forward_target(self, target: Tensor) -> Output:
        if self.params.batch_norm_domains == "separate":
            return self.forward(target)
        with keeping_statistics(self.network):
            return self.forward(target)

    def few_label_losses(self) -> dict[str, Tensor]:
        """:meth:`losses_on_few` of a drawn batch; none where the protocol gives no target labels.

        The batch has ``batch_size`` samples, all different; where there are fewer, it has them all.
        """
        few = self._few
        if few is None:
            return {}
        rows = torch.randperm(len(few.labels))[: self.params.batch_size].to(self.device)
        return self.losses_on_few(Batch(self._train_inputs(few.inputs, rows), few.labels[rows]))

    def target_batches(self) -> Iterator[Tensor]:
        """The target inputs as evaluation sees them, in drawn batches of ``batch_size``, without a smaller last one."""
        size = min(self.params.batch_size, len(self._target_inputs))
        order = torch.randperm(len(self._target_inputs)).to(self.device)
        for rows in torch.split(order[: len(order) // size * size], size):
            yield self._eval_inputs(self._target_inputs[rows])

    def labelled_batches(self) -> Iterator[Batch]:
        """The samples that source batches are drawn of, in order and as evaluation sees them."""
        labelled = self._labelled
        for rows in torch.split(torch.arange(len(labelled), device=self.device), _PREDICT_BATCH[self._kind]):
            yield Batch(self._eval_inputs(labelled.inputs[labelled.places(rows)]), labelled.labels[rows])

    def forward(self, inputs: Tensor, network: nn.Module | None = None) -> Output:
        """The network (or another of its form) in mixed precision where that is on; what comes out is float32."""
        network = network if network is not None else self.network
        if not self._mixed_precision:
            output: Output = network(inputs)
            return output
        with torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16):
            output = network(inputs)
        return Output(*(t.float() for t in output))

    def minimise(self, losses: Mapping[str, Tensor], *optimizers: str) -> None:
        """One step of the named optimizers (all by default) down the gradient of the sum of ``losses``."""
        chosen = [self.optimizers[name] for name in (optimizers or self.optimizers)]
        parameters = [p for optimizer in chosen for group in optimizer.param_groups for p in group["params"]]
        # Only theirs: what a step does not move needs no gradient, and keeps none for the next step.
        torch.autograd.backward(reduce(operator.add, losses.values()), inputs=parameters)
        if self.params.grad_clip:
            nn.utils.clip_grad_norm_(parameters, self.params.grad_clip)
        for optimizer in chosen:
            optimizer.step()
        for parameter in parameters:
            parameter.grad = None

    # --- the loop ---

    @classmethod
    def budget(cls, params: Params, epochs: int) -> int:
        """Units of budget a full run takes: its epochs."""
        return epochs

    def fit_epoch(self) -> dict[str, float]:
        """Train for one epoch; return the mean over its steps of each loss."""
        seen: dict[str, list[Tensor]] = {}
        labelled, batch_size = self._labelled, self.params.batch_size
        with self._random_state.in_use():
            self._train_mode()
            source_rows = torch.split(self._source_order(), batch_size)
            target_order = shuffled(len(self._target_inputs), self._drawn).to(self.device)
            target_rows = torch.split(target_order, batch_size)
            for index in range(self.steps_per_epoch):
                progress = self.progress_after(self.epoch + index / self.steps_per_epoch)
                self._set_learning_rate(progress)
                rows = source_rows[index]
                source = Batch(self._train_inputs(labelled.inputs, labelled.places(rows)), labelled.labels[rows])
                target = self._train_inputs(self._target_inputs, target_rows[index][: self._target_batch])
                for name, value in self.step(source, target, progress).items():
                    seen.setdefault(name, []).append(value.detach())
            self.after_epoch()
        self.epoch += 1
        # One look at the device an epoch: a look at every step would have it wait for each.
        means = {name: float(torch.stack(values).mean()) for name, values in seen.items()}
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise TrainingError(
                    f"the loss {name!r} of {self.name} is {mean} in epoch {self.epoch} (lr {self.params.lr}): "
                    f"lower lr, or set grad_clip"
                )
        return means

    def shorten_epoch(self, steps: int) -> float:
        """Make epochs of at most so many steps; return the share of a whole epoch that this is."""
        whole = self.steps_per_epoch
        self._most_steps = steps
        self.steps_per_epoch = min(steps, whole)
        return self.steps_per_epoch / whole

    def predict(self, inputs: NDArray[Any], domain: DomainRole = "target") -> Prediction:
        """Logits and bottleneck features in evaluation mode; images by their centre crop.

        Raises:
            TrainingError: the network's weights are no longer finite.
        """
        return self._predict(on_device(inputs, "cpu"))

    def predict_part(self, part: Part) -> Prediction:
        """Logits and bottleneck features of samples of the task, in evaluation mode.

        Raises:
            TrainingError: the network's weights are no longer finite.
            ValueError: the task has no such samples.
        """
        if part == "target":
            return self._predict(self._target_inputs)
        if part == "validation":  # few, and asked for at every epoch: their copy is kept
            return super().predict_part(part)
        # Taking samples of an array that trials share copies their inputs: not of all at once.
        samples = self.task.samples(part)
        pieces = np.array_split(np.arange(len(samples)), math.ceil(len(samples) / _PREDICT_COPIES[self._kind]))
        found = [self.predict(samples.take(rows).inputs) for rows in pieces]
        return Prediction(np.concatenate([p.logits for p in found]), np.concatenate([p.features for p in found]))

    @torch.no_grad()
    def _predict(self, inputs: Tensor) -> Prediction:
        self.nets.eval()
        logits, features = [], []
        for batch in torch.split(inputs, _PREDICT_BATCH[self._kind]):
            output = self.evaluate(self._eval_inputs(batch.to(self.device)))
            logits.append(output.logits)
            features.append(output.features)
        prediction = Prediction(torch.cat(logits).cpu().numpy(), torch.cat(features).cpu().numpy())
        if not np.isfinite(prediction.logits).all():
            raise TrainingError(f"the predictions of {self.name} are not finite after epoch {self.epoch}: lower lr")
        return prediction

    def evaluate(self, inputs: Tensor) -> Output:
        """What :meth:`predict` says of a batch; another network than the trained one may (a mean teacher)."""
        return self.forward(inputs)

    def module(self) -> nn.Module:
        """The networks as :meth:`predict` uses them."""
        return _Predictor(self).eval()

    def state_dict(self) -> StateDict:
        """Networks, optimizers, epoch and random state: enough to continue bit for bit on CPU. Copies, on CPU."""
        state: StateDict = {
            "epoch": self.epoch,
            "nets": dict(self.nets.state_dict()),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "random": self._random_state.state_dict(),
            "extra": self.extra_state(),
        }
        copied: StateDict = _copied_to_cpu(state)
        return copied

    def model_state(self) -> StateDict:
        """Networks and what a method keeps besides; neither optimizers nor random state. Copies, on CPU."""
        copied: StateDict = _copied_to_cpu({"nets": dict(self.nets.state_dict()), "extra": self.extra_state()})
        return copied

    def load_model_state(self, state: StateDict) -> None:
        """Predict as the model did whose :meth:`model_state` this is."""
        self.nets.load_state_dict(state["nets"])
        self.load_extra_state(state["extra"])

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from what :meth:`state_dict` returned, for the same task, params and seed."""
        self.epoch = state["epoch"]
        self.nets.load_state_dict(state["nets"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self._random_state.load_state_dict(state["random"])
        self.load_extra_state(state["extra"])

    # --- inside ---

    @property
    def _drawn(self) -> int:
        return self.steps_per_epoch * self.params.batch_size

    @property
    def _target_batch(self) -> int | None:
        return None if self.draws_target else 0

    def _source_order(self) -> Tensor:
        """Row numbers of the labelled samples for one epoch of batches."""
        if not self.class_balanced:
            return shuffled(len(self._labelled), self._drawn).to(self.device)
        return class_balanced(self._labelled.labels.cpu(), self._drawn).to(self.device)

    def _train_inputs(self, held: Tensor, rows: Tensor) -> Tensor:
        chosen = held[rows]
        if self._crops and len(rows):
            chosen = random_crop_flip(chosen)
        return chosen.contiguous(memory_format=torch.channels_last) if self._images else chosen

    def _eval_inputs(self, batch: Tensor) -> Tensor:
        chosen = centre_crop(batch) if self._crops else batch
        return chosen.contiguous(memory_format=torch.channels_last) if self._images else chosen

    def _train_mode(self) -> None:
        self.nets.train()
        if self.params.freeze_batch_norm and self.task.training == "finetune":
            for module in self.network.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def _set_learning_rate(self, progress: float) -> None:
        p = self.params
        factor = learning_rate_factor(p.lr_schedule, progress, p.lr_alpha, p.lr_beta, p.lr_step, p.lr_decay)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * group["multiplier"] * factor


class _Predictor(nn.Module):
    """Inputs → logits of a method, whose networks it holds."""

    def __init__(self, method: DeepMethod) -> None:
        super().__init__()
        self.nets = method.nets
        self._method = method

    def forward(self, inputs: Tensor) -> Tensor:
        return self._method.evaluate(self._method._eval_inputs(inputs)).logits


class AdaptationMethod(DeepMethod):
    """A deep method whose adaptation term has a weight λ with a schedule."""

    params_type = AdaptationParams
    params: AdaptationParams

    def weight(self, progress: float) -> float:
        """λ at ``progress``: the trade-off times its schedule, which begins at ``lambda_start``."""
        p = self.params
        if not self.started(progress):
            return 0.0
        return p.trade_off * lambda_factor(p.lambda_schedule, progress - p.lambda_start, p.lambda_gamma)

    def started(self, progress: float) -> bool:
        """Whether the term has joined at ``progress``."""
        return progress >= self.params.lambda_start


def _parameters(groups: Iterable[tuple[nn.Module, float]]) -> list[dict[str, Any]]:
    """Parameter groups as optimizers take them; modules without parameters make none."""
    return [
        {"params": parameters, "multiplier": multiplier}
        for module, multiplier in groups
        if (parameters := [p for p in module.parameters() if p.requires_grad])
    ]


def _copied_to_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _copied_to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied_to_cpu(item) for item in value]
    return value
