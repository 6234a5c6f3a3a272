"""Convolutional networks for small images, trained from scratch: ours, and those of the papers.

A paper's name stands for the networks that it uses, one for each size of image: 28 pixels for MNIST, USPS and
MNIST-M, 32 where SVHN takes part, 40 for traffic signs. Each takes grey or colour images. Where a paper has no
batch norm or has dense layers of its own, so has the network here; ``dropout`` is the rate of the layers that the
paper has, in their places.

Pooling comes before ReLU, which commutes with the maximum: the same numbers, with a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor, nn


class Parts(NamedTuple):
    """A network in the parts that methods see.

    Attributes:
        backbone: (n, c, h, w) float images → (n, d₀).
        linear: (n, d₀) → (n, d), the first dense layer; the identity where the classifier has them all.
        activation: what follows it, (n, d) → (n, d); the classifier and the adaptation work on its output.
        dim: d.
        classifier: makes a classifier, (n, d) → (n, K), for K classes; MCD makes two.
        inputs: what the backbone takes of grey levels: the range that the data set's options say, [0, 1] whatever they
            say, or 0–255 as they are, to standardise them itself.
    """

    backbone: nn.Module
    linear: nn.Module
    activation: nn.Module
    dim: int
    classifier: Callable[[int], nn.Module]
    inputs: Literal["option", "unit", "grey"] = "option"


def _unit(
    inputs: int, outputs: int, kernel: int, padding: int = 0, pool: nn.Module | None = None, norm: bool = True
) -> list[nn.Module]:
    """Convolution, batch norm, pooling, ReLU."""
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=padding),
        *([nn.BatchNorm2d(outputs)] if norm else []),
        *([pool] if pool is not None else []),
        nn.ReLU(),
    ]


def _block(inputs: int, outputs: int, count: int, pool: nn.Module | None = None) -> list[nn.Module]:
    """``count`` 3×3 convolutions that keep the size, each with batch norm and ReLU; pooling at the end."""
    layers: list[nn.Module] = []
    for index in range(count):
        last = index == count - 1
        layers += _unit(inputs if index == 0 else outputs, outputs, 3, padding=1, pool=pool if last else None)
    return layers


def _global_mean() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]


def small_cnn(channels: int) -> nn.Module:
    """Ours: two 5×5 convolutions (16 and 32 maps), each with batch norm, ReLU and 2×2 pooling, flattened.

    An epoch of 2000 images takes about a second on one CPU core.
    """
    return nn.Sequential(
        *_unit(channels, 16, 5, padding=2, pool=nn.MaxPool2d(2)),
        *_unit(16, 32, 5, padding=2, pool=nn.MaxPool2d(2)),
        nn.Flatten(),
    )


# --- French et al. 2018, Self-ensembling for Visual Domain Adaptation (ICLR), appendix D ---


def _french_28(channels: int, dropout: float) -> Parts:
    """MNIST–USPS: 5×5×32, pool, 3×3×64 twice, pool; 1024 numbers; dropout; 256 dense units."""
    backbone = nn.Sequential(
        *_unit(channels, 32, 5, pool=nn.MaxPool2d(2)),
        *_unit(32, 64, 3),
        *_unit(64, 64, 3, pool=nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Dropout(dropout),
    )
    return Parts(backbone, nn.Linear(1024, 256), nn.ReLU(), 256, lambda classes: nn.Linear(256, classes))


def _french_32(channels: int, dropout: float) -> Parts:
    """SVHN–MNIST in grey, a smaller network; in colour, the one that it shares with SYN DIGITS–SVHN."""
    if channels == 1:
        backbone = nn.Sequential(
            *_block(channels, 32, 2, nn.MaxPool2d(2)),
            *_block(32, 64, 3, nn.MaxPool2d(2)),
            *_block(64, 128, 3, nn.MaxPool2d(2)),
            *_global_mean(),
            nn.Dropout(dropout),
        )
        return Parts(backbone, nn.Linear(128, 128), nn.ReLU(), 128, lambda classes: nn.Linear(128, classes))
    backbone = nn.Sequential(
        *_block(channels, 128, 3, nn.MaxPool2d(2)),
        nn.Dropout(dropout),
        *_block(128, 256, 3, nn.MaxPool2d(2)),
        nn.Dropout(dropout),
        *_unit(256, 512, 3),
        *_unit(512, 256, 1),
        *_unit(256, 128, 1),
        *_global_mean(),
    )
    return Parts(backbone, nn.Identity(), nn.Identity(), 128, lambda classes: nn.Linear(128, classes))


def _french_40(channels: int, dropout: float) -> Parts:
    """SYN SIGNS–GTSRB: three blocks of three convolutions of 96, 192 and 384 maps."""
    backbone = nn.Sequential(
        *_block(channels, 96, 3, nn.MaxPool2d(2)),
        *_block(96, 192, 3, nn.MaxPool2d(2)),
        *_block(192, 384, 3, nn.MaxPool2d(2)),
        nn.Dropout(dropout),
        *_global_mean(),
    )
    return Parts(backbone, nn.Identity(), nn.Identity(), 384, lambda classes: nn.Linear(384, classes))


# --- Saito et al. 2018, Maximum Classifier Discrepancy (CVPR), as in the authors' code ---


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]


def _saito_28(channels: int, dropout: float) -> Parts:
    """MNIST–USPS: 5×5×32, pool, 5×5×48, pool; 768 numbers. Classifiers: 100, 100, K, dropout before each."""
    backbone = nn.Sequential(
        *_unit(channels, 32, 5, pool=nn.MaxPool2d(2)), *_unit(32, 48, 5, pool=nn.MaxPool2d(2)), nn.Flatten()
    )

    def classifier(classes: int) -> nn.Module:
        drop = nn.Dropout(dropout)
        return nn.Sequential(drop, *_dense(768, 100), drop, *_dense(100, 100), drop, nn.Linear(100, classes))

    return Parts(backbone, nn.Identity(), nn.Identity(), 768, classifier)


def _saito_32(channels: int, dropout: float) -> Parts:
    """SVHN–MNIST: 5×5×64, pool, 5×5×64, pool, 5×5×128; 3072 dense units. Classifiers: 2048, K."""
    backbone = nn.Sequential(
        *_unit(channels, 64, 5, 2, nn.MaxPool2d(3, 2, 1)),
        *_unit(64, 64, 5, 2, nn.MaxPool2d(3, 2, 1)),
        *_unit(64, 128, 5, 2),
        nn.Flatten(),
    )
    activation = nn.Sequential(nn.BatchNorm1d(3072), nn.ReLU(), nn.Dropout(dropout))

    def classifier(classes: int) -> nn.Module:
        return nn.Sequential(*_dense(3072, 2048), nn.Linear(2048, classes))

    return Parts(backbone, nn.Linear(8192, 3072), activation, 3072, classifier)


def _saito_40(channels: int, dropout: float) -> Parts:
    """SYN SIGNS–GTSRB: 5×5×96, 3×3×144, 5×5×256, each pooled; 6400 numbers. Classifiers: 512, dropout, K."""
    backbone = nn.Sequential(
        *_unit(channels, 96, 5, 2, nn.MaxPool2d(2)),
        *_unit(96, 144, 3, 1, nn.MaxPool2d(2)),
        *_unit(144, 256, 5, 2, nn.MaxPool2d(2)),
        nn.Flatten(),
    )

    def classifier(classes: int) -> nn.Module:
        return nn.Sequential(*_dense(6400, 512), nn.Dropout(dropout), nn.Linear(512, classes))

    return Parts(backbone, nn.Identity(), nn.Identity(), 6400, classifier)


# --- Ganin & Lempitsky 2015, Unsupervised Domain Adaptation by Backpropagation (ICML), figures of the supplement ---


def _ganin(backbone: nn.Module, dim: int, units: tuple[int, ...], dropout: float) -> Parts:
    """No batch norm; dropout, of which the text speaks, at the end of the feature extractor, as replications have it.

    Args:
        backbone: the feature extractor, before it is flattened.
        dim: of its features.
        units: of the dense layers of the label predictor, below the classes.
        dropout: rate.
    """

    def classifier(classes: int) -> nn.Module:
        layers: list[nn.Module] = []
        for inputs, outputs in zip((dim, *units), units, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(units[-1], classes))

    return Parts(nn.Sequential(backbone, nn.Flatten()), nn.Identity(), nn.Dropout(dropout), dim, classifier)


def _ganin_28(channels: int, dropout: float) -> Parts:
    """MNIST: 5×5×32, pool, 5×5×48, pool; label predictor 100, 100, K."""
    backbone = nn.Sequential(
        *_unit(channels, 32, 5, pool=nn.MaxPool2d(2), norm=False), *_unit(32, 48, 5, pool=nn.MaxPool2d(2), norm=False)
    )
    return _ganin(backbone, 768, (100, 100), dropout)


def _ganin_svhn(side: int) -> Callable[[int, float], Parts]:
    """SVHN: 5×5×64, 3×3 pool of stride 2, again, 5×5×128; label predictor 3072, 2048, K; here with padding."""

    def build(channels: int, dropout: float) -> Parts:
        backbone = nn.Sequential(
            *_unit(channels, 64, 5, 2, nn.MaxPool2d(3, 2, 1), norm=False),
            *_unit(64, 64, 5, 2, nn.MaxPool2d(3, 2, 1), norm=False),
            *_unit(64, 128, 5, 2, norm=False),
        )
        return _ganin(backbone, 128 * (side // 4) ** 2, (3072, 2048), dropout)

    return build


def _ganin_40(channels: int, dropout: float) -> Parts:
    """GTSRB: 5×5×96, 3×3×144, 5×5×256, each pooled; label predictor 512, K."""
    backbone = nn.Sequential(
        *_unit(channels, 96, 5, pool=nn.MaxPool2d(2), norm=False),
        *_unit(96, 144, 3, pool=nn.MaxPool2d(2), norm=False),
        *_unit(144, 256, 5, pool=nn.MaxPool2d(2), norm=False),
    )
    return _ganin(backbone, 1024, (512,), dropout)


# --- Long et al. 2018, Conditional Adversarial Domain Adaptation (NeurIPS), as in the authors' code ---


def _lenet(channels: int, dropout: float) -> Parts:
    """MNIST–USPS: 5×5×20, pool, 5×5×50 with dropout of whole maps, pool; 500 dense units, dropout. No batch norm."""
    backbone = nn.Sequential(
        *_unit(channels, 20, 5, pool=nn.MaxPool2d(2), norm=False),
        nn.Conv2d(20, 50, 5),
        nn.Dropout2d(dropout),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
    )
    activation = nn.Sequential(nn.ReLU(), nn.Dropout(dropout))
    return Parts(backbone, nn.Linear(800, 500), activation, 500, lambda classes: nn.Linear(500, classes))


# --- Haeusser et al. 2017, Associative Domain Adaptation (ICCV), as in the authors' code (``svhn_model``) ---


class ImageStandardisation(nn.Module):
    """(n, c, h, w) images x of grey levels 0–255 → (x − mean) / (variance + 10⁻⁵) of each image and channel.

    By the variance, as the authors' code has it, not by its root: what comes out is small, about 1/80 on digits, and
    so are embeddings and their products at the start of training.
    """

    def forward(self, images: Tensor) -> Tensor:
        levels = images.float()
        centred = levels - levels.mean(dim=(2, 3), keepdim=True)
        return centred / (centred.square().mean(dim=(2, 3), keepdim=True) + 1e-5)


def _glorot(module: nn.Module) -> None:
    """Start as the code's library does: Glorot's uniform weights (Glorot 2010), no biases."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _haeusser(side: int) -> Callable[[int, float], Parts]:
    """Three blocks of three 3×3 convolutions of 32, 64 and 128 maps, each pooled; an embedding of 128. ELU throughout.

    No batch norm, no dropout. The code brings digits to 32 pixels and leaves traffic signs at 40.
    """

    def build(channels: int, _dropout: float) -> Parts:
        layers: list[nn.Module] = [ImageStandardisation()]
        for inputs, outputs in ((channels, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ELU()]
            layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ELU()]
            layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.MaxPool2d(2), nn.ELU()]
        backbone = nn.Sequential(*layers, nn.Flatten()).apply(_glorot)
        embedding = nn.Linear(128 * (side // 8) ** 2, 128).apply(_glorot)
        return Parts(backbone, embedding, nn.ELU(), 128, lambda k: nn.Linear(128, k).apply(_glorot), inputs="grey")

    return build


# --- Shen et al. 2018, Wasserstein Distance Guided Representation Learning (AAAI), as in the authors' code ---


def _tenth(module: nn.Module) -> None:
    """Start as the authors' code does: normal weights of deviation 0.1, cut at two of them; biases of 0.1."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.1, a=-0.2, b=0.2)
        if module.bias is not None:
            nn.init.constant_(module.bias, 0.1)


def _shen_28(channels: int, _dropout: float) -> Parts:
    """MNIST–USPS: 5×5×32, pool, 5×5×64, pool, with padding; 1024 dense units. No batch norm, no dropout.

    The weight of WDGRL's distance goes with the size of the features, and with it the start of the weights and the
    range of the inputs, [0, 1].
    """
    backbone = nn.Sequential(
        *_unit(channels, 32, 5, 2, nn.MaxPool2d(2), norm=False),
        *_unit(32, 64, 5, 2, nn.MaxPool2d(2), norm=False),
        nn.Flatten(),
    ).apply(_tenth)
    dense = nn.Linear(3136, 1024).apply(_tenth)
    return Parts(
        backbone, dense, nn.ReLU(), 1024, lambda classes: nn.Linear(1024, classes).apply(_tenth), inputs="unit"
    )


PUBLISHED: dict[str, dict[int, Callable[[int, float], Parts]]] = {
    "digit_network": {28: _french_28, 32: _french_32, 40: _french_40},
    "mcd_network": {28: _saito_28, 32: _saito_32, 40: _saito_40},
    "cdan_lenet": {28: _lenet},
    "ganin_network": {28: _ganin_28, 32: _ganin_svhn(32), 40: _ganin_40},
    "svhn_network": {28: _ganin_svhn(28), 32: _ganin_svhn(32)},
    "association_network": {side: _haeusser(side) for side in (28, 32, 40)},
    "wdgrl_network": {28: _shen_28},
}
"""Name, as in ``paper_results.csv`` → side of the images in pixels → builds it for (channels, dropout rate).

``svhn_network`` is Ganin's for SVHN on smaller images, too, as a replication of DANN has it.
"""

SCRATCH = ("small_cnn", *PUBLISHED)
"""Networks that are trained from scratch."""
