"""The typefaces that ship with matplotlib, for digits that are drawn instead of photographed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib
from PIL import ImageFont

from transfer_sweep.datasets.base import DataError

FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)


@cache
def face(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    """One of :data:`FACES` at a height in pixels.

    Raises:
        DataError: the installed matplotlib lacks it.
    """
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    try:
        return ImageFont.truetype(path, pixels)
    except OSError as error:
        raise DataError(f"matplotlib's typeface {path} cannot be read: reinstall matplotlib") from error
