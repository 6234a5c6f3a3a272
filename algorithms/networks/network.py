"""The network that methods adapt: backbone, bottleneck, classifier.

On frozen features or raw vectors the backbone is the identity; on images it is a network of
:mod:`backbones` or :mod:`convolutional`, by name. The bottleneck is the
adaptation layer of Tzeng 2014 in the form of Long 2018: its output is what methods call *the features*. Networks
of the papers on digits and signs bring their own dense layers instead.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transfer_sweep.algorithms.base import StateDict
from transfer_sweep.algorithms.networks.backbones import BACKBONES, BackboneError, Normalize, build_backbone
from transfer_sweep.algorithms.networks.batch_norm import BATCH_NORMS
from transfer_sweep.algorithms.networks.convolutional import PUBLISHED, SCRATCH, Parts, small_cnn
from transfer_sweep.datasets.base import ValueRange

_GREY_LEVELS = {"symmetric": (127.5, 127.5), "unit": (0.0, 255.0)}  # mean and scale that bring 0–255 to the range


class Output(NamedTuple):
    """What the network makes of n inputs.

    Attributes:
        backbone: (n, d₀) what leaves the backbone.
        hidden: (n, d) the bottleneck's linear map of it, before batch norm and ReLU.
        features: (n, d) what leaves the bottleneck.
        logits: (n, K) class scores.
    """

    backbone: Tensor
    hidden: Tensor
    features: Tensor
    logits: Tensor


class Network(nn.Module):
    """Backbone → bottleneck (a linear map, then what follows it) → classifier.

    Args:
        parts: of the network, for images of grey levels 0–255 or for vectors.
        num_classes: K.

    Attributes:
        dim: d, the number of features.
        num_classes: K.
    """

    def __init__(self, parts: Parts, num_classes: int) -> None:
        super().__init__()
        self.backbone = parts.backbone
        self.bottleneck = nn.ModuleDict({"linear": parts.linear, "activation": parts.activation})
        self.classifier = parts.classifier(num_classes)
        self.dim = parts.dim
        self.num_classes = num_classes
        self._classifier = parts.classifier

    def another_classifier(self) -> nn.Module:
        """A classifier of the form of :attr:`classifier`, with its own random start."""
        return self._classifier(self.num_classes)

    def forward(self, inputs: Tensor) -> Output:
        """(n, d₀) float vectors or (n, c, h, w) uint8 images → :class:`Output`."""
        deep = self.backbone(inputs)
        hidden = self.bottleneck["linear"](deep)
        features = self.bottleneck["activation"](hidden)
        return Output(deep, hidden, features, self.classifier(features))


@lru_cache
def has_batch_norm(name: str, training: str, bottleneck: int, batch_norm: bool, frozen: bool = False) -> bool:
    """Whether a network normalises by the moments of a batch anywhere.

    Args:
        name: the backbone.
        training: as in :class:`~transfer_sweep.algorithms.base.Task`; on vectors, the bottleneck is all there is.
        bottleneck, batch_norm: as for :func:`build_network`.
        frozen: whether a pretrained backbone keeps its statistics.
    """
    in_bottleneck = bottleneck > 0 and batch_norm
    if training in ("raw", "frozen") or (training == "finetune" and frozen):
        return in_bottleneck
    with torch.device("meta"):
        if name in PUBLISHED:
            parts = next(iter(PUBLISHED[name].values()))(1, 0.0)
            modules = [parts.backbone, parts.activation, parts.classifier(2)]
            return any(isinstance(each, BATCH_NORMS) for module in modules for each in module.modules())
        backbone = small_cnn(1) if name == "small_cnn" else build_backbone(name)
    return in_bottleneck or any(isinstance(each, BATCH_NORMS) for each in backbone.modules())


def build_network(
    name: str,
    input_shape: tuple[int, ...],
    num_classes: int,
    bottleneck: int = 256,
    batch_norm: bool = True,
    dropout: float = 0.5,
    pretrained: StateDict | None = None,
    values: ValueRange = "symmetric",
) -> Network:
    """The network for inputs of one form.

    Args:
        name: the backbone; of no account where the inputs are vectors already.
        input_shape: (d₀,) or (c, h, w), of one sample.
        num_classes: K.
        bottleneck: d, units of the bottleneck; 0 for none, which leaves the backbone's features as they are. A
            published network has its own.
        batch_norm: whether the bottleneck has it; likewise.
        dropout: probability in the bottleneck, or in the published network's dropout layers.
        pretrained: the backbone's weights.
        values: what a network trained from scratch sees of grey levels.

    Raises:
        BackboneError: there is no such network, it does not take images of this size, or the weights are not its own.
    """
    images = len(input_shape) > 1
    if images and name in PUBLISHED:
        parts = _published(name, input_shape, dropout)
    else:
        parts = _with_bottleneck(name, input_shape, bottleneck, batch_norm, dropout, pretrained)
    if images and name in SCRATCH and parts.inputs != "grey":
        mean, scale = _GREY_LEVELS["unit" if parts.inputs == "unit" else values]
        parts = parts._replace(backbone=nn.Sequential(Normalize((mean,), (scale,)), parts.backbone))
    return Network(parts, num_classes)


def _published(name: str, input_shape: tuple[int, ...], dropout: float) -> Parts:
    channels, *sides = input_shape
    sizes = PUBLISHED[name]
    if sides not in ([size, size] for size in sizes):
        known = ", ".join(f"{size}×{size}" for size in sizes)
        raise BackboneError(f"{name} takes images of {known} pixels, not {'×'.join(map(str, sides))}")
    return sizes[sides[0]](channels, dropout)


def _with_bottleneck(
    name: str,
    input_shape: tuple[int, ...],
    units: int,
    batch_norm: bool,
    dropout: float,
    pretrained: StateDict | None,
) -> Parts:
    backbone: nn.Module
    if len(input_shape) == 1:
        backbone, dim = nn.Identity(), input_shape[0]
    elif name == "small_cnn":
        backbone = small_cnn(input_shape[0])
        with torch.no_grad():
            dim = backbone.eval()(torch.zeros(1, *input_shape)).shape[1]
        backbone.train()
    elif name in BACKBONES:
        backbone, dim = build_backbone(name, pretrained), BACKBONES[name].dim
    else:
        raise BackboneError(f"no network {name!r} for images; there are {', '.join(sorted([*SCRATCH, *BACKBONES]))}")

    def classifier(classes: int) -> nn.Module:
        return nn.Linear(units or dim, classes)

    if not units:
        return Parts(backbone, nn.Identity(), nn.Dropout(dropout), dim, classifier)
    activation = nn.Sequential(*([nn.BatchNorm1d(units)] if batch_norm else []), nn.ReLU(), nn.Dropout(dropout))
    return Parts(backbone, nn.Linear(dim, units), activation, units, classifier)
