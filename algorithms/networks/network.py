"""The network that methods adapt: backbone, bottleneck, classifier.

On frozen features or raw vectors the backbone is the identity; on images it is a network of
:mod:`~algorithms.networks.backbones` or :mod:`~algorithms.networks.convolutional`, by name. The bottleneck is the
adaptation layer of Tzeng 2014 in the form of Long 2018: its output is what methods call *the features*.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from algorithms.base import StateDict
from algorithms.networks.backbones import BACKBONES, BackboneError, Normalize, build_backbone
from algorithms.networks.convolutional import digit_network, small_cnn

SCRATCH: dict[str, Callable[[int], nn.Module]] = {"small_cnn": small_cnn, "digit_network": digit_network}
# The published digit network has a plain dense layer of 256 units here, without batch norm.
_PLAIN_BOTTLENECK = {"digit_network"}


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
    """Backbone → bottleneck (a linear map, then batch norm, ReLU, dropout) → linear classifier.

    Attributes:
        dim: d, the number of features.
        num_classes: K.
    """

    def __init__(self, backbone: nn.Module, linear: nn.Module, activation: nn.Module, dim: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.bottleneck = nn.ModuleDict({"linear": linear, "activation": activation})
        self.classifier = nn.Linear(dim, classes)
        self.dim = dim
        self.num_classes = classes

    def forward(self, inputs: Tensor) -> Output:
        """(n, d₀) float vectors or (n, c, h, w) uint8 images → :class:`Output`."""
        deep = self.backbone(inputs)
        hidden = self.bottleneck["linear"](deep)
        features = self.bottleneck["activation"](hidden)
        return Output(deep, hidden, features, self.classifier(features))


def _backbone(name: str, input_shape: tuple[int, ...], pretrained: StateDict | None) -> tuple[nn.Module, int]:
    if len(input_shape) == 1:
        return nn.Identity(), input_shape[0]
    if name in SCRATCH:
        body = nn.Sequential(Normalize((127.5,), (127.5,)), SCRATCH[name](input_shape[0]))
        with torch.no_grad():
            dim = body.eval()(torch.zeros(1, *input_shape)).shape[1]
        return body.train(), dim
    if name in BACKBONES:
        return build_backbone(name, pretrained), BACKBONES[name].dim
    raise BackboneError(f"no network {name!r} for images; there are {', '.join(sorted([*SCRATCH, *BACKBONES]))}")


def build_network(
    name: str,
    input_shape: tuple[int, ...],
    num_classes: int,
    bottleneck: int = 256,
    batch_norm: bool = True,
    dropout: float = 0.5,
    pretrained: StateDict | None = None,
) -> Network:
    """The network for inputs of one form.

    Args:
        name: the backbone; of no account where the inputs are vectors already.
        input_shape: (d₀,) or (c, h, w), of one sample.
        num_classes: K.
        bottleneck: d, units of the bottleneck; 0 for none, which leaves the backbone's features as they are.
        batch_norm: whether the bottleneck has it; the published digit network's has none in any case.
        dropout: probability in the bottleneck.
        pretrained: the backbone's weights.

    Raises:
        BackboneError: there is no such network, or the weights are not its own.
    """
    backbone, dim = _backbone(name, input_shape, pretrained)
    if not bottleneck:
        return Network(backbone, nn.Identity(), nn.Dropout(dropout), dim, num_classes)
    normalised = batch_norm and not (name in _PLAIN_BOTTLENECK and len(input_shape) > 1)
    activation = nn.Sequential(*([nn.BatchNorm1d(bottleneck)] if normalised else []), nn.ReLU(), nn.Dropout(dropout))
    return Network(backbone, nn.Linear(dim, bottleneck), activation, bottleneck, num_classes)
