"""Predictions of folders, files and tables: what is read, what is left out, and what is written."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support import models
from transfer_sweep.datasets.base import Standardisation
from transfer_sweep.datasets.images import pictures
from transfer_sweep.datasets.io import tables
from transfer_sweep.reports.ledger.records import Pair, Protocol
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial import predictions
from transfer_sweep.sweep.trial.model_files import Preparation
from transfer_sweep.sweep.trial.predictions import Answer, Listing, answers, listed
from transfer_sweep.sweep.trial.saved_model import SavedModel

PIXELS = Protocol("pixels", "raw", options={"size": 32})
WIDTH = 6
FEATURES = [f"f{i}" for i in range(WIDTH)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    """1-NN on pixels of one grey level a class: level 0, 40, 80 … and noise of up to 40 above it."""
    source = models.images(40, (3, 32, 32), 1)
    trial, model = models.trained("nearest_neighbor", source, source, PIXELS)
    return SavedModel(models.saved(tmp_path_factory.mktemp("model"), trial, model), device="cpu")


def _picture(path: Path, label: int, size: tuple[int, int] = (50, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 40 * label + 20).save(path)
    return path


def _no_progress(what: str, done: int, total: int | None) -> None:
    pass


def _answers(model: SavedModel, *paths: Path) -> list[Answer]:
    suffixes = tables.SUFFIXES if model.takes == "vectors" else pictures.SUFFIXES
    return list(answers(model, listed(paths, suffixes), _no_progress))


def test_folders_are_searched_at_any_depth_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    wanted = [_picture(tmp_path / name, 0) for name in ("a/2.png", "a/b/c/1.JPG", "a/z.webp", "b.bmp")]
    _picture(tmp_path / "a/.thumbnails/1.png", 0)
    _picture(tmp_path / ".hidden.png", 0)
    for name in ("notes.txt", "a/list.csv", "a/LICENSE"):
        (tmp_path / name).write_text("")
    (tmp_path / "a/round").symlink_to(tmp_path, target_is_directory=True)
    found = listed([tmp_path], pictures.SUFFIXES)
    assert sorted(found.files) == sorted(wanted)
    assert list(found.files) == [tmp_path / name for name in ("b.bmp", "a/2.png", "a/z.webp", "a/b/c/1.JPG")]
    assert found.left_out == {"hidden": 2, ".txt": 1, ".csv": 1, "no suffix": 1, "links to folders": 1}


def test_a_file_that_is_named_is_taken_whatever_its_suffix(model: SavedModel, tmp_path: Path) -> None:
    path = _picture(tmp_path / "1.png", 2).rename(tmp_path / "picture.download")
    (answer,) = _answers(model, path)
    assert answer.guesses[0][0] == "jug"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_rights_is_an_error_and_the_others_go_on(model: SavedModel, tmp_path: Path) -> None:
    _picture(tmp_path / "a/1.png", 1)
    (tmp_path / "b").mkdir(mode=0)
    first, second = _answers(model, tmp_path)
    assert first.error is not None
    assert second.guesses


def test_answers_come_in_the_order_of_files_with_classes_in_the_order_of_the_model(
    model: SavedModel, tmp_path: Path
) -> None:
    order = [3, 0, 4, 1, 2] * 30
    paths = [_picture(tmp_path / f"{place:03}.png", label) for place, label in enumerate(order)]
    found = _answers(model, *paths)
    assert [answer.path for answer in found] == [str(path) for path in paths]
    assert [answer.guesses[0][0] for answer in found] == [models.CLASSES[label] for label in order]
    for answer in found:
        shares = [share for _, share in answer.guesses]
        assert len(shares) == 3
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1 + 1e-6


def test_confidence_is_the_softmax_of_the_logits(model: SavedModel, tmp_path: Path) -> None:
    path = _picture(tmp_path / "1.png", 1, (32, 32))
    (answer,) = _answers(model, path)
    logits = model.logits(np.full((1, 3, 32, 32), 60, np.uint8))[0].astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum()
    assert answer.guesses[0][1] == pytest.approx(expected.max(), abs=1e-6)


def test_a_damaged_picture_does_not_end_the_batch(model: SavedModel, tmp_path: Path) -> None:
    good = [_picture(tmp_path / f"{name}.png", label) for label, name in enumerate("ace")]
    (tmp_path / "b.png").write_bytes(good[0].read_bytes()[:60])
    (tmp_path / "d.jpg").write_text("no picture")
    found = _answers(model, tmp_path, tmp_path / "absent.png")
    assert [Path(answer.path).stem for answer in found if answer.error] == ["b", "d", "absent"]
    assert all("cannot be read as a picture" in str(answer.error) for answer in found[:5] if answer.error)
    assert found[-1].error == "does not exist"
    assert [answer.guesses[0][0] for answer in found if not answer.error] == ["cup", "bowl", "jug"]


def test_only_one_batch_of_pictures_is_held_at_a_time(
    model: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _picture(tmp_path / "1.png", 1)
    opened, batches = 0, []
    real_open, real_logits = pictures.open_picture, model.logits

    def open_and_count(path: Path) -> pictures.Picture:
        nonlocal opened
        opened += 1
        return real_open(path)

    def count_batch(samples: NDArray[Any]) -> NDArray[np.float32]:
        batches.append(len(samples))
        return real_logits(samples)

    monkeypatch.setattr(pictures, "open_picture", open_and_count)
    monkeypatch.setattr(model, "logits", count_batch)
    for done, _ in enumerate(answers(model, Listing([path] * 500, {}, []), _no_progress)):
        assert opened - done <= predictions.PICTURES_AT_ONCE
    assert sum(batches) == 500
    assert max(batches) == predictions.PICTURES_AT_ONCE


def _some() -> list[Answer]:
    return [
        Answer("a.png", None, [("cup", 0.75), ("jug", 0.25)]),
        Answer('ünder, "quoted".png', None, [("bowl", 0.5), ("cup", 0.3), ("pot", 0.1)]),
        Answer("c.png", None, error="cannot be read as a picture: truncated"),
    ]


COLUMNS = ["path", "label", "confidence", "label_2", "confidence_2", "label_3", "confidence_3", "error"]


def test_csv_is_read_back_by_pandas(tmp_path: Path) -> None:
    predictions.write(tmp_path / "new" / "p.csv", _some(), tabular=False)
    found = pd.read_csv(tmp_path / "new" / "p.csv")
    assert list(found.columns) == COLUMNS
    assert found["path"].tolist() == [answer.path for answer in _some()]
    assert found["label"].tolist()[:2] == ["cup", "bowl"]
    assert found["confidence"].tolist()[:2] == [0.75, 0.5]
    assert found["label_3"].isna().tolist() == [True, False, True]
    assert found["error"].isna().tolist() == [True, True, False]
    assert list(tmp_path.glob("new/*")) == [tmp_path / "new" / "p.csv"]


def test_parquet_and_json_lines_say_the_same_as_csv(tmp_path: Path) -> None:
    for suffix in ("csv", "jsonl", "parquet"):
        predictions.write(tmp_path / f"p.{suffix}", _some(), tabular=False)
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()]
    parquet = pd.read_parquet(tmp_path / "p.parquet")
    assert str(parquet["confidence"].dtype) == "float64"
    expected = pd.read_csv(tmp_path / "p.csv").astype(object)
    for found in (pd.DataFrame(lines), parquet):
        assert list(found.columns) == COLUMNS
        pd.testing.assert_frame_equal(
            found.astype(object).where(found.notna(), None), expected.where(expected.notna(), None), check_dtype=False
        )


def test_a_file_of_many_answers_is_whole(tmp_path: Path) -> None:
    many = (Answer(f"{k}.png", None, [("cup", k / 10_000)]) for k in range(10_000))
    predictions.write(tmp_path / "p.parquet", many, tabular=False)
    found = pd.read_parquet(tmp_path / "p.parquet")
    assert found["confidence"].tolist() == [k / 10_000 for k in range(10_000)]


def test_what_is_interrupted_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Answer]:
        yield from _some()
        raise KeyboardInterrupt

    for suffix in ("csv", "jsonl", "parquet"):
        with pytest.raises(KeyboardInterrupt):
            predictions.write(tmp_path / f"p.{suffix}", interrupted(), tabular=False)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_no_utf_8_is_written_with_its_bytes_escaped(model: SavedModel, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        _picture(tmp_path / name, 1)
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    predictions.write(tmp_path / "p.csv", _answers(model, tmp_path), tabular=False)
    (path,) = pd.read_csv(tmp_path / "p.csv")["path"]
    assert path.endswith(r"caf\xe9.png")


def _table_model(folder: Path, names: list[str] | None = None) -> tuple[SavedModel, NDArray[np.float32]]:
    """A model on standardised vectors with these names; and rows as a user has them."""
    source = models.vectors(60, WIDTH, 1)
    given = Standardisation(np.linspace(1, 2, WIDTH), np.linspace(3, 4, WIDTH))
    protocol = Protocol("vectors", "raw", options={"label": None, "id": None, "standardize": "each"})
    trial, model = models.trained("linear_svm", source, source, protocol, "own_tables", pair=Pair("a", "b"))
    preparation = Preparation(models.CLASSES, FEATURES if names is None else names, given)
    raw = models.vectors(50, WIDTH, 2).inputs * given.scale + given.mean
    return SavedModel(models.saved(folder, trial, model, preparation), device="cpu"), raw.astype(np.float32)


def _expected(model: SavedModel, raw: NDArray[np.float32]) -> list[str]:
    return [models.CLASSES[k] for k in model.logits(model.standardised(raw)).argmax(axis=1)]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "npz"])
def test_rows_of_a_table_are_found_by_the_names_of_columns_and_named_by_their_id(suffix: str, tmp_path: Path) -> None:
    model, raw = _table_model(tmp_path)
    ids = [f"item {k}" for k in range(50)]
    frame = pd.DataFrame(raw, columns=FEATURES)[FEATURES[::-1]].assign(label="?", id=ids, remark="a text")
    path = tmp_path / f"new.{suffix}"
    if suffix == "npz":
        np.savez(path, x=raw, id=np.array(ids))
    elif suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    found = _answers(model, path)
    assert [answer.row for answer in found] == ids
    assert [answer.guesses[0][0] for answer in found] == _expected(model, raw)
    assert len(set(_expected(model, raw))) == len(models.CLASSES)


def test_rows_are_read_some_at_a_time_and_counted_from_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, raw = _table_model(tmp_path)
    monkeypatch.setattr(predictions, "ROWS_AT_ONCE", 7)
    pd.DataFrame(raw, columns=FEATURES).to_csv(tmp_path / "new.csv", index=False)
    pd.DataFrame(raw, columns=FEATURES).to_parquet(tmp_path / "new.parquet")
    expected, sizes, real = _expected(model, raw), [], model.logits

    def count(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(samples))
        return real(samples)

    monkeypatch.setattr(model, "logits", count)
    for suffix in ("csv", "parquet"):
        found = _answers(model, tmp_path / f"new.{suffix}")
        assert [answer.row for answer in found] == [str(k) for k in range(1, 51)]
        assert [answer.guesses[0][0] for answer in found] == expected
    assert sizes == [7, 7, 7, 7, 7, 7, 7, 1] * 2


def test_a_row_without_a_number_has_an_error_and_the_others_go_on(tmp_path: Path) -> None:
    model, raw = _table_model(tmp_path)
    frame = pd.DataFrame(raw, columns=FEATURES).astype(object)
    frame.loc[3, "f2"] = "many"
    frame.loc[8, "f4"] = None
    frame.loc[9, "f0"] = np.inf
    frame.to_csv(tmp_path / "new.csv", index=False)
    found = _answers(model, tmp_path / "new.csv")
    errors = {answer.row: answer.error for answer in found if answer.error}
    assert errors == {
        "4": "no finite number in column f2",
        "9": "no finite number in column f4",
        "10": "no finite number in column f0",
    }
    assert len(found) == 50


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"f0,f1\n1,2\n", "lacks 4 of the model's 6 columns: f2, f3, f4 and 1 more"),
        (b"", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "does not exist"),
    ],
)
def test_a_table_that_does_not_fit_has_an_error_and_the_others_go_on(
    content: bytes | None, part: str, tmp_path: Path
) -> None:
    model, raw = _table_model(tmp_path)
    pd.DataFrame(raw, columns=FEATURES).to_csv(tmp_path / "good.csv", index=False)
    if content is not None:
        (tmp_path / "bad.csv").write_bytes(content)
    bad, *good = _answers(model, tmp_path / "bad.csv", tmp_path / "good.csv")
    assert part in str(bad.error)
    assert bad.row is None
    assert len(good) == 50


def test_without_names_all_columns_count_and_a_wrong_number_is_an_error(tmp_path: Path) -> None:
    model, raw = _table_model(tmp_path, names=[])
    pd.DataFrame(raw).assign(y="?").to_csv(tmp_path / "right.csv", index=False)
    np.savez(tmp_path / "wrong.npz", x=raw[:, :4])
    right = _answers(model, tmp_path / "right.csv")
    assert [answer.guesses[0][0] for answer in right] == _expected(model, raw)
    (wrong,) = _answers(model, tmp_path / "wrong.npz")
    assert wrong.error == "it has 4 columns of numbers, the model takes 6"


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    model, _ = _table_model(tmp_path)
    np.savez(tmp_path / "bad.npz", x=np.array([{"a": 1}], dtype=object))
    (answer,) = _answers(model, tmp_path / "bad.npz")
    assert "cannot be read" in str(answer.error)


def test_what_a_method_cannot_take_is_one_line(tmp_path: Path) -> None:
    source = models.vectors(60, WIDTH, 1)
    params = {"scaling": "log_length", "max_passes": 2}
    trial, trained = models.trained("shallow_nn", source, source, Protocol("bow", "raw"), "amazon_reviews", params)
    model = SavedModel(models.saved(tmp_path, trial, trained), device="cpu")
    np.savez(tmp_path / "below.npz", x=-source.inputs)
    with pytest.raises(SweepError, match="negative"):
        _answers(model, tmp_path / "below.npz")


def test_a_model_of_msda_says_that_it_takes_no_other_samples(tmp_path: Path) -> None:
    source = models.vectors(60, WIDTH, 1)
    protocol = Protocol("bow", "raw", inputs={"msda": {"layers": 1}})
    trial, trained = models.trained("linear_svm", source, source, protocol, "amazon_reviews")
    with pytest.raises(SweepError, match="mSDA"):
        SavedModel(models.saved(tmp_path, trial, trained)).logits(source.inputs)
