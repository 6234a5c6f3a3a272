"""Image augmentation in batches, on the device the images are on: crops and flips, affine maps, noise.

The transforms of torchvision.transforms.v2 draw one crop and one coin for a whole batch tensor; training wants
them per image, and one gather over the stored images does that without a loop.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

CROP = 224  # pixels: the ImageNet input size of every backbone here


def random_crop_flip(images: Tensor, size: int = CROP) -> Tensor:
    """A random crop of each image, mirrored with probability ½ (Krizhevsky 2012, section 4.1).

    Args:
        images: (n, c, h, w) with h, w ≥ size.
        size: height and width of the crop in pixels.

    Returns:
        (n, c, size, size), of the images' dtype.
    """
    n, channels, height, width = images.shape
    # Drawn on the CPU, so that a seed gives the same crops on every device.
    top = torch.randint(height - size + 1, (n, 1)).to(images.device)
    left = torch.randint(width - size + 1, (n, 1)).to(images.device)
    mirror = (torch.rand(n, 1) < 0.5).to(images.device)
    offsets = torch.arange(size, device=images.device)
    rows = top + offsets
    columns = left + torch.where(mirror, size - 1 - offsets, offsets)
    return images[
        torch.arange(n, device=images.device)[:, None, None, None],
        torch.arange(channels, device=images.device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def centre_crop(images: Tensor, size: int = CROP) -> Tensor:
    """The middle of each image (n, c, h, w) → (n, c, size, size); a view."""
    top, left = ((extent - size) // 2 for extent in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def random_affine(images: Tensor, std: float, translation: float, mirror: bool = False) -> Tensor:
    """Each image under its own affine map about its centre, bilinear; what comes into view is 0 (French 2018).

    A pixel at p goes to (I + E) p + t, with E drawn from N(0, std²) and t uniformly from ± ``translation``.

    Args:
        images: (n, c, h, w) float.
        std: of the four entries of E.
        translation: in pixels, along each axis.
        mirror: whether half of the images are mirrored left to right first.

    Returns:
        (n, c, h, w).
    """
    n, _, height, width = images.shape
    # Drawn on the CPU, so that a seed gives the same maps on every device.
    linear = torch.eye(2) + std * torch.randn(n, 2, 2)
    if mirror:
        linear[:, :, 0] *= torch.where(torch.rand(n, 1) < 0.5, -1.0, 1.0)
    shift = translation * (2 * torch.rand(n, 2, 1) - 1) * torch.tensor([[2 / width], [2 / height]])
    # Sampling asks where a pixel comes from. A map too close to singular for that is as good as any other.
    back = torch.linalg.pinv(linear)
    theta = torch.cat([back, -back @ shift], dim=2).to(images.device)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def random_intensity(images: Tensor, low: float, high: float, offset: float, flip: bool) -> Tensor:
    """Each image times a factor from U(low, high), plus one from U(−offset, offset) (French 2018, MNIST ↔ SVHN).

    Args:
        images: (n, c, h, w) float, standardised: of mean 0 and variance 1.
        low, high: bounds of the factor; 1, 1 for none.
        offset: largest offset.
        flip: whether half of the images are inverted first.

    Returns:
        (n, c, h, w).
    """
    shape = (len(images), 1, 1, 1)
    factor = low + (high - low) * torch.rand(shape)
    if flip:
        factor = torch.where(torch.rand(shape) < 0.5, -factor, factor)
    shift = offset * (2 * torch.rand(shape) - 1)
    return images * factor.to(images.device) + shift.to(images.device)
