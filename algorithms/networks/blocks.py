"""A network in its blocks from the input on: what is frozen, tuned at a rate of its own, or copied as one."""

from __future__ import annotations

from torch import nn

from transfer_sweep.algorithms.networks.backbones import BACKBONES
from transfer_sweep.algorithms.networks.network import Network

Block = list[nn.Module]


def blocks(network: Network, name: str) -> list[Block]:
    """The blocks of a network, from the input to the classifier's last layer; together they hold every parameter once.

    Of a pretrained backbone they are those of :data:`BACKBONES` (a ResNet's stages);
    everywhere else a layer of weights, with the batch norm that follows it.

    Args:
        network: in whole.
        name: its backbone's.
    """
    found: list[Block] = []
    known = BACKBONES.get(name)
    if known is not None and isinstance(network.backbone, nn.Sequential):  # of vectors, the backbone is the identity
        trunk = network.backbone[-1]
        found += [[trunk.get_submodule(part) for part in block.split()] for block in known.blocks]
    else:
        found += _layers(network.backbone)
    return [*found, *_layers(network.bottleneck), *_layers(network.classifier)]


def _layers(module: nn.Module) -> list[Block]:
    found: list[Block] = []
    for part in module.modules():
        own = list(part.parameters(recurse=False))
        if any(parameter.ndim > 1 for parameter in own) or (own and not found):
            found.append([part])
        elif own:
            found[-1].append(part)
    return found
