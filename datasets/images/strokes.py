"""From a picture of one written digit, of any size, colour and light, to an image as sets of handwriting have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from transfer_sweep.datasets.base import DataError

_SIDE = 160  # pixels: pictures are brought to about this size first; strokes are some pixels wide there
_WINDOW = 0.5  # of the picture: darker places this wide are shade, narrower ones are strokes
_FAINT = 0.35  # of the strongest stroke: anything fainter is paper


def isolate(image: Image.Image, size: int, box: int, by_mass: bool) -> NDArray[np.uint8]:
    """The strokes of a picture, light on black.

    The paper's shade is taken off (its local minimum, once strokes are light), what is faint beside the strongest
    stroke is dropped, and the rest is scaled, its proportions kept, into a box in the middle.

    Args:
        image: strokes darker or lighter than what they are written on; one digit.
        size: height and width of the result in pixels.
        box: its longer side, in pixels.
        by_mass: centre it by its centre of mass, as MNIST does, instead of by its edges.

    Returns:
        (size, size) uint8.

    Raises:
        DataError: the picture shows nothing.
    """
    grey = image.convert("RGBA")
    paper = Image.new("RGBA", grey.size, "white")  # what shines through a transparent picture
    grey = Image.alpha_composite(paper, grey).convert("L")
    scale = _SIDE / max(grey.size)
    width, height = (max(1, round(side * scale)) for side in grey.size)
    pixels = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(edge) > 127:
        pixels = 255 - pixels
    window = max(3, round(_WINDOW * _SIDE))
    shade = ndimage.gaussian_filter(ndimage.minimum_filter(pixels, window), window / 4)
    strokes = np.maximum(pixels - shade, 0)
    strongest = float(np.percentile(strokes, 99))
    if strongest < 10:
        raise DataError("it shows no strokes")
    strokes = np.clip(strokes / strongest, 0, 1)
    written = _largest(strokes > _FAINT)
    rows, columns = np.flatnonzero(written.any(axis=1)), np.flatnonzero(written.any(axis=0))
    strokes = strokes * ndimage.binary_dilation(written, iterations=2)
    cut = strokes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _placed(cut, size, box, by_mass)


def _largest(written: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without specks: connected parts of less than a tenth of the largest one's size."""
    parts, count = ndimage.label(written, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    keep = np.flatnonzero(sizes >= 0.1 * sizes.max()) + 1
    return np.isin(parts, keep)


def _placed(strokes: NDArray[np.float32], size: int, box: int, by_mass: bool) -> NDArray[np.uint8]:
    height, width = strokes.shape
    scale = box / max(height, width)
    small = Image.fromarray(np.rint(255 * strokes).astype(np.uint8)).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR
    )
    pixels = np.asarray(small)
    middle = (
        ndimage.center_of_mass(pixels.astype(float)) if by_mass else ((small.height - 1) / 2, (small.width - 1) / 2)
    )
    top, left = (
        min(max(round((size - 1) / 2 - centre), 0), size - side)
        for centre, side in zip(middle, pixels.shape, strict=True)
    )
    placed = np.zeros((size, size), dtype=np.uint8)
    placed[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return placed


def square(image: Image.Image, size: int) -> Image.Image:
    """The middle square of a picture, in colour, scaled to ``size`` pixels."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cut = image.convert("RGB").crop((left, top, left + side, top + side))
    return cut.resize((size, size), Image.Resampling.BILINEAR)
