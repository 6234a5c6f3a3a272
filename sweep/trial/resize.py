"""Pillow's bilinear resizing of 8-bit pictures, which training and ``predict`` use, as a torch module, bit for bit."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

_BITS = 22  # of the fixed-point weights with which Pillow resizes 8-bit pictures


class Resize(nn.Module):
    """Pictures (n, c, height, width) uint8 of any size → (n, c, size, size) uint8, whatever their proportions.

    Each axis in turn is multiplied by a matrix of weights: a triangle as wide as an output pixel is in the input (an
    input pixel, where the picture grows), in fixed-point numbers; each result is rounded to a grey level. In float64
    all of it is exact. Rounding in between makes the order of the axes matter: rows are resized first, in newer
    versions of Pillow columns where the picture loses more than twice as many rows as columns.

    Source: ``src/libImaging/Resample.c`` of Pillow; the order of version 13 is measured.

    Args:
        size: in pixels.
        columns_may_be_first: see above; None: as the installed Pillow does.
    """

    def __init__(self, size: int, columns_may_be_first: bool | None = None) -> None:
        super().__init__()
        self.size = size
        known = columns_may_be_first is None
        self.columns_may_be_first = pillow_may_resize_columns_first() if known else bool(columns_may_be_first)

    def forward(self, pictures: Tensor) -> Tensor:
        levels = pictures.to(torch.float64)
        height, down = self._axis(levels[0, 0, :, 0])
        width, across = self._axis(levels[0, 0, 0])
        resized = _grey(down @ _grey(levels @ across.T))
        if self.columns_may_be_first:
            lost = height - self.size
            columns_first = (lost > 0) & (lost > 2 * (width - self.size))
            resized = torch.where(columns_first, _grey(_grey(down @ levels) @ across.T), resized)
        return resized.to(torch.uint8)

    def _axis(self, line: Tensor) -> tuple[Tensor, Tensor]:
        """The length of an axis, of which ``line`` is one, as a tensor; and its weights (size, length)."""
        places = torch.ones_like(line).cumsum(0) - 0.5
        length = places[-1] + 0.5  # a tensor, so that a traced graph computes it for each picture
        scale = length / self.size
        centres = (torch.arange(self.size, dtype=torch.float64, device=line.device) + 0.5) * scale
        weights = (1 - (places - centres[:, None]).abs() / scale.clamp(min=1)).clamp(min=0)
        weights = weights / weights.sum(1, keepdim=True)
        return length, (weights * 2**_BITS + 0.5).floor()


def _grey(products: Tensor) -> Tensor:
    levels: Tensor = ((products + 2 ** (_BITS - 1)) / 2**_BITS).floor()
    return levels.clamp(0, 255)


@cache
def pillow_may_resize_columns_first() -> bool:
    """Whether the installed Pillow resizes the columns of a tall picture first: found by looking at one."""
    tall = np.random.default_rng(0).integers(0, 256, (131, 83, 3), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(tall).resize((64, 64), Image.Resampling.BILINEAR))
    pixels = torch.from_numpy(tall.transpose(2, 0, 1)[None].copy())
    rows_first = Resize(64, columns_may_be_first=False)(pixels)[0].numpy().transpose(1, 2, 0)
    return not np.array_equal(resized, rows_first)
