"""Pictures as a person sees them: every kind of file that the tests write comes out as the colours that it means."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from transfer_sweep.datasets.images.pictures import Picture, PictureError, as_square, open_picture

Grey = NDArray[np.uint8]


def colours(picture: Picture) -> NDArray[np.uint8]:
    """(height, width, 3)."""
    assert picture.image.mode == "RGB"
    return np.asarray(picture.image)


def uniform(image: Image.Image, path: Path, **how: Any) -> tuple[int, ...]:
    """The one colour that a file shows."""
    image.save(path, **how)
    shown = np.unique(colours(open_picture(path)).reshape(-1, 3), axis=0)
    assert len(shown) == 1
    return tuple(shown[0].tolist())


# --- more than 8 bits ---


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257  # 0 … 65535
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    found = colours(open_picture(tmp_path / f"a{suffix}"))
    assert np.array_equal(found, np.repeat(np.arange(256).reshape(16, 16, 1), 3, axis=2))


def test_sixteen_bits_are_scaled_by_their_mode_and_not_by_what_a_picture_holds(tmp_path: Path) -> None:
    dark = Image.fromarray(np.full((4, 4), 2570, dtype=np.uint16))
    assert uniform(dark, tmp_path / "dark.png") == (10, 10, 10)


def test_big_endian_tiff_of_sixteen_bits(tmp_path: Path) -> None:
    image = Image.frombytes("I;16B", (3, 2), np.full((2, 3), 25700, dtype=">u2").tobytes())
    assert uniform(image, tmp_path / "a.tif") == (100, 100, 100)


def test_floats_are_taken_from_zero_to_one(tmp_path: Path) -> None:
    assert uniform(Image.fromarray(np.full((2, 2), 0.2, dtype=np.float32)), tmp_path / "a.tif") == (51, 51, 51)


@pytest.mark.parametrize(
    ("values", "most"),
    [
        (np.full((2, 2), 2.0, dtype=np.float32), "1"),
        (np.full((2, 2), np.nan, dtype=np.float32), "1"),
        (np.full((2, 2), 70000, dtype=np.int32), "65535"),
        (np.full((2, 2), -1, dtype=np.int32), "65535"),
    ],
)
def test_values_of_no_known_range_are_refused(tmp_path: Path, values: NDArray[Any], most: str) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(
        PictureError, match=f"a.tif cannot be read as a picture: its grey values are outside of 0 to {most}"
    ):
        open_picture(tmp_path / "a.tif")


# --- colours ---


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm"])
def test_grey_is_the_same_in_each_channel(tmp_path: Path, suffix: str) -> None:
    how = {"lossless": True} if suffix == ".webp" else {}
    assert uniform(Image.new("L", (8, 8), 77), tmp_path / f"a{suffix}", **how) == (77, 77, 77)


def test_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "a.png")
    assert colours(open_picture(tmp_path / "a.png")).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_cmyk_is_ink_on_paper(tmp_path: Path) -> None:
    assert uniform(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "red.tif") == (255, 0, 0)
    assert uniform(Image.new("CMYK", (8, 8), (255, 0, 255, 0)), tmp_path / "green.tif") == (0, 255, 0)
    assert uniform(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), tmp_path / "black.tif") == (0, 0, 0)
    # JPEG loses a little.
    red = uniform(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), tmp_path / "red.jpg", quality=100)
    assert np.abs(np.subtract(red, (255, 0, 0))).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".tif"])
def test_a_palette_is_looked_up(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 200, 100, 0])
    image.save(tmp_path / f"a{suffix}")
    picture = open_picture(tmp_path / f"a{suffix}")
    assert colours(picture).tolist() == [[[10, 20, 30], [40, 50, 60], [200, 100, 0]]]
    assert not picture.transparent


# --- transparency ---


def over_white(colour: int, alpha: int) -> float:
    return (colour * alpha + 255 * (255 - alpha)) / 255


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_half_transparent_red_over_white_is_pink(tmp_path: Path, suffix: str) -> None:
    how = {"lossless": True} if suffix == ".webp" else {}
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert uniform(image, tmp_path / f"a{suffix}", **how) == (255, 127, 127)  # 255 · (1 − 128/255)
    assert open_picture(tmp_path / f"a{suffix}").transparent


def test_grey_with_transparency_lies_over_white(tmp_path: Path) -> None:
    alphas = np.array([[0, 1, 51, 128, 204, 255]], dtype=np.uint8)
    image = Image.merge("LA", (Image.fromarray(np.full_like(alphas, 100)), Image.fromarray(alphas)))
    image.save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png")
    assert picture.transparent
    expected = np.array([over_white(100, int(alpha)) for alpha in alphas[0]])
    assert np.abs(colours(picture)[0] - expected[:, None]).max() <= 0.5


def test_what_is_fully_transparent_is_white_whatever_colour_it_hides(tmp_path: Path) -> None:
    assert uniform(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), tmp_path / "a.png") == (255, 255, 255)


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_the_transparent_colour_of_a_palette_is_white(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / f"a{suffix}", transparency=1)
    picture = open_picture(tmp_path / f"a{suffix}")
    assert colours(picture).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    assert picture.transparent


def test_a_palette_with_a_transparency_of_each_colour(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "a.png", transparency=bytes([128, 255]))
    assert colours(open_picture(tmp_path / "a.png")).tolist() == [[[255, 127, 127], [0, 0, 255]]]


@pytest.mark.parametrize(
    ("values", "clear", "shown"),
    [
        (np.array([[10, 20]], dtype=np.uint8), 20, [10, 255]),
        (np.array([[2570, 5140]], dtype=np.uint16), 5140, [10, 255]),
    ],
)
def test_one_grey_that_stands_for_transparency(
    tmp_path: Path, values: NDArray[Any], clear: int, shown: list[int]
) -> None:
    Image.fromarray(values).save(tmp_path / "a.png", transparency=clear)
    picture = open_picture(tmp_path / "a.png")
    assert colours(picture)[0, :, 0].tolist() == shown
    assert picture.transparent


def test_a_channel_of_transparency_without_any_is_not_counted(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (1, 2, 3, 255)).save(tmp_path / "a.png")
    picture = open_picture(tmp_path / "a.png")
    assert not picture.transparent
    assert colours(picture)[0, 0].tolist() == [1, 2, 3]


# --- orientation ---

# How a file stores an upright picture, by the EXIF standard: where its first row and its first column are seen.
STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: a[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda a: a[::-1].swapaxes(0, 1),  # left, bottom
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg"])
def test_a_picture_is_upright_however_the_camera_was_held(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.zeros((32, 64, 3), dtype=np.uint8)
    upright[:16, :32], upright[:16, 32:], upright[16:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}
    how = lossless.get(suffix, {})
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    stored.save(tmp_path / f"a{suffix}", exif=exif, **how)
    found = colours(open_picture(tmp_path / f"a{suffix}")).astype(int)
    assert found.shape == upright.shape
    assert np.abs(found - upright).max() <= (3 if suffix == ".jpg" else 0)


def test_a_compressed_tiff_is_turned_once(tmp_path: Path) -> None:
    upright = np.zeros((8, 16, 3), dtype=np.uint8)
    upright[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(STORED[6](upright))).save(
        tmp_path / "a.tif", exif=exif, compression="tiff_lzw"
    )
    assert np.array_equal(colours(open_picture(tmp_path / "a.tif")), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # pytest has filters of its own
def test_damaged_exif_data_damage_no_picture(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert colours(open_picture(tmp_path / "a.png"))[0, 0].tolist() == [9, 9, 9]


# --- files of many pictures ---


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp", ".png"])
def test_the_first_frame_counts(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255), (0, 255, 0))]
    how: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], **how)
    assert colours(open_picture(tmp_path / f"a{suffix}"))[4, 4].tolist() == [255, 0, 0]


# --- the square that networks see ---


def test_a_picture_becomes_a_square_whole() -> None:
    image = Image.new("RGB", (200, 100), (255, 0, 0))
    image.paste((0, 0, 255), (100, 0, 200, 100))
    square = as_square(image, 32)
    assert square.shape == (3, 32, 32)
    assert square[:, :, :14].min(axis=(1, 2)).tolist() == [255, 0, 0]
    assert square[:, :, 18:].min(axis=(1, 2)).tolist() == [0, 0, 255]


# --- what cannot be read ---


def noise(path: Path) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".gif", ".webp", ".tif"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_cut_file_is_named_with_its_whole_path_in_one_line(tmp_path: Path, suffix: str, part: float) -> None:
    path = tmp_path / f"cut{suffix}"
    content = noise(path)
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(PictureError) as error:
        open_picture(path)
    assert str(error.value).startswith(f"{path} cannot be read as a picture: ")
    assert "\n" not in str(error.value)
    assert error.value.path == path


def test_files_that_are_no_pictures_and_no_files(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")  # a program, to some readers
    with pytest.raises(PictureError, match=r"a\.jpg cannot be read as a picture: it is none, or damaged"):
        open_picture(tmp_path / "a.jpg")
    with pytest.raises(PictureError, match=r"none\.jpg does not exist"):
        open_picture(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match="Is a directory"):
        open_picture(tmp_path)


def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(PictureError, match=r"bomb\.png is too large to be read as a picture: .*400000000 pixels"):
        open_picture(tmp_path / "bomb.png")


def test_a_large_picture_and_odd_exif_data_are_read_without_lines_of_pillows(tmp_path: Path) -> None:
    Image.new("L", (12, 12), 7).save(tmp_path / "large.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    script = """
import sys, pathlib
from PIL import Image
from transfer_sweep.datasets.images.pictures import open_picture
Image.MAX_IMAGE_PIXELS = 100  # it warns above, and refuses from twice as many
print(open_picture(pathlib.Path(sys.argv[1])).image.size)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "large.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert (done.stdout, done.stderr) == ("(12, 12)\n", "")


def test_bytes_of_a_name_that_are_no_utf_8_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.jpg"
    path.write_bytes(b"")
    with pytest.raises(PictureError, match=r"caf\\xe9\.jpg cannot be read"):
        open_picture(path)
