"""A photograph as a cartoon, a drawing or a silhouette: what no camera took, of the same things.

Everything is computed from the pixels, without chance. Pixels may differ in the last bit between versions of Pillow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from scipy import ndimage

VERSION = 1  # part of a cache's key: change it with what a style looks like
_STRONG = 98  # percentile of an image's gradients that counts as a whole edge


def photo(image: Image.Image) -> NDArray[np.uint8]:
    """The picture itself. All styles: an RGB picture → (h, w, 3) uint8."""
    return np.asarray(image)


def cartoon(image: Image.Image) -> NDArray[np.uint8]:
    """Four levels a colour, after a median over 5×5 pixels, with black outlines."""
    levels = np.asarray(ImageOps.posterize(image.filter(ImageFilter.MedianFilter(5)), 2))
    return np.where(_edges(image, 1.5)[..., None] > 0.5, 0, levels).astype(np.uint8)


def drawing(image: Image.Image) -> NDArray[np.uint8]:
    """Black lines on white where grey levels change."""
    return _grey(_edges(image, 1.0) <= 0.3)


def silhouette(image: Image.Image) -> NDArray[np.uint8]:
    """Black where it is darker than its own mean, white elsewhere."""
    grey = np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(2)))
    return _grey(grey > grey.mean())


STYLES: dict[str, Callable[[Image.Image], NDArray[np.uint8]]] = {
    "photo": photo,
    "cartoon": cartoon,
    "drawing": drawing,
    "silhouette": silhouette,
}
"""Name → what makes a picture look so."""


def _edges(image: Image.Image, blur: float) -> NDArray[np.float32]:
    """(h, w) strength of the Sobel gradient of grey levels after a Gaussian; 1 is that of a strong edge."""
    grey = ndimage.gaussian_filter(np.asarray(image.convert("L"), dtype=np.float32), blur)
    strength = np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1))
    return np.asarray(strength / max(float(np.percentile(strength, _STRONG)), 1.0), dtype=np.float32)


def _grey(white: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.repeat(np.where(white, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
