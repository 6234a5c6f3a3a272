"""Opens a picture as a person sees it: upright, in colour, over white. Training and prediction share it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from transfer_sweep.datasets.base import DataError
from transfer_sweep.datasets.io.names import printable

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)
"""Of files that are taken for pictures, in lower case."""

_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM")  # no format that runs other software
_BITS_PER_SAMPLE = 258  # tag of a TIFF file

# Of large pictures and of odd EXIF data Pillow warns with lines of its own code; what it refuses, it says by an error.
warnings.filterwarnings("ignore", module=r"PIL\.")


class PictureError(DataError):
    """A file that is no picture, or a damaged one.

    Attributes:
        path: of the file.
        why: in a few words.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{printable(path)} {why}")
        self.path, self.why = path, why


@dataclass(frozen=True)
class Picture:
    """What a file shows.

    Attributes:
        image: upright, of mode RGB.
        transparent: whether any of it is, and lies over white here.
    """

    image: Image.Image
    transparent: bool


def open_picture(path: Path) -> Picture:
    """The first frame of a file, upright (EXIF), as 8-bit RGB.

    Grey of 16 bits is scaled by the range of its mode (65,535 becomes 255), not by that of its values, and so is that
    of 12 bits; floats are taken as [0, 1]. Palettes are looked up, CMYK converted without its colour profile;
    transparency of any kind lies over white.

    Args:
        path: a JPEG, PNG, BMP, GIF, WebP, TIFF or PPM file, whatever its suffix.

    Raises:
        PictureError: there is no such file, it is no picture or a damaged one, it has more than 179 million pixels, or
            values outside of the range of its mode.
    """
    try:
        with Image.open(path, formats=_FORMATS) as file:
            file.load()
            _turn_upright(file)
            return in_colour(file)
    except FileNotFoundError:
        raise PictureError(path, "does not exist") from None
    except MemoryError:
        raise
    except UnidentifiedImageError:
        raise PictureError(path, "cannot be read as a picture: it is none, or damaged from its start") from None
    except Image.DecompressionBombError as error:
        raise PictureError(path, f"is too large to be read as a picture: {_line(error)}") from None
    except OSError as error:
        raise PictureError(path, f"cannot be read as a picture: {error.strerror or _line(error)}") from None
    except Exception as error:  # of a damaged file Pillow lets nearly any error of its readers through
        raise PictureError(path, f"cannot be read as a picture: {_line(error)}") from None


def as_square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """(3, size, size) of an image in colour, bilinear, whatever its proportions were."""
    coloured = image if image.mode == "RGB" else image.convert("RGB")
    return np.asarray(coloured.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def _line(error: Exception) -> str:
    return printable(" ".join(str(error).split())) or type(error).__name__


def _turn_upright(image: Image.Image) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # the pixels are whole: EXIF data that cannot be read damages no picture
        return


def in_colour(image: Image.Image) -> Picture:
    """An image of any mode as 8-bit RGB, see :func:`open_picture`.

    Raises:
        ValueError: it has values outside of the range of its mode.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _in_eight_bits(image)
    if not image.has_transparency_data:
        return Picture(image.convert("RGB"), transparent=False)
    clear = image.convert("RGBA")
    over = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    least, _ = clear.getchannel("A").getextrema()
    assert isinstance(least, (int, float))  # of one channel
    return Picture(over.convert("RGB"), transparent=least < 255)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as grey of 8; a value that stands for transparency keeps its part."""
    values = np.asarray(image).astype(np.float64)
    most = 1.0 if image.mode == "F" else float(2 ** _bits(image) - 1)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= most):
        raise ValueError(f"its grey values are outside of 0 to {most:g}; save it with 8 or 16 bits")
    grey = Image.fromarray(np.rint(values * (255 / most)).astype(np.uint8))
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _bits(image: Image.Image) -> int:
    """How many bits a grey value has: 16 but in TIFF files of 12; no file says the range of 32-bit values."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0]
    return 12 if bits == 12 else 16
