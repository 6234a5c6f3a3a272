"""Blocks: every parameter in one of them, from the input to the output."""

import numpy as np
import pytest
import torch
from torch import nn

from transfer_sweep.algorithms.networks.backbones import BACKBONES
from transfer_sweep.algorithms.networks.blocks import blocks
from transfer_sweep.algorithms.networks.network import build_network

CASES = {
    "resnet50": ((3, 224, 224), 7),  # stem, four stages, bottleneck, classifier
    "resnet18": ((3, 224, 224), 7),
    "alexnet": ((3, 224, 224), 9),  # five convolutions, fc6, fc7, bottleneck, classifier
    "efficientnet_lite0": ((3, 224, 224), 20),
    "small_cnn": ((1, 28, 28), 4),
    "digit_network": ((1, 28, 28), 5),
    "mcd_network": ((1, 28, 28), 5),
    "ganin_network": ((1, 28, 28), 5),
}


@pytest.mark.parametrize("name", CASES)
def test_blocks_hold_every_parameter_once_in_the_order_of_the_network(name: str) -> None:
    shape, count = CASES[name]
    network = build_network(name, shape, 10)
    found = blocks(network, name)
    assert len(found) == count
    held = [id(p) for block in found for module in block for p in module.parameters()]
    assert held == [id(p) for p in network.parameters()]
    assert all(any(p.ndim > 1 for module in block for p in module.parameters()) for block in found)


def test_a_batch_norm_goes_with_the_layer_before_it() -> None:
    (linear, norm), (classifier,) = blocks(build_network("efficientnet_lite0", (12,), 10), "efficientnet_lite0")
    assert isinstance(linear, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(classifier, nn.Linear)


def test_on_vectors_without_a_bottleneck_the_classifier_is_the_only_block() -> None:
    assert len(blocks(build_network("resnet50", (12,), 10, bottleneck=0), "resnet50")) == 1


@pytest.mark.parametrize("name", ["resnet18", "small_cnn"])
def test_a_frozen_block_decides_the_output_of_the_next(name: str) -> None:
    """Blocks are what the network computes one after another: changing one leaves the outputs of those below."""
    shape, _ = CASES[name]
    torch.manual_seed(0)
    network = build_network(name, shape, 10).eval()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8))
    found = blocks(network, name)
    outputs: list[torch.Tensor] = []
    for block in found:
        block[-1].register_forward_hook(lambda _m, _i, out: outputs.append(out.clone()))
    with torch.no_grad():
        network(images)
        before, middle = list(outputs), len(found) // 2
        outputs.clear()
        for parameter in found[middle][0].parameters():
            parameter.mul_(2.0)
        network(images)
    same = [torch.equal(a, b) for a, b in zip(before, outputs, strict=True)]
    assert same[:middle] == [True] * middle
    assert not any(same[middle:])


def test_every_backbone_names_its_blocks() -> None:
    assert all(backbone.blocks for backbone in BACKBONES.values())
