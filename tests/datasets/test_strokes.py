"""From a picture of a written digit to what sets of handwriting hold."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.datasets import load_digits

from transfer_sweep.datasets.base import DataError
from transfer_sweep.datasets.images.strokes import isolate, square

Colour = tuple[int, int, int]


def seven(ink: Colour = (20, 30, 90), paper: Colour = (235, 230, 215)) -> Image.Image:
    """Two strokes of a pen, off the middle."""
    picture = Image.new("RGB", (400, 300), paper)
    pen = ImageDraw.Draw(picture)
    pen.line([(80, 60), (180, 60), (110, 220)], fill=ink, width=14, joint="curve")
    return picture


def extents(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    rows, columns = (np.flatnonzero((pixels > 60).any(axis=axis)) for axis in (1, 0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def test_strokes_are_light_on_black_in_their_box_and_centred() -> None:
    found = isolate(seven(), 28, 20, by_mass=True)
    assert found.shape == (28, 28)
    assert found.dtype == np.uint8
    assert found.max() > 200
    assert not found[[0, -1]].any()
    assert not found[:, [0, -1]].any()
    height, width = extents(found)
    assert height == pytest.approx(20, abs=1)
    assert width == pytest.approx(20 * 117 / 174, abs=2)  # the proportions of the strokes, pen and all
    assert ndimage.center_of_mass(found.astype(float)) == pytest.approx((13.5, 13.5), abs=0.6)


def test_by_its_edges_the_whole_image_may_be_filled() -> None:
    found = isolate(seven(), 28, 28, by_mass=False)
    assert extents(found)[0] >= 27


def test_chalk_on_a_board_uneven_light_and_a_dropped_speck_change_little() -> None:
    plain = isolate(seven(), 28, 20, by_mass=True).astype(float)
    chalk = isolate(seven(ink=(240, 240, 240), paper=(30, 50, 40)), 28, 20, by_mass=True)
    shaded = np.asarray(seven()).astype(float) * np.linspace(0.55, 1, 400)[None, :, None]
    speckled = seven()
    ImageDraw.Draw(speckled).ellipse([350, 250, 358, 258], fill=(0, 0, 0))
    for other in (chalk, isolate(Image.fromarray(shaded.astype(np.uint8)), 28, 20, by_mass=True)):
        assert np.corrcoef(plain.ravel(), other.ravel())[0, 1] > 0.95
    np.testing.assert_allclose(isolate(speckled, 28, 20, by_mass=True), plain, atol=2)


def test_what_is_transparent_is_paper() -> None:
    drawn = seven()
    mask = drawn.convert("L").point(lambda value: 255 if value < 128 else 0)
    clear = drawn.convert("RGBA")
    clear.putalpha(mask)
    found, plain = (isolate(picture, 28, 20, by_mass=True) for picture in (clear, drawn))
    assert np.corrcoef(plain.ravel(), found.ravel())[0, 1] > 0.98


def test_a_scan_comes_back_as_it_was() -> None:
    scans = load_digits()
    for index in range(10):
        scan = Image.fromarray((scans.images[index] * 255 / 16).astype(np.uint8))
        large = Image.new("L", (500, 400))
        large.paste(scan.resize((240, 240), Image.Resampling.BICUBIC), (30, 90))
        found = isolate(large, 28, 20, by_mass=False)
        rows, columns = (np.flatnonzero((scans.images[index] > 0).any(axis=axis)) for axis in (1, 0))
        cut = scan.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        there = np.argwhere(found > 0)
        (top, left), (bottom, right) = there.min(axis=0), there.max(axis=0) + 1
        expected = np.asarray(cut.resize((right - left, bottom - top), Image.Resampling.BICUBIC))
        assert np.corrcoef(expected.ravel(), found[top:bottom, left:right].ravel())[0, 1] > 0.7


def test_an_empty_picture_shows_nothing() -> None:
    for colour in (0, 128, 255):
        with pytest.raises(DataError, match="no strokes"):
            isolate(Image.new("L", (64, 64), colour), 28, 20, by_mass=True)


def test_the_middle_square_is_taken_of_a_photograph() -> None:
    picture = Image.new("RGB", (300, 100), (255, 0, 0))
    picture.paste((0, 0, 255), (100, 0, 200, 100))
    assert np.asarray(square(picture, 32)).reshape(-1, 3).mean(axis=0) == pytest.approx((0, 0, 255), abs=2)
