"""The user's own pictures: every layout that folders and tables of paths come in, and each that is refused."""

import os
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from transfer_sweep.datasets.base import UNLABELLED, DataError, checksum
from transfer_sweep.datasets.images.pictures import open_picture
from transfer_sweep.datasets.own_images import OwnImages, OwnImagesOptions

SMALL = OwnImagesOptions(size=32)
COLOURS = {"bike": (200, 0, 0), "mug": (0, 200, 0), "pen": (0, 0, 200)}


def paint(path: Path, colour: tuple[int, ...] = (9, 9, 9), mode: str = "RGB", height: int = 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (40, height), colour).save(path)
    return path


def classes_below(folder: Path, counts: Mapping[str, int], suffix: str = ".png") -> Path:
    """Class folders with pictures in the class's colour, each of another height."""
    for name, count in counts.items():
        for number in range(count):
            paint(folder / name / f"{number}{suffix}", COLOURS.get(name, (9, 9, 9)), height=30 + number)
    return folder


def own(tmp_path: Path, **how: Any) -> OwnImages:
    """All that lies in a folder as domains."""
    paths = {path.stem: path for path in sorted(tmp_path.iterdir()) if path.suffix != ".png"}
    return OwnImages(options=how.pop("options", SMALL), paths=paths, **how)


def labels(dataset: OwnImages, domain: str) -> dict[str, str | None]:
    """Name of each picture → name of its class."""
    found = dataset.load(domain).train.labels.tolist()
    names = dataset.sample_names(domain)
    return {name: None if k == UNLABELLED else dataset.classes[k] for name, k in zip(names, found, strict=True)}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder that holds one labelled domain."""
    classes_below(tmp_path / "shop", {"bike": 2, "mug": 1})
    return tmp_path


# --- layouts ---


def test_classes_are_the_union_of_class_folders(tmp_path: Path) -> None:
    classes_below(tmp_path / "a", {"pen": 1, "bike": 2})
    classes_below(tmp_path / "b", {"mug": 3, "bike": 1})
    dataset = own(tmp_path)
    assert (dataset.domains, dataset.classes) == (("a", "b"), ("bike", "mug", "pen"))
    assert dataset.class_counts("a") == {"bike": 2, "pen": 1}
    assert dataset.class_counts("b") == {"bike": 1, "mug": 3}


def test_pixels_labels_and_names_are_in_step_and_in_the_order_of_paths(tmp_path: Path) -> None:
    classes_below(tmp_path / "a", {"pen": 2, "bike": 2, "mug": 2})
    dataset = own(tmp_path)
    domain = dataset.load("a")
    assert domain.test is None
    assert domain.train.inputs.shape == (6, 3, 32, 32)
    assert domain.train.inputs.dtype == np.uint8
    assert domain.train.inputs[:, :, 5, 5].tolist() == [list(COLOURS[n]) for n in ("bike", "mug", "pen") for _ in "ab"]
    assert labels(dataset, "a") == {f"{n}/{i}.png": n for n in ("bike", "mug", "pen") for i in (0, 1)}
    assert list(dataset.sample_names("a")) == sorted(dataset.sample_names("a"))


@pytest.mark.parametrize("level", ["images", "images/images", "Images", "photos/2020", "photos/images"])
def test_levels_above_the_class_folders_are_passed_through(tmp_path: Path, level: str) -> None:
    classes_below(tmp_path / "a" / level, {"bike": 2, "mug": 1})
    dataset = own(tmp_path)
    assert dataset.classes == ("bike", "mug")
    assert dataset.sample_names("a")[0] == f"{level}/bike/0.png"


def test_whole_numbers_as_classes_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    classes_below(tmp_path / "a", {"10": 1, "9": 1, "0": 1})
    assert own(tmp_path).classes == ("0", "9", "10")


@pytest.mark.parametrize("level", ["", "images"])
def test_a_flat_folder_is_a_domain_without_labels(shop: Path, level: str) -> None:
    for number in range(3):
        paint(shop / "phone" / level / f"{number}.jpg", (90 * number, 9, 9))
    dataset = own(shop)
    assert dataset.class_counts("phone") == {}
    assert dataset.load("phone").train.labels.tolist() == [UNLABELLED] * 3
    assert dataset.findings("phone").lines == ("phone: 3 pictures without labels",)


def test_pictures_beside_class_folders_have_no_label_and_that_is_said(shop: Path) -> None:
    paint(shop / "shop/later.png")
    dataset = own(shop)
    assert labels(dataset, "shop") == {
        "bike/0.png": "bike",
        "bike/1.png": "bike",
        "later.png": None,
        "mug/0.png": "mug",
    }
    assert dataset.findings("shop").lines == (
        "shop: 4 pictures of 2 classes (bike 2, mug 1), 1 of them without a label",
        "shop: 1 picture beside the class folders: without a label",
    )


def test_pictures_below_a_class_folder_are_of_that_class(shop: Path) -> None:
    paint(shop / "shop/mug/2020/may/0.png")
    assert labels(own(shop), "shop")["mug/2020/may/0.png"] == "mug"


def test_suffixes_count_in_any_case_and_what_is_no_picture_is_counted(shop: Path) -> None:
    for name in ("mug/1.JPG", "mug/2.TiFF", "mug/3.tiff", "bike/3.tiff"):
        paint(shop / "shop" / name)
    paint(shop / "shop/mug/.3.png")
    paint(shop / "shop/.trash/mug/4.png")
    paint(shop / "shop/__MACOSX/mug/5.png")
    for name in ("a.heic", "b.HEIC", "README", "Thumbs.db"):
        (shop / "shop/mug" / name).touch()
    (shop / "shop/sofa").mkdir()
    dataset = own(shop)
    assert list(labels(dataset, "shop")) == [
        *("bike/0.png", "bike/1.png", "bike/3.tiff", "mug/0.png", "mug/1.JPG", "mug/2.TiFF", "mug/3.tiff")
    ]
    assert dataset.classes == ("bike", "mug")
    found = dataset.findings("shop")
    assert found.left_out == {"hidden": 2, ".heic": 2, "without a suffix": 1}
    assert found.lines[1:] == (
        "shop: 5 files left out (2 hidden, 2 .heic, 1 without a suffix)",
        "shop: 1 folder without pictures (sofa): no class",
        "shop: 2 pictures with the very bytes of another: kept",
    )


def test_a_class_is_one_however_the_file_system_composes_its_name(tmp_path: Path) -> None:
    classes_below(tmp_path / "a", {unicodedata.normalize("NFD", "café"): 1, "bar": 1})
    classes_below(tmp_path / "b", {unicodedata.normalize("NFC", "café"): 1, "bar": 1})
    assert own(tmp_path).classes == ("bar", "café")


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    store = classes_below(tmp_path / "store.png", {"bike": 1, "mug": 1})
    (tmp_path / "a").mkdir()
    (tmp_path / "a/bike").symlink_to(store / "bike")
    (tmp_path / "a/mug").mkdir()
    (tmp_path / "a/mug/x.png").symlink_to(store / "mug/0.png")
    assert labels(own(tmp_path), "a") == {"bike/0.png": "bike", "mug/x.png": "mug"}


def test_a_pipe_is_left_out_and_not_waited_for(shop: Path) -> None:
    os.mkfifo(shop / "shop/mug/a.png")
    assert own(shop).findings("shop").left_out == {"pipes or devices": 1}


def test_transparent_pictures_are_counted(shop: Path, tmp_path: Path) -> None:
    paint(shop / "shop/mug/clear.png", (255, 0, 0, 128), "RGBA")
    paint(shop / "shop/mug/opaque.png", (255, 0, 0, 255), "RGBA")
    for cache in (None, tmp_path / "cache.png", tmp_path / "cache.png"):
        dataset = own(shop, cache=cache)
        inputs = dataset.load("shop").train.inputs
        assert inputs[list(dataset.sample_names("shop")).index("mug/clear.png"), :, 3, 3].tolist() == [255, 127, 127]
        assert "shop: 1 picture partly transparent: laid over white" in dataset.findings("shop").lines


def test_a_picture_from_elsewhere_is_seen_as_the_domains_are(tmp_path: Path) -> None:
    gradient = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    (tmp_path / "a/bike").mkdir(parents=True)
    Image.fromarray(gradient).save(tmp_path / "a/bike/0.png")
    paint(tmp_path / "a/mug/0.png")
    seen = own(tmp_path).load("a").train.inputs[0]
    with Image.open(tmp_path / "a/bike/0.png") as picture:
        # Without paths: a model may be used where its data is not.
        assert np.array_equal(OwnImages(options=SMALL).from_picture(picture, "a"), seen)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_training_sees_a_picture_as_prediction_does(tmp_path: Path, orientation: int) -> None:
    random = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = paint(tmp_path / "a/bike/0.jpg")
    Image.fromarray(random).save(path, exif=exif)
    paint(tmp_path / "a/mug/0.png")
    dataset = own(tmp_path)
    assert np.array_equal(dataset.load("a").train.inputs[0], dataset.from_picture(open_picture(path).image, "a"))


# --- tables of paths ---


def listed(file: Path, rows: Mapping[str, list[Any]]) -> Path:
    frame = pd.DataFrame(rows)
    if file.suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index=False)
    return file


@pytest.mark.parametrize("name", ["list.csv", "list.csv.gz", "list.parquet"])
def test_a_table_of_paths_and_labels(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    elsewhere = paint(tmp_path / "elsewhere.png")
    for picture in ("b.png", "sub/a.png", "c.png"):
        paint(folder / picture)
    rows: dict[str, list[Any]] = {
        "path": ["c.png", "sub/a.png", str(elsewhere), "b.png"],
        "label": ["mug", " bike", "", "mug"],
        "z": [1, 2, 3, 4],
    }
    dataset = OwnImages(options=SMALL, paths={"a": listed(folder / name, rows)})
    assert dataset.classes == ("bike", "mug")
    assert labels(dataset, "a") == {str(elsewhere): None, "b.png": "mug", "c.png": "mug", "sub/a.png": "bike"}


def test_columns_by_other_names_and_a_table_without_labels(tmp_path: Path) -> None:
    for number in range(3):
        paint(tmp_path / f"{number}.png")
    first = listed(tmp_path / "a.csv", {"where": ["0.png", "1.png"], "what": [0, 1]})
    second = listed(tmp_path / "b.csv", {"where": ["2.png"]})
    options = OwnImagesOptions(size=32, path_column="where", label_column="what")
    dataset = OwnImages(options=options, paths={"a": first, "b": second})
    assert dataset.classes == ("0", "1")
    assert labels(dataset, "a") == {"0.png": "0", "1.png": "1"}
    assert labels(dataset, "b") == {"2.png": None}


def test_a_path_that_is_listed_again_counts_once(tmp_path: Path) -> None:
    paint(tmp_path / "0.png")
    paint(tmp_path / "1.png")
    rows = {"path": ["0.png", "1.png", "0.png"], "label": ["x", "y", "x"]}
    dataset = OwnImages(options=SMALL, paths={"a": listed(tmp_path / "a.csv", rows)})
    assert dataset.findings("a").left_out == {"listed again": 1}
    assert len(dataset.load("a").train) == 2


def test_other_spellings_of_a_path_are_that_path(tmp_path: Path) -> None:
    paint(tmp_path / "0.png")
    paint(tmp_path / "1.png")
    spellings = ["0.png", "1.png", "./0.png", "sub/../0.png", str(tmp_path / "0.png")]
    rows = {"path": spellings, "label": ["x", "y", "x", "x", "x"]}
    dataset = OwnImages(options=SMALL, paths={"a": listed(tmp_path / "a.csv", rows)})
    assert dataset.findings("a").left_out == {"listed again": 3}
    rows["label"][2] = "y"
    with pytest.raises(DataError, match="listed twice"):
        OwnImages(options=SMALL, paths={"a": listed(tmp_path / "a.csv", rows)})


def test_a_picture_whose_name_is_in_the_decomposed_form_is_found(tmp_path: Path) -> None:
    paint(tmp_path / "cafe\u0301.png")
    paint(tmp_path / "1.png")
    rows = {"path": ["cafe\u0301.png", "1.png"], "label": ["x", "y"]}
    dataset = OwnImages(options=SMALL, paths={"a": listed(tmp_path / "a.csv", rows)})
    assert len(dataset.load("a").train) == 2


# --- damaged pictures ---


@pytest.mark.parametrize("cached", [False, True])
def test_damaged_pictures_are_named_or_left_out_and_counted(shop: Path, tmp_path: Path, cached: bool) -> None:
    whole = shop / "shop/bike/1.png"
    content = whole.read_bytes()
    whole.write_bytes(content[:40])
    cache = tmp_path / "cache.png" if cached else None
    for _ in range(2):  # the second time, from the cache
        with pytest.raises(DataError) as error:
            own(shop, cache=cache).load("shop")
        assert str(error.value).startswith(f"1 of 3 images of shop cannot be decoded: {whole} (cannot be read as a ")
        assert str(error.value).endswith("repair or remove them, or leave them out with --skip-damaged")
        dataset = own(shop, cache=cache, skip_damaged=True)
        assert labels(dataset, "shop") == {"bike/0.png": "bike", "mug/0.png": "mug"}
        assert dataset.load("shop").train.inputs[:, :, 5, 5].tolist() == [[200, 0, 0], [0, 200, 0]]
        assert dataset.findings("shop").left_out == {"damaged": 1}
        assert dataset.with_options(dataset.options).findings("shop").left_out == {"damaged": 1}
        assert dataset.findings("shop").classes == {"bike": 1, "mug": 1}
    whole.write_bytes(content)
    assert len(own(shop, cache=cache).load("shop").train) == 3


def test_leaving_damaged_pictures_out_changes_nothing_where_all_are_whole(shop: Path) -> None:
    strict, lenient = own(shop), own(shop, skip_damaged=True)
    assert checksum(strict.load("shop")) == checksum(lenient.load("shop"))
    assert strict.options.encode() == lenient.options.encode()


def test_paths_of_a_table_without_a_file_are_left_out_with_the_damaged(tmp_path: Path) -> None:
    paint(tmp_path / "0.png")
    paint(tmp_path / "1.png")
    table = listed(tmp_path / "a.csv", {"path": ["0.png", "1.png", "2.png"], "label": ["x", "y", "x"]})
    dataset = OwnImages(options=SMALL, paths={"a": table}, skip_damaged=True)
    assert dataset.findings("a").left_out == {"missing": 1}


def test_if_all_are_damaged_there_is_nothing_to_leave_out(tmp_path: Path) -> None:
    for name in ("bike", "mug"):
        paint(tmp_path / "a" / name / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match="2 of 2 images of a cannot be decoded"):
        own(tmp_path, skip_damaged=True).load("a")


def test_a_file_without_rights_is_damaged_today_and_whole_tomorrow(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = shop / "shop/mug/0.png"
    refuse(monkeypatch, closed)
    cache = tmp_path / "cache.png"
    with pytest.raises(DataError, match=r"mug/0\.png \(cannot be read as a picture: Permission denied\)"):
        own(shop, cache=cache).load("shop")
    assert len(own(shop, cache=cache, skip_damaged=True).load("shop").train) == 2
    monkeypatch.undo()
    assert len(own(shop, cache=cache).load("shop").train) == 3


def refuse(monkeypatch: pytest.MonkeyPatch, *closed: Path) -> None:
    """Refuse to open these files and folders: to the superuser, who may be running the tests, nothing is closed."""

    def closed_to_us(function: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(path: Any, *args: Any, **how: Any) -> Any:
            if isinstance(path, (str, os.PathLike)) and Path(path) in closed:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *args, **how)

        return attempt

    monkeypatch.setattr("builtins.open", closed_to_us(open))
    monkeypatch.setattr("io.open", closed_to_us(open))
    monkeypatch.setattr("os.scandir", closed_to_us(os.scandir))


# --- the cache ---


def test_pictures_are_decoded_once_and_again_when_a_file_changes(shop: Path, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    how: dict[str, Any] = {"cache": tmp_path / "cache.png", "progress": lambda *call: calls.append(call)}
    assert isinstance(own(shop, **how).load("shop").train.inputs, np.memmap)
    assert calls == [("decoding shop", 1, 3), ("decoding shop", 2, 3), ("decoding shop", 3, 3)]
    calls.clear()
    again = own(shop, **how)
    again.findings("shop")
    again.load("shop")
    assert not calls
    before = checksum(again.load("shop"))
    paint(shop / "shop/mug/0.png", (255, 255, 255))
    assert checksum(own(shop, **how).load("shop")) != before
    assert len(calls) == 3


def test_nothing_is_decoded_to_know_domains_and_classes(shop: Path) -> None:
    (shop / "shop/bike/0.png").write_bytes(b"")
    calls: list[object] = []
    dataset = own(shop, progress=lambda *call: calls.append(call))
    assert dataset.classes == ("bike", "mug")
    assert not calls


def test_verify_says_what_each_domain_holds(shop: Path) -> None:
    paint(shop / "phone/0.png").write_bytes(b"")
    phone, at_shop = own(shop).verify()
    assert (phone.path, phone.state) == (str(shop / "phone"), "damaged")
    assert (at_shop.path, at_shop.state) == (str(shop / "shop"), "ok")
    assert at_shop.detail.startswith("3 pictures of 2 classes (bike 2, mug 1)")


# --- what is refused, each in one line ---


def nothing(root: Path) -> dict[str, Path]:
    return {"a": root / "shop", "b": root / "none/phone"}


def dangling(root: Path) -> dict[str, Path]:
    (root / "link").symlink_to(root / "gone")
    return {"a": root / "link"}


def below_a_file(root: Path) -> dict[str, Path]:
    return {"a": paint(root / "x.png") / "sub"}


def another_file(root: Path) -> dict[str, Path]:
    return {"a": root / "shop", "b": paint(root / "x.png")}


def empty(root: Path) -> dict[str, Path]:
    (root / "empty").mkdir()
    return {"a": root / "shop", "b": root / "empty"}


def no_pictures(root: Path) -> dict[str, Path]:
    (root / "text/bike").mkdir(parents=True)
    (root / "text/bike/a.txt").touch()
    return {"a": root / "text"}


def one_class(root: Path) -> dict[str, Path]:
    return {"a": classes_below(root / "one", {"bike": 2}), "b": classes_below(root / "two", {"bike": 1})}


def no_labels(root: Path) -> dict[str, Path]:
    paint(root / "flat/a.png")
    return {"a": root / "flat"}


def same_twice(root: Path) -> dict[str, Path]:
    (root / "again").symlink_to(root / "shop")
    return {"a": root / "shop", "b": root / "again"}


def one_in_the_other(root: Path) -> dict[str, Path]:
    return {"a": root / "shop", "b": root / "shop/bike"}


def in_capitals(root: Path) -> dict[str, Path]:
    return {"Phone": root / "shop", "phone": root}


def odd_domain(root: Path) -> dict[str, Path]:
    return {"a/b": root / "shop"}


def nameless_domain(root: Path) -> dict[str, Path]:
    return {" ": root / "shop"}


def round_in_a_loop(root: Path) -> dict[str, Path]:
    (root / "loop").symlink_to(root / "loop")
    return {"a": root / "loop"}


def a_loop_inside(root: Path) -> dict[str, Path]:
    (root / "shop/mug/up").symlink_to(root / "shop")
    return {"a": root / "shop"}


def a_loop_of_itself(root: Path) -> dict[str, Path]:
    (root / "shop/mug/self").symlink_to(root / "shop/mug/self")
    return {"a": root / "shop"}


def a_loop_of_one_level(root: Path) -> dict[str, Path]:
    (root / "level").mkdir()
    (root / "level/images").symlink_to(root / "level")
    return {"a": root / "level"}


def odd_class(root: Path) -> dict[str, Path]:
    classes_below(root / "odd", {"caf\udce9": 1, "bike": 1})
    return {"a": root / "odd"}


def two_lines(root: Path) -> dict[str, Path]:
    classes_below(root / "odd", {"two\nlines": 1, "bike": 1})
    return {"a": root / "odd"}


def parts(root: Path) -> dict[str, Path]:
    for part in ("train", "test"):
        classes_below(root / "parts" / part, {"bike": 1, "mug": 1})
    return {"a": root / "parts"}


def odd_path(root: Path) -> dict[str, Path]:
    return {"a": root / "caf\udce9"}


def table(root: Path, rows: Mapping[str, list[Any]]) -> dict[str, Path]:
    return {"a": listed(root / "a.csv", rows)}


def no_paths(root: Path) -> dict[str, Path]:
    return table(root, {"picture": ["shop/bike/0.png"], "label": ["x"]})


def listed_missing(root: Path) -> dict[str, Path]:
    return table(root, {"path": ["shop/bike/0.png", "shop/bike/7.png"], "label": ["x", "y"]})


def listed_empty(root: Path) -> dict[str, Path]:
    return table(root, {"path": ["shop/bike/0.png", ""], "label": ["x", "y"]})


def listed_in_two(root: Path) -> dict[str, Path]:
    return table(root, {"path": ["shop/bike/0.png", "shop/bike/0.png"], "label": ["x", "y"]})


def listed_folder(root: Path) -> dict[str, Path]:
    return table(root, {"path": ["shop/bike"], "label": ["x"]})


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (nothing, ["domain b: ", "none/phone does not exist", "is the last part that does"]),
        (dangling, ["domain a: ", "/link does not exist (a symbolic link to nothing)"]),
        (below_a_file, ["x.png/sub is below a file"]),
        (another_file, ["x.png is no table that can be read: .csv, .csv.gz, .parquet"]),
        (empty, ["/empty holds no pictures: it is empty", ".jpg", "a folder for each class"]),
        (no_pictures, ["/text holds no pictures (but 1 .txt)", ".jpg"]),
        (one_class, ["a, b hold one class, 'bike': there must be two at least"]),
        (no_labels, ["none of a has labels", "a folder for each class gives them"]),
        (same_twice, ["domains a and b are the same, ", "/again"]),
        (one_in_the_other, ["domain b (", "/shop/bike) lies inside of domain a ("]),
        (in_capitals, ["domains Phone and phone differ in capitals only"]),
        (odd_domain, ["'a/b' is no name of a domain"]),
        (nameless_domain, ["' ' is no name of a domain"]),
        (round_in_a_loop, ["/loop cannot be read: its symbolic links go round in a loop"]),
        (a_loop_inside, ["shop/mug/up is a symbolic link to a folder that it lies in", "remove the link"]),
        (a_loop_of_itself, ["shop/mug/self cannot be read: its symbolic links go round in a loop"]),
        (a_loop_of_one_level, ["level/images is a symbolic link to a folder that it lies in"]),
        (odd_class, [r"odd/caf\xe9: the name of this class has bytes that are not in UTF-8", "rename the folder"]),
        (two_lines, [r"odd/two\nlines: the name of this class"]),
        (parts, ["holds test and train, which look like parts of a set and not like classes", "parts/test"]),
        (odd_path, [r"caf\xe9 does not exist"]),
        (no_paths, ["a.csv: it has no column 'path' but picture, label: name one with path_column"]),
        (
            listed_missing,
            ["a.csv: row 2 names shop/bike/7.png, and there is no file ", "relative to the table's folder"],
        ),
        (listed_empty, ["a.csv: column 'path' is empty in row 2"]),
        (listed_in_two, ["a.csv: shop/bike/0.png is listed twice, as x and in row 2 as y"]),
        (listed_folder, ["a.csv: row 1 names shop/bike, and there is no file "]),
    ],
)
def test_it_is_refused_in_one_line(shop: Path, make: Callable[[Path], dict[str, Path]], parts: list[str]) -> None:
    with pytest.raises(DataError) as error:
        OwnImages(options=SMALL, paths=make(shop))
    message = str(error.value)
    assert message.isprintable()  # one line, on any terminal
    for part in parts:
        assert part in message


def test_a_folder_without_rights_is_named(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, shop / "shop/mug")
    with pytest.raises(DataError, match=r"shop/mug cannot be read: you have no right to read it; `chmod -R u\+rX`"):
        own(shop)


def test_a_column_of_labels_that_no_table_has(shop: Path) -> None:
    paths = table(shop, {"path": ["shop/bike/0.png"], "label": ["x"]})
    with pytest.raises(DataError, match="no table of a has a column 'kind': name one with label_column"):
        OwnImages(options=OwnImagesOptions(size=32, label_column="kind"), paths=paths)


def test_a_column_cannot_hold_both_paths_and_labels(shop: Path) -> None:
    paths = table(shop, {"path": ["shop/bike/0.png"]})
    with pytest.raises(DataError, match="column 'path' cannot hold both the paths and the labels"):
        OwnImages(options=OwnImagesOptions(size=32, label_column="path"), paths=paths)


def test_an_unknown_domain_is_refused(shop: Path) -> None:
    dataset = own(shop)
    for ask in (dataset.load, dataset.findings, dataset.sample_names, dataset.class_counts):
        with pytest.raises(DataError, match="own_images has no domain 'phone'; it has shop"):
            ask("phone")


def test_a_domain_knows_the_classes_that_it_has_samples_of(shop: Path) -> None:
    classes_below(shop / "one", {"bike": 1})
    paint(shop / "flat/0.png")
    dataset = own(shop)
    assert len(dataset.known_classes("shop")) > 1
    assert list(dataset.known_classes("one")) == ["bike"]
    assert not dataset.known_classes("flat")
    assert dataset.wholly_labelled("one")
    assert not dataset.wholly_labelled("flat")


def test_names_that_are_no_utf_8_are_read_and_written_escaped(shop: Path) -> None:
    paint(shop / "shop/mug/caf\udce9.png")
    assert "mug/caf\\xe9.png" in own(shop).sample_names("shop")


# --- a real one ---


@pytest.mark.data
def test_folders_of_office31_hold_what_office31_does(data_root: Path) -> None:
    paths = {name: data_root / "office31" / name for name in ("dslr", "webcam")}
    dataset = OwnImages(options=SMALL, paths=paths)
    assert len(dataset.classes) == 31
    assert [sum(dataset.class_counts(name).values()) for name in dataset.domains] == [498, 795]
