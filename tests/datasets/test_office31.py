"""Office-31 and Office-Caltech10 as images: published counts, both layouts, and the folder that is one level off."""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy.io import loadmat

from transfer_sweep.datasets.base import DataError
from transfer_sweep.datasets.images.decoding import PictureOptions
from transfer_sweep.datasets.images.folders import ImageFolderDataset
from transfer_sweep.datasets.office31 import CLASSES, Office31
from transfer_sweep.datasets.office_caltech10_images import OfficeCaltech10Images

SMALL = PictureOptions(size=32)


def paint(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), colour).save(path, quality=95)


def make_domain(folder: Path, total: int, classes: Sequence[str] = CLASSES) -> None:
    """A folder of ``total`` tiny images whose colour tells their class; one class gets what does not divide."""
    each, more = divmod(total, len(classes))
    for index, name in enumerate(classes):
        template = folder / name / "frame_0001.jpg"
        paint(template, (8 * index, 255 - 8 * index, 128))
        for number in range(2, each + (more if index == 0 else 0) + 1):
            shutil.copy(template, folder / name / f"frame_{number:04}.jpg")


@pytest.fixture
def dslr(tmp_path: Path) -> Path:
    """A root with a whole dslr in the published layout."""
    make_domain(tmp_path / "office31/dslr/images", 498)
    return tmp_path


def refused(root: Path, domain: str = "dslr", dataset: type[ImageFolderDataset] = Office31) -> str:
    with pytest.raises(DataError) as error:
        dataset(root, SMALL).load(domain)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- the real thing ---


@pytest.mark.data
def test_published_counts_and_classes(data_root: Path) -> None:
    loaded = Office31(data_root, SMALL).load("dslr")
    assert loaded.test is None
    assert loaded.train.inputs.shape == (498, 3, 32, 32)
    counts = dict(zip(CLASSES, np.bincount(loaded.train.labels), strict=True))
    # The ten classes that Office-Caltech10 took over, as its SURF features of dslr count them.
    surf = loadmat(data_root / "office_caltech10/dslr_SURF_L10.mat")["labels"].ravel()
    assert [counts[name] for name in OfficeCaltech10Images.classes] == np.bincount(surf)[1:].tolist()


@pytest.mark.data
@pytest.mark.slow
def test_verify_finds_the_published_set_in_order(data_root: Path) -> None:
    checks = {check.path: check.detail for check in Office31(data_root).verify() if check.state == "ok"}
    assert checks == {
        "office31/amazon": "2817 images, 31 classes",
        "office31/dslr": "498 images, 31 classes",
        "office31/webcam": "795 images, 31 classes",
    }


@pytest.mark.data
def test_office_caltech10_takes_its_ten_classes_from_office31(data_root: Path) -> None:
    assert len(OfficeCaltech10Images(data_root, SMALL).load("dslr").train) == 157


@pytest.mark.data
@pytest.mark.slow
def test_verify_says_where_the_borrowed_domains_lie(data_root: Path) -> None:
    states = {check.path.split("/")[1]: check for check in OfficeCaltech10Images(data_root).verify()}
    assert {name: states[name].detail for name in ("amazon", "dslr", "webcam")} == {
        "amazon": "958 images, 10 classes, in office31/amazon",
        "dslr": "157 images, 10 classes, in office31/dslr",
        "webcam": "295 images, 10 classes, in office31/webcam",
    }


@pytest.mark.parametrize(
    "name",
    [
        "amazon/images/back_pack/frame_0001.jpg",  # as first published
        "./amazon/images/back_pack/frame_0001.jpg",
        "amazon/back_pack/frame_0001.jpg",
        "OFFICE31/amazon/back_pack/frame_0001.jpg",
    ],
)
def test_the_mirrors_ways_to_pack_it_all_end_in_the_published_layout(name: str) -> None:
    amazon = next(file for file in Office31.files if file.path == "office31/amazon/images")
    members = re.compile(amazon.members or "")
    match = members.fullmatch(name.removeprefix("./"))
    assert match
    assert match[1] == "back_pack/frame_0001.jpg"
    assert members.fullmatch(name.replace("amazon", "dslr")) is None
    assert members.fullmatch("amazon/images/back_pack/._frame_0001.jpg.txt") is None


# --- layouts ---


@pytest.mark.parametrize("level", ["", "images"])
def test_both_layouts_give_the_same(tmp_path: Path, level: str) -> None:
    make_domain(tmp_path / "office31/dslr" / level, 498)
    (tmp_path / "office31/dslr" / level / "bike/.DS_Store").touch()
    (tmp_path / "office31/dslr" / level / "bike/._frame_0001.jpg").touch()
    samples = Office31(tmp_path, SMALL).load("dslr").train
    assert samples.inputs.shape == (498, 3, 32, 32)
    assert samples.inputs.dtype == np.uint8
    assert samples.labels.dtype == np.int64
    # The colour of every image is that of its class: channels first, RGB, images and labels in step.
    expected = np.stack([8 * samples.labels, 255 - 8 * samples.labels, np.full(498, 128)], axis=1)
    assert np.abs(samples.inputs.mean(axis=(2, 3)) - expected).max() < 4


def test_an_image_is_resized_whole_without_keeping_its_shape(dslr: Path) -> None:
    path = dslr / "office31/dslr/images/back_pack/frame_0001.jpg"
    image = Image.new("RGB", (200, 100), (255, 0, 0))
    image.paste((0, 0, 255), (100, 0, 200, 100))
    image.save(path, quality=95)
    first = Office31(dslr, SMALL).load("dslr").train.inputs[0]
    assert first[0, :, :14].min() > 230  # left half red
    assert first[2, :, 18:].min() > 230  # right half blue


@pytest.mark.parametrize("nesting", ["images/images", "images/dslr/images", "dslr/images"])
def test_a_level_too_many_names_the_expected_folder_instead_of_finding_one_class(tmp_path: Path, nesting: str) -> None:
    make_domain(tmp_path / "office31/dslr" / nesting, 498)
    message = refused(tmp_path)
    assert "instead of 31 classes" in message
    assert f"expected {tmp_path / 'office31/dslr'}/images/<class>/*.jpg with 31 class folders" in message


def test_a_missing_domain_names_the_expected_folder_and_the_next_step(tmp_path: Path) -> None:
    message = refused(tmp_path)
    assert f"expected {tmp_path / 'office31/dslr'}/images/<class>/*.jpg" in message
    assert "data fetch office31" in message
    assert {check.state for check in Office31(tmp_path).verify()} == {"missing"}


def test_a_missing_class_an_extra_class_and_a_missing_image_are_named(dslr: Path) -> None:
    folder = dslr / "office31/dslr/images"
    (folder / "bike/frame_0001.jpg").unlink()
    assert "holds 497 images, office31/dslr was published with 498" in refused(dslr)
    (folder / "sofa").mkdir()
    assert "holds sofa, no class of office31" in refused(dslr)
    shutil.rmtree(folder / "mug")
    assert "(mug missing)" in refused(dslr)


def test_unknown_domain_and_size_are_refused(dslr: Path) -> None:
    assert "no domain 'caltech'; it has amazon, dslr, webcam" in refused(dslr, "caltech")
    with pytest.raises(ValidationError):
        PictureOptions(size=4)


def test_caltech_may_lie_beside_office31(tmp_path: Path) -> None:
    make_domain(tmp_path / "office31/dslr/images", 31 * 16)
    make_domain(tmp_path / "office_caltech10_images/caltech", 1123, OfficeCaltech10Images.classes)
    dataset = OfficeCaltech10Images(tmp_path, SMALL)
    assert len(dataset.load("caltech").train) == 1123
    # 160 images of the ten classes are not the 157 that were published.
    assert "holds 160 images, office_caltech10_images/dslr was published with 157" in refused(
        tmp_path, "dslr", OfficeCaltech10Images
    )


# --- damaged images ---


@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: c[: len(c) // 2], lambda c: bytes(len(c)), lambda c: c[:-2]]
)
def test_damaged_images_are_named_not_skipped(dslr: Path, damage: Callable[[bytes], bytes]) -> None:
    for name in ("mug/frame_0003.jpg", "bike/frame_0002.jpg"):
        path = dslr / "office31/dslr/images" / name
        path.write_bytes(damage(path.read_bytes()))
    message = refused(dslr)
    assert "2 of 498 images of office31/dslr cannot be decoded" in message
    assert "bike/frame_0002.jpg" in message
    assert "mug/frame_0003.jpg" in message
    check = next(check for check in Office31(dslr).verify() if check.path == "office31/dslr")
    assert check.state == "damaged"
    assert "mug/frame_0003.jpg" in check.detail


# --- the cache ---


def test_images_are_decoded_once_and_again_when_a_file_changes(dslr: Path, tmp_path: Path) -> None:
    calls = []
    dataset = Office31(dslr, SMALL, cache=tmp_path / "cache", progress=lambda *call: calls.append(call))
    first = dataset.load("dslr").train
    assert isinstance(first.inputs, np.memmap)
    assert calls[0] == ("decoding office31/dslr", 1, 498)
    assert calls[-1] == ("decoding office31/dslr", 498, 498)
    calls.clear()
    second = dataset.load("dslr").train
    assert not calls
    assert np.array_equal(first.inputs, second.inputs)
    assert np.array_equal(first.inputs, Office31(dslr, SMALL).load("dslr").train.inputs)
    paint(dslr / "office31/dslr/images/back_pack/frame_0001.jpg", (255, 255, 255))
    changed = dataset.load("dslr").train.inputs
    assert len(calls) == 498
    assert changed[0].min() > 250
    assert np.array_equal(changed[1:], first.inputs[1:])


def test_another_size_is_another_array(dslr: Path, tmp_path: Path) -> None:
    for size in (32, 48):
        inputs = Office31(dslr, PictureOptions(size=size), cache=tmp_path / "cache").load("dslr").train.inputs
        assert inputs.shape[2:] == (size, size)
