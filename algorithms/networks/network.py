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
        features: (n, d) what leaves the bottleneck.
        logits: (n, K) class scores.
    """

    backbone: Tensor
    features: Tensor
    logits: Tensor


class Network(nn.Module):
    """Backbone → bottleneck → linear classifier.

    Attributes:
        dim: d, the number of features.
        num_classes: K.
    """

    def __init__(self, backbone: nn.Module, bottleneck: nn.Module, dim: int, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.bottleneck = bottleneck
        self.classifier = nn.Linear(dim, num_classes)
        self.dim = dim
        self.num_classes = num_classes

    def forward(self, inputs: Tensor) -> Output:
        """(n, d₀) float vectors or (n, c, h, w) uint8 images → :class:`Output`."""
        deep = self.backbone(inputs)
        features = self.bottleneck(deep)
        return Output(deep, features, self.classifier(features))


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
    dropout: float = 0.5,
    pretrained: StateDict | None = None,
) -> Network:
    """The network for inputs of one form.

    Args:
        name: the backbone; of no account where the inputs are vectors already.
        input_shape: (d₀,) or (c, h, w), of one sample.
        num_classes: K.
        bottleneck: d, units of the bottleneck; 0 for none, which leaves the backbone's features as they are.
        dropout: probability in the bottleneck.
        pretrained: the backbone's weights.

    Raises:
        BackboneError: there is no such network, or the weights are not its own.
    """
    backbone, dim = _backbone(name, input_shape, pretrained)
    if not bottleneck:
        return Network(backbone, nn.Dropout(dropout), dim, num_classes)
    plain = name in _PLAIN_BOTTLENECK and len(input_shape) > 1
    layers: list[nn.Module] = [nn.Linear(dim, bottleneck)]
    if not plain:
        layers.append(nn.BatchNorm1d(bottleneck))
    layers += [nn.ReLU(), nn.Dropout(dropout)]
    return Network(backbone, nn.Sequential(*layers), bottleneck, num_classes)
