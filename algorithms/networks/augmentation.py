"""Image augmentation in batches, on the device the images are on: random crop and flip, centre crop.

The transforms of torchvision.transforms.v2 draw one crop and one coin for a whole batch tensor; training wants
them per image, and one gather over the stored images does that without a loop.
"""

from __future__ import annotations

import torch
from torch import Tensor

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
