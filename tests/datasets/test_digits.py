"""Digits: each published layout, the options that decide what the pixels are, and what is missing or damaged."""

import bz2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from scipy.io import savemat
from sklearn.neighbors import KNeighborsClassifier

from transfer_sweep.datasets.base import DataError, checksum
from transfer_sweep.datasets.digits import Digits, DigitsOptions
from transfer_sweep.datasets.images.drawn_numbers import draw_labels, draw_numbers


def idx(array: NDArray[np.integer]) -> bytes:
    """LeCun's format: type and number of axes, the axes, the bytes."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist(root: Path, images: NDArray[np.integer], labels: NDArray[np.integer], part: str = "train") -> None:
    folder = root / "MNIST/raw"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))


def write_usps(root: Path, images: NDArray[np.integer], labels: NDArray[np.integer], name: str) -> None:
    """LIBSVM's lines: a label of 1–10, pixels of −1 to 1."""
    lines = [
        " ".join([str(label + 1), *(f"{i}:{value:.6f}" for i, value in enumerate(image.ravel(), start=1))])
        for image, label in zip(images / 127.5 - 1, labels, strict=True)
    ]
    (root / "USPS").mkdir(exist_ok=True)
    (root / f"USPS/{name}").write_bytes(bz2.compress("\n".join(lines).encode()))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty images of every published layout; SVHN's whole files have the checksums that torchvision looks at."""
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 10
    for part in ("train", "t10k"):
        write_mnist(tmp_path, rng.integers(256, size=(20, 28, 28)), labels, part)
    for name in ("usps.bz2", "usps.t.bz2"):
        write_usps(tmp_path, rng.integers(256, size=(20, 16, 16)), labels, name)
    coloured = rng.integers(256, size=(32, 32, 3, 20), dtype=np.uint8)
    for name, stem, coded in (("SVHN", "", np.where(labels == 0, 10, labels)), ("SYN_NUMBERS", "synth_", labels)):
        (tmp_path / name).mkdir()
        for part in ("train", "test"):
            savemat(tmp_path / name / f"{stem}{part}_32x32.mat", {"X": coloured, "y": coded[:, None]})
    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)
    for part in ("train", "test"):
        folder = tmp_path / f"mnist_m/mnist_m_{part}"
        folder.mkdir(parents=True)
        for i in range(20):
            Image.fromarray(coloured[..., i]).save(folder / f"{i:08}.png")
        lines = "".join(f"{i:08}.png {label}\n" for i, label in enumerate(labels))
        folder.with_name(f"{folder.name}_labels.txt").write_text(lines)
    return tmp_path


def digits(root: Path, **options: Any) -> Digits:
    return Digits(root, DigitsOptions(**{"drawn": 100, **options}))


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3)])
@pytest.mark.parametrize("domain", Digits.domains)
def test_every_layout_becomes_images_of_one_form(root: Path, domain: str, size: int, channels: int) -> None:
    loaded = digits(root, size=size, channels=channels, syn_numbers="published").load(domain)
    for part in (loaded.train, loaded.scored):
        assert part.inputs.shape == (20, channels, size, size)
        assert part.inputs.dtype == np.uint8
        assert part.inputs.flags.c_contiguous
        assert part.labels.tolist() == [*range(10)] * 2


def test_mnist_and_svhn_are_what_was_stored(root: Path) -> None:
    stored = np.frombuffer((root / "MNIST/raw/train-images-idx3-ubyte").read_bytes()[16:], np.uint8)
    np.testing.assert_array_equal(digits(root).load("mnist").train.inputs.ravel(), stored)
    whole = digits(root, size=32, channels=3)
    np.testing.assert_array_equal(whole.load("svhn").train.inputs, whole.load("mnist_m").train.inputs)


def test_a_border_of_two_makes_32_of_28_and_goes_again(root: Path) -> None:
    small, large = (digits(root, size=size).load("mnist").train.inputs for size in (28, 32))
    np.testing.assert_array_equal(large[:, :, 2:-2, 2:-2], small)
    assert large.sum() == small.sum()
    small, large = (digits(root, size=size, channels=3).load("mnist_m").train.inputs for size in (28, 32))
    np.testing.assert_array_equal(large[:, :, 2:-2, 2:-2], small)


def test_usps_fills_the_image_or_mnists_box(root: Path) -> None:
    stretched = digits(root).load("usps").train.inputs
    bordered = digits(root, usps="bordered").load("usps").train.inputs
    assert stretched[:, :, [0, -1]].any()
    assert stretched[:, :, :, [0, -1]].any()
    inside = np.zeros((28, 28), bool)
    inside[4:24, 4:24] = True
    assert not bordered[:, :, ~inside].any()
    assert bordered[:, :, 4].any()


def test_grey_is_the_luma_of_colour(root: Path) -> None:
    colour = digits(root, size=32, channels=3).load("svhn").train.inputs.astype(float)
    grey = digits(root, size=32).load("svhn").train.inputs
    luma = np.einsum("nchw,c->nhw", colour, [0.299, 0.587, 0.114])  # ITU-R 601
    np.testing.assert_allclose(grey[:, 0], luma, atol=1)


def test_a_domain_is_loaded_whole_and_says_how_many_images_a_trial_has(root: Path) -> None:
    whole, drawn = digits(root).load("mnist"), digits(root, train={"mnist": 12}).load("mnist")
    assert checksum(drawn) == checksum(whole)
    assert (whole.trained_on, drawn.trained_on) == (20, 12)
    assert digits(root, train={"mnist": 12}).load("usps").trained_on == 20
    for draw in ("by_seed", "fixed"):
        with pytest.raises(DataError, match="asks for 21 training images of mnist, which has 20"):
            digits(root, train={"mnist": 21}, draw=draw).load("mnist")


def test_a_fixed_draw_is_part_of_the_whole_and_the_test_set_stays(root: Path) -> None:
    whole, drawn = digits(root).load("mnist"), digits(root, train={"mnist": 12}, draw="fixed").load("mnist")
    other = digits(root, train={"mnist": 12}, draw="fixed", draw_seed=1).load("mnist")
    rows = {image.tobytes(): label for image, label in zip(whole.train.inputs, whole.train.labels, strict=True)}
    assert [rows[image.tobytes()] for image in drawn.train.inputs] == drawn.train.labels.tolist()
    assert len({image.tobytes() for image in drawn.train.inputs}) == 12
    np.testing.assert_array_equal(drawn.scored.inputs, whole.scored.inputs)
    assert (drawn.train.inputs != other.train.inputs).any()
    assert drawn.trained_on == 12


def test_the_draw_is_part_of_the_record_only_where_something_is_drawn_and_earlier_records_had_a_fixed_one() -> None:
    before = {"size": 28, "train": {"mnist": 2000}, "draw_seed": 3}
    read = DigitsOptions.decode(before)
    assert (read.draw, read.draw_seed) == ("fixed", 3)
    assert "draw" not in read.encode()
    assert DigitsOptions(train={"mnist": 2000}).encode()["draw"] == "by_seed"
    assert "draw" not in DigitsOptions().encode()
    assert "draw" not in DigitsOptions(draw="by_seed").encode()
    for options in (DigitsOptions(), DigitsOptions(train={"usps": 50}), read):
        assert DigitsOptions.decode(options.encode()) == options


@pytest.mark.parametrize("train", [{"mnits": 100}, {"mnist": 3}])
def test_training_sizes_of_no_domain_or_of_nothing_are_refused(train: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=r"No domain|Fewer than 10"):
        DigitsOptions(train=train)


def test_drawn_numbers_need_no_files_and_follow_their_seed(tmp_path: Path) -> None:
    dataset = digits(tmp_path)
    assert dataset.lacking("syn_numbers") is None
    labels = draw_labels(40, (3,))
    assert np.bincount(labels).tolist() == [4] * 10
    images = draw_numbers(labels, 32, (3,))
    np.testing.assert_array_equal(images, draw_numbers(draw_labels(40, (3,)), 32, (3,)))
    assert images.shape == (40, 32, 32, 3)
    assert images.std(axis=(1, 2)).max(axis=1).min() > 5  # something is drawn on each


def test_the_digit_in_the_middle_is_the_label() -> None:
    # With blur, rotation and neighbours, 1-NN on pixels of one kind of number still reads far more than one in ten.
    images = draw_numbers(draw_labels(1500, (0,)), 32, (0,)).mean(axis=3)[:, 6:-6, 6:-6].reshape(1500, -1)
    labels = draw_labels(1500, (0,))
    contrast = np.abs(images - np.median(images, axis=1, keepdims=True))  # stroke against background
    contrast /= np.linalg.norm(contrast, axis=1, keepdims=True)
    model = KNeighborsClassifier(1).fit(contrast[:1200], labels[:1200])
    assert model.score(contrast[1200:], labels[1200:]) > 0.4


def test_what_is_missing_is_named_with_the_command_that_brings_it(root: Path) -> None:
    (root / "SVHN/test_32x32.mat").unlink()
    dataset = digits(root)
    expected = "svhn lacks SVHN/test_32x32.mat: `python -m sweep data fetch digits` brings it"
    assert dataset.lacking("svhn") == expected
    assert dataset.lacking("mnist") is None
    with pytest.raises(DataError, match="svhn lacks"):
        dataset.load("svhn")
    states = {check.path: check.state for check in dataset.verify()}
    assert states == {"MNIST": "ok", "USPS": "ok", "SVHN": "missing", "mnist_m": "ok", "SYN_NUMBERS": "ok"}


@pytest.mark.parametrize(
    ("domain", "path"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("usps", "USPS/usps.bz2"),
        ("svhn", "SVHN/train_32x32.mat"),
        ("mnist_m", "mnist_m/mnist_m_train/00000003.png"),
        ("mnist_m", "mnist_m/mnist_m_train_labels.txt"),
        ("syn_numbers", "SYN_NUMBERS/synth_test_32x32.mat"),
    ],
)
def test_damaged_files_are_one_line_with_advice(root: Path, domain: str, path: str) -> None:
    (root / path).write_bytes(b"not what it was")
    with pytest.raises(DataError, match=rf"{domain}.*damaged.*data fetch digits") as error:
        digits(root, syn_numbers="published").load(domain)
    assert "\n" not in str(error.value)


def test_verify_tells_how_much_of_a_published_set_is_there(root: Path) -> None:
    details = {check.path: check.detail for check in digits(root).verify()}
    assert details["mnist_m"] == "20 training of 59001 published, 20 test of 9001 published images"


def test_an_unknown_domain_names_the_known_ones(root: Path) -> None:
    with pytest.raises(DataError, match="no domain 'emnist'; it has mnist, usps"):
        digits(root).load("emnist")


@pytest.mark.data
def test_the_published_files_have_the_published_counts(data_root: Path) -> None:
    if (why := Digits(data_root).lacking("usps")) is not None:
        pytest.skip(why)
    usps = Digits(data_root).load("usps")
    # Hull 1994, as LIBSVM's page gives them.
    assert np.bincount(usps.train.labels).tolist() == [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    assert np.bincount(usps.scored.labels).tolist() == [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]


@pytest.mark.data
def test_the_layout_of_usps_moves_what_mnists_neighbours_say_of_it(data_root: Path) -> None:
    # 1-NN on pixels, from MNIST to USPS: MNIST's box fits MNIST far better than the whole image.
    scores = {}
    for layout in ("stretched", "bordered"):
        dataset = Digits(data_root, DigitsOptions(usps=layout, train={"mnist": 1000}, draw="fixed"))
        if (why := dataset.lacking("usps") or dataset.lacking("mnist")) is not None:
            pytest.skip(why)
        source, target = dataset.load("mnist").train, dataset.load("usps").scored
        model = KNeighborsClassifier(1).fit(source.inputs.reshape(1000, -1) / 255.0, source.labels)
        scores[layout] = model.score(target.inputs.reshape(len(target), -1) / 255.0, target.labels)
    assert scores["bordered"] > scores["stretched"] + 0.1


def test_mnist_is_fetched_as_the_gzip_that_torchvision_checks() -> None:
    published = dict(torchvision.datasets.MNIST.resources)
    ours = {f"{file.path.rpartition('/')[2]}.gz": file.md5 for file in Digits.files if file.gzipped}
    assert ours == published
    other = {
        entry[1]: entry[2]
        for kind in (torchvision.datasets.USPS, torchvision.datasets.SVHN)
        for part, entry in kind.split_list.items()
        if part != "extra"
    }
    assert {f.path.rpartition("/")[2]: f.md5 for f in Digits.files if f.md5 and not f.gzipped} == other
