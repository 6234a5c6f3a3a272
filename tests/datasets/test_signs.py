"""Traffic signs: both published layouts, what is cut out of them, and what is missing or damaged."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import GTSRB

from transfer_sweep.datasets.base import DataError, checksum
from transfer_sweep.datasets.signs import Signs, SignsOptions

HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
FIRST, LAST = 3, 42


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three photographs each of two classes and four to test, twenty drawn signs; red signs on grey ground."""
    base = tmp_path / "gtsrb"

    def photographs(folder: Path, names: list[str], labels: list[int], table: Path) -> None:
        folder.mkdir(parents=True)
        lines = []
        for index, (name, label) in enumerate(zip(names, labels, strict=True)):
            width, height = 50 + index, 60 - index
            image = Image.new("RGB", (width, height), (128, 128, 128))
            image.paste((200 + label, 0, 0), (6, 5, width - 5, height - 6))
            image.save(folder / name)
            lines.append(f"{name};{width};{height};6;5;{width - 5};{height - 6};{label}\n")
        table.write_text(HEADER + "".join(lines))

    for label in (FIRST, LAST):
        folder = base / f"GTSRB/Training/{label:05}"
        names = [f"00000_{i:05}.ppm" for i in range(3)]
        photographs(folder, names, [label] * 3, folder / f"GT-{label:05}.csv")
    names = [f"{i:05}.ppm" for i in range(4)]
    photographs(base / "GTSRB/Final_Test/Images", names, [LAST, FIRST, LAST, FIRST], base / "GT-final_test.csv")
    drawn = tmp_path / "synthetic_data"
    (drawn / "train").mkdir(parents=True)
    lines = []
    for i in range(20):
        Image.new("RGB", (40, 40), (10 * i, 0, 255)).save(drawn / f"train/{i}.png")
        lines.append(f"train/{i}.png {i % 43} 0\n")
    (drawn / "train_labelling.txt").write_text("".join(lines))
    return tmp_path


def test_photographs_are_those_that_torchvision_lists(root: Path) -> None:
    gtsrb = Signs(root, SignsOptions(region=False, size=64)).load("gtsrb")
    for part, split in ((gtsrb.train, "train"), (gtsrb.scored, "test")):
        listed = GTSRB(root, split)
        folders = sorted(path.name for path in (root / "gtsrb/GTSRB/Training").iterdir())
        labels = [int(folders[label]) if split == "train" else label for _, label in listed]
        assert part.labels.tolist() == labels
        for pixels, (image, _) in zip(part.inputs, listed, strict=True):
            expected = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
            np.testing.assert_array_equal(pixels, expected)


def test_a_sign_is_cut_out_by_its_corners(root: Path) -> None:
    gtsrb = Signs(root).load("gtsrb")
    assert gtsrb.train.inputs.shape == (6, 3, 40, 40)
    for pixels, label in zip(gtsrb.train.inputs, gtsrb.train.labels, strict=True):
        assert (pixels[0] == 200 + label).all()
        assert not pixels[1:].any()


def test_a_tenth_of_the_drawn_signs_is_set_aside_to_test(root: Path, tmp_path: Path) -> None:
    drawn = Signs(root, cache=tmp_path / "cache").load("syn_signs")
    assert (len(drawn.train), len(drawn.scored)) == (18, 2)
    for part in (drawn.train, drawn.scored):
        np.testing.assert_array_equal(part.inputs[:, 0, 20, 20], 10 * part.labels)
    both = sorted([*drawn.train.labels, *drawn.scored.labels])
    assert both == list(range(20))
    by_seed = Signs(root, SignsOptions(train=5), cache=tmp_path / "cache").load("syn_signs")
    assert checksum(by_seed) == checksum(drawn)
    assert (drawn.trained_on, by_seed.trained_on) == (18, 5)
    again = Signs(root, SignsOptions(train=5, draw="fixed"), cache=tmp_path / "cache").load("syn_signs")
    np.testing.assert_array_equal(again.scored.labels, drawn.scored.labels)
    assert len(again.train) == again.trained_on == 5
    assert set(again.train.labels) < set(drawn.train.labels)
    with pytest.raises(DataError, match="asks for 50"):
        Signs(root, SignsOptions(train=50)).load("syn_signs")


def test_every_class_has_a_name_of_its_own() -> None:
    assert len(set(Signs.classes)) == 43
    # Numbers of the benchmark's own table of classes.
    known = {0: "speed limit 20", 8: "speed limit 120", 13: "yield", 14: "stop", 17: "no entry", 25: "road works"}
    known |= {33: "turn right", 38: "keep right", 40: "roundabout", 42: "end of no passing for trucks"}
    assert {number: Signs.classes[number] for number in known} == known


def test_what_is_missing_or_damaged_gets_one_line(root: Path, tmp_path: Path) -> None:
    signs = Signs(root)
    assert [check.state for check in signs.verify()] == ["ok", "ok"]
    assert "6 training of 39209 published" in signs.verify()[1].detail
    image = root / "gtsrb/GTSRB/Final_Test/Images/00001.ppm"
    image.write_bytes(image.read_bytes()[:40])
    labels = root / "synthetic_data/train_labelling.txt"
    labels.write_text(labels.read_text() + "train/0.png 43 0\n")
    assert [check.state for check in signs.verify()] == ["damaged", "damaged"]
    for domain, part in (("gtsrb", "truncated"), ("syn_signs", "0–42")):
        with pytest.raises(DataError, match=part) as refused:
            signs.load(domain)
        assert "\n" not in str(refused.value)
    empty = Signs(tmp_path / "empty")
    assert "data fetch signs" in (empty.lacking("gtsrb") or "")
    assert [check.state for check in empty.verify()] == ["missing", "missing"]
    with pytest.raises(DataError, match="data fetch signs"):
        empty.load("gtsrb")
    with pytest.raises(DataError, match="no domain"):
        empty.load("belgium")
