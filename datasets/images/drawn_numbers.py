"""Draws numbers as Ganin 2015 describes SYN NUMBERS: text of one to three digits, cropped around one of them.

The published set was drawn with the fonts of Windows; ours with those that ship with matplotlib, varying, as
there, the digits, positioning, orientation, colours of background and stroke, and the amount of blur.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from transfer_sweep.datasets.base import Progress
from transfer_sweep.datasets.images.typefaces import FACES, face

VERSION = 1  # part of a cache's key: change it with what is drawn
_OVERSAMPLING = 2  # drawn this much larger, then reduced: rotation leaves no jagged edges
_CONTRAST = 60  # least difference of brightness between background and stroke, in grey levels


def draw_labels(n: int, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """(n,) labels, as many of each digit as possible, in random order."""
    return np.random.default_rng((*seed, 0)).permutation(np.arange(n, dtype=np.int64) % 10)


def draw_numbers(
    labels: NDArray[np.int64], size: int, seed: tuple[int, ...], progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Draw one colour image for each label, which is the digit in its middle.

    Args:
        labels: (n,) digits.
        size: height and width in pixels.
        seed: the same seed gives the same images (up to the versions of Pillow and matplotlib).
        progress: told of images drawn.

    Returns:
        (n, size, size, 3) uint8.
    """
    rng = np.random.default_rng((*seed, 1))
    images = np.empty((len(labels), size, size, 3), dtype=np.uint8)
    for i, label in enumerate(labels, start=1):
        images[i - 1] = _draw(int(label), size, rng)
        if progress is not None and (i % 1000 == 0 or i == len(labels)):
            progress("drawing syn_numbers", i, len(labels))
    return images


def _draw(label: int, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One image, (size, size, 3)."""
    digits = [str(rng.integers(10)) for _ in range(rng.integers(1, 4))]
    middle = int(rng.integers(len(digits)))
    digits[middle] = str(label)

    font = face(FACES[rng.integers(len(FACES))], round(rng.uniform(0.7, 1.1) * size * _OVERSAMPLING))
    background, stroke = _colours(rng)
    # Wider than the crop, so that a rotation brings no corner of the canvas into it.
    canvas = 2 * size * _OVERSAMPLING
    image = Image.new("RGB", (canvas, canvas), background)
    before = font.getlength("".join(digits[:middle]))
    left, top, right, bottom = font.getbbox(digits[middle])
    shift_x, shift_y = rng.uniform(-0.08, 0.08, size=2) * size * _OVERSAMPLING
    corner = (canvas / 2 - before - (left + right) / 2 + shift_x, canvas / 2 - (top + bottom) / 2 + shift_y)
    ImageDraw.Draw(image).text(corner, "".join(digits), fill=stroke, font=font)

    image = image.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR, fillcolor=background)
    edge = size * _OVERSAMPLING / 2
    image = image.resize((size, size), Image.Resampling.BOX, box=(edge, edge, canvas - edge, canvas - edge))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2))))


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Colours of background and stroke that differ in brightness, or nobody could read the digit."""
    weights = np.array([0.299, 0.587, 0.114])  # of ITU-R 601, as Pillow's grey
    while True:
        background, stroke = rng.integers(256, size=(2, 3))
        if abs((background - stroke) @ weights) >= _CONTRAST:
            return tuple(map(int, background)), tuple(map(int, stroke))  # type: ignore[return-value]
