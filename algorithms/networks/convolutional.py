"""Small convolutional networks for digits, trained from scratch.

``digit_network`` is the network of French 2018 for MNIST–USPS; ``small_cnn`` is ours, made so that an epoch of
2000 images takes about a second on one CPU core. Both take (n, c, h, w) uint8 images, grey or colour, of 28
or 32 pixels.
"""

from __future__ import annotations

from torch import nn


def _unit(inputs: int, outputs: int, kernel: int, padding: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.BatchNorm2d(outputs), nn.ReLU()]


def small_cnn(channels: int) -> nn.Module:
    """Two 5×5 convolutions (16 and 32 maps), each with batch norm, ReLU and 2×2 pooling, flattened."""
    return nn.Sequential(
        *_unit(channels, 16, 5, padding=2),
        nn.MaxPool2d(2),
        *_unit(16, 32, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )


def digit_network(channels: int) -> nn.Module:
    """The MNIST–USPS network up to its first dense layer (French 2018, table of architectures in the appendix).

    Convolutions 5×5×32, then 3×3×64 twice, unpadded, each with batch norm and ReLU; pooling after the first
    and the last; dropout ½. A 28×28 image leaves as 1024 numbers.
    """
    return nn.Sequential(
        *_unit(channels, 32, 5),
        nn.MaxPool2d(2),
        *_unit(32, 64, 3),
        *_unit(64, 64, 3),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
    )
