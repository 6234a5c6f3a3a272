"""The user's own tables: the same vectors from every kind of file, and each fault named by its file, column and row."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from transfer_sweep.datasets.base import UNLABELLED, DataError, checksum
from transfer_sweep.datasets.own_tables import OwnTables, OwnTablesOptions

ROWS: dict[str, list[Any]] = {"u": [1.5, -2.0, 0.25], "v": [3, 4, 5], "label": ["cat", "dog", "cat"]}
VECTORS = [[1.5, 3.0], [-2.0, 4.0], [0.25, 5.0]]
AS_IT_IS = OwnTablesOptions(standardize="none")


def write(path: Path, rows: Mapping[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **rows)
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        pd.DataFrame(rows).to_csv(path, index=False)
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def own(*paths: Path, **options: Any) -> OwnTables:
    """A dataset of these files, as they are, each a domain by its name."""
    return OwnTables(
        options=OwnTablesOptions(**{"standardize": "none", **options}), paths={path.name: path for path in paths}
    )


def only(path: Path, **options: Any) -> tuple[NDArray[np.float32], list[str | None]]:
    """Vectors and labels of a dataset of one file."""
    dataset = own(path, **options)
    train = dataset.load(path.name).train
    assert isinstance(train.inputs, np.ndarray)
    return train.inputs, [None if k == UNLABELLED else dataset.classes[k] for k in train.labels]


# --- kinds of files ---


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "A.CSV"])
def test_columns_become_vectors_and_labels(tmp_path: Path, name: str) -> None:
    dataset = own(write(tmp_path / name, ROWS))
    domain = dataset.load(name)
    assert domain.test is None
    assert domain.train.inputs.dtype == np.float32
    assert domain.train.inputs.tolist() == VECTORS
    assert domain.train.labels.tolist() == [0, 1, 0]
    assert domain.train.labels.dtype == np.int64
    assert dataset.classes == ("cat", "dog")
    assert list(dataset.sample_names(name)) == ["1", "2", "3"]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64])
def test_arrays_become_vectors_and_labels(tmp_path: Path, kind: type) -> None:
    path = write(
        tmp_path / "a.npz", {"x": np.array([[1, 2], [3, 4]], dtype=kind), "y": np.array(["b", "a"]), "id": [7, 8]}
    )
    dataset = own(path)
    assert dataset.load("a.npz").train.inputs.dtype == np.float32
    assert dataset.load("a.npz").train.inputs.tolist() == [[1, 2], [3, 4]]
    assert dataset.load("a.npz").train.labels.tolist() == [1, 0]
    assert list(dataset.sample_names("a.npz")) == ["7", "8"]


def test_truth_values_and_numbers_written_as_text_are_numbers(tmp_path: Path) -> None:
    frame = {"t": [True, False], "n": ["1", " 2.5 "], "label": ["a", "b"]}
    for name in ("a.csv", "a.parquet"):
        assert only(write(tmp_path / name, frame))[0].tolist() == [[1, 1], [0, 2.5]]


def test_the_same_domain_from_every_kind_of_file_is_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    vectors, labels = random.normal(size=(20, 4)).astype(np.float32), random.integers(0, 3, 20)
    columns = {f"f{j}": vectors[:, j] for j in range(4)} | {"y": labels}
    paths = [write(tmp_path / name, columns) for name in ("a.csv", "a.csv.gz", "a.parquet")]
    paths.append(write(tmp_path / "a.npz", {"x": vectors, "y": labels}))
    dataset = own(*paths)
    for path in paths:
        assert np.allclose(dataset.load(path.name).train.inputs, vectors, rtol=1e-6)
        assert dataset.load(path.name).train.labels.tolist() == labels.tolist()
    assert len({checksum(dataset.load(path.name)) for path in paths}) == 1


# --- labels ---


def test_an_empty_label_is_none(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        path = write(tmp_path / name, {"u": [1, 2, 3, 4], "label": ["a", "", None, "b"]})
        assert only(path)[1] == ["a", None, None, "b"]
    path = write(tmp_path / "a.npz", {"x": np.ones((3, 2)), "y": np.array([1.0, np.nan, 0.0])})
    assert only(path)[1] == ["1", None, "0"]


def test_labels_that_read_like_missing_values_are_labels(tmp_path: Path) -> None:
    path = text(tmp_path / "a.csv", "u,label\n1,NA\n2,None\n3,NA\n")
    assert only(path)[1] == ["NA", "None", "NA"]


def test_whole_numbers_are_the_same_classes_however_a_file_holds_them(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.csv", {"u": [1, 2, 3], "y": [10, 9, 1]})
    beside_a_gap = write(tmp_path / "b.csv", {"u": [1, 2, 3], "y": [10, None, 9]})  # pandas writes 10.0
    floats = write(tmp_path / "c.parquet", {"u": [1, 2, 3], "y": [10.0, None, 1.0]})
    dataset = own(whole, beside_a_gap, floats)
    assert dataset.classes == ("1", "9", "10")
    assert dataset.load("b.csv").train.labels.tolist() == [2, UNLABELLED, 1]
    assert dataset.load("c.parquet").train.labels.tolist() == [2, UNLABELLED, 0]


def test_the_column_of_labels_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", {"u": [1, 2], "kind": ["a", "b"], "y": [5, 6]})
    vectors, labels = only(path, label="kind")
    assert vectors.tolist() == [[1, 5], [2, 6]]
    assert labels == ["a", "b"]


def test_a_table_without_the_column_is_a_domain_without_labels(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.csv", ROWS), write(tmp_path / "b.csv", {"u": [1, 2], "v": [3, 4]})
    c = write(tmp_path / "c.npz", {"x": np.ones((4, 2))})
    dataset = own(a, b, c)
    assert dataset.load("b.csv").train.labels.tolist() == [UNLABELLED] * 2
    assert dataset.load("c.npz").train.labels.tolist() == [UNLABELLED] * 4
    assert dataset.class_counts("b.csv") == {}
    assert dataset.findings("b.csv").lines == (
        "b.csv: 2 rows without labels",
        "b.csv: 2 features",
        "b.csv: there is no column 'label' or 'y': its samples have no labels",
    )
    assert not dataset.known_classes("b.csv")
    assert not dataset.wholly_labelled("b.csv")


# --- columns of domains ---


def test_columns_are_put_in_one_order_by_their_names(tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", ROWS)
    b = write(tmp_path / "b.parquet", {"label": ["dog"] * 2, "v": [30, 40], "u": [10, 20]})
    assert own(a, b).load("b.parquet").train.inputs.tolist() == [[10, 30], [20, 40]]


@pytest.mark.parametrize("column", ["id", "name"])
def test_a_column_of_names_is_no_feature(tmp_path: Path, column: str) -> None:
    dataset = own(write(tmp_path / "a.csv", {column: ["x1", "x2", None], **ROWS}))
    assert dataset.load("a.csv").train.inputs.tolist() == VECTORS
    assert list(dataset.sample_names("a.csv")) == ["x1", "x2", "3"]
    assert f"column {column!r} names the samples and is no feature" in dataset.findings("a.csv").remarks


def test_the_column_of_names_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", {"ticket": [70, 80, 90], **ROWS})
    dataset = own(path, id="ticket")
    assert list(dataset.sample_names("a.csv")) == ["70", "80", "90"]
    assert dataset.load("a.csv").train.inputs.shape == (3, 2)


def test_the_index_that_pandas_writes_is_no_feature(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, index=[4, 5, 6])
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        dataset = own(tmp_path / name)
        assert dataset.load(name).train.inputs.tolist() == VECTORS
        assert list(dataset.sample_names(name)) == ["4", "5", "6"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbflabel,u\ncat,1\ndog,2\n")
    assert only(tmp_path / "a.csv")[1] == ["cat", "dog"]


# --- standardising ---


def columns(values: list[float], others: list[float] | None = None) -> dict[str, list[Any]]:
    return {"u": values, "v": others or [7.0] * len(values), "y": [k % 2 for k in range(len(values))]}


def test_each_domain_is_standardised_by_itself_unless_told_otherwise(tmp_path: Path) -> None:
    paths = {"a": write(tmp_path / "a.csv", columns([1, 3])), "b": write(tmp_path / "b.csv", columns([10, 10, 40]))}
    dataset = OwnTables(paths=paths)
    assert dataset.load("a").train.inputs.tolist() == [[-1, 0], [1, 0]]  # a column of one value becomes 0
    root = 2**-0.5
    assert np.allclose(dataset.load("b").train.inputs, [[-root, 0], [-root, 0], [2 * root, 0]])
    alone = OwnTables(paths={"a": paths["a"]})
    assert checksum(dataset.load("a")) == checksum(
        alone.load("a")
    )  # nothing of it depends on which other domains there are
    assert "1 feature of one value throughout" in dataset.findings("a").remarks


def test_standardising_over_all_domains_keeps_the_shift_between_them(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.csv", columns([0, 0], [1, 1])), write(tmp_path / "b.csv", columns([4, 4], [3, 3]))
    dataset = own(a, b, standardize="all")
    assert dataset.load("a.csv").train.inputs.tolist() == [[-1, -1], [-1, -1]]
    assert dataset.load("b.csv").train.inputs.tolist() == [[1, 1], [1, 1]]


def test_standardising_is_no_part_of_what_the_tables_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", columns([1, 3]))
    dataset = own(path)
    path.unlink()  # it has been read
    assert OwnTables.input_options == ("standardize",)
    with pytest.raises(DataError, match="does not exist"):
        dataset.with_options(OwnTablesOptions(label="u"))
    dataset = own(write(tmp_path / "a.csv", columns([1, 3])))
    dataset.load("a.csv")
    path.unlink()
    other = dataset.with_options(OwnTablesOptions(standardize="each"))
    assert other.load("a.csv").train.inputs.tolist() == [[-1, 0], [1, 0]]
    assert dataset.load("a.csv").train.inputs.tolist() == [[1, 7], [3, 7]]


# --- what is refused, each in one line ---

Maker = Callable[[Path], list[Path]]


def csv(content: str) -> Maker:
    return lambda root: [text(root / "a.csv", content)]


def npz(**arrays: Any) -> Maker:
    return lambda root: [write(root / "a.npz", arrays)]


def parquet(rows: Mapping[str, Any]) -> Maker:
    return lambda root: [write(root / "a.parquet", rows)]


def both(first: Mapping[str, Any], second: Mapping[str, Any], name: str = "b.csv") -> Maker:
    return lambda root: [write(root / "a.csv", first), write(root / name, second)]


def raw(name: str, content: bytes) -> Maker:
    def make(root: Path) -> list[Path]:
        (root / name).write_bytes(content)
        return [root / name]

    return make


def cut(name: str) -> Maker:
    def make(root: Path) -> list[Path]:
        rows = (
            {"x": np.ones((50, 4)), "y": np.arange(50) % 2}
            if name.endswith("npz")
            else {"u": range(50), "y": ["a", "b"] * 25}
        )
        path = write(root / name, rows)
        path.write_bytes(path.read_bytes()[:-30])
        return [path]

    return make


def pickled(root: Path) -> list[Path]:
    np.savez(root / "a.npz", x=np.ones((2, 2)), y=np.array(["a", {}], dtype=object))
    return [root / "a.npz"]


def folder(root: Path) -> list[Path]:
    (root / "a.csv").mkdir()
    return [root / "a.csv"]


def twice(root: Path) -> list[Path]:
    path = write(root / "a.csv", ROWS)
    (root / "b.csv").symlink_to(path)
    return [path, root / "b.csv"]


LABELLED = {"y": ["a", "b"]}

REFUSED: list[tuple[Maker, list[str]]] = [
    (lambda root: [root / "a.csv"], ["a.csv does not exist"]),
    (folder, ["a.csv is a folder, and a table is one file: .csv, .csv.gz, .parquet, .npz"]),
    (twice, ["domains a.csv and b.csv are the same"]),
    (raw("a.xlsx", b""), ["a.xlsx is no table that can be read: .csv, .csv.gz, .parquet, .npz are"]),
    (raw("a.csv", b""), ["a.csv: it is empty"]),
    (csv("u,y\n"), ["a.csv: it has no rows"]),
    (csv("u;y\n1;a\n2;b\n"), ["a.csv: its header has no comma but ';'"]),
    (csv("0.5,1.5\n1,2\n"), ["a.csv: its first row holds numbers (0.5, 1.5): a header"]),
    (csv("u,u,y\n1,2,a\n1,2,b\n"), ["a.csv: column 'u' is there twice"]),
    (csv("u,,y\n1,2,a\n1,2,b\n"), ["a.csv: column 2 has no name"]),
    (csv("u,y\n1,a\n2,b,3\n"), ["a.csv: row 2 has 3 cells, and the header has 2"]),
    (csv("u,y\n1,a,3\n2,b,4\n"), ["a.csv: row 1 has 3 cells, and the header has 2"]),
    (csv("u,y\n1,a\n2\n"), ["a.csv: row 2 has 1 cell, and the header has 2"]),
    (csv("y\na\nb\n"), ["a.csv: it has no features: its columns are y"]),
    (csv("u,v\n1,2\n"), ["none of a.csv has labels", "a column 'label' gives them"]),
    (csv("u,y\n1,a\n2,a\n"), ["a.csv hold one class, 'a'"]),
    (csv("u,y\n1,0.5\n2,1\n"), ["a.csv: column 'y' holds numbers with fractions (0.5)"]),
    (csv('u,y\n1,"a\nb"\n2,c\n'), [r"a.csv: label a\nb of column 'y' cannot be printed"]),
    (raw("a.csv", "u,y\n1,café\n".encode("latin-1")), ["a.csv: it is not in UTF-8 (byte 9)"]),
    (cut("a.csv.gz"), ["a.csv.gz: it is damaged"]),
    (raw("a.csv.gz", b"u,y\n1,a\n"), ["a.csv.gz: it is damaged"]),
    (cut("a.parquet"), ["a.parquet: it is damaged"]),
    (raw("a.parquet", b"PAR1 and no more"), ["a.parquet: it is damaged"]),
    (parquet({"u": [[1, 2], [3, 4]], **LABELLED}), ["a.parquet: column 'u' holds lists", "a column of its own"]),
    (parquet({"u": pd.to_datetime(["2020", "2021"]), **LABELLED}), ["a.parquet: column 'u' holds datetime64"]),
    (parquet({"u": [1, 2], "y": [[1], [2]]}), ["a.parquet: column 'y' holds list in row 1"]),
    (cut("a.npz"), ["a.npz: it is damaged"]),
    (raw("a.npz", pickle.dumps([1, 2])), ["a.npz: it is damaged"]),
    (pickled, ["a.npz: it holds Python objects, which may run code"]),
    (npz(features=np.ones((2, 2)), y=["a", "b"]), ["a.npz: it has no array 'x', (n, d), but features, y"]),
    (npz(x=np.ones(3), y=["a", "b", "a"]), ["a.npz: array 'x' has shape (3,)"]),
    (npz(x=np.ones((2, 0)), y=["a", "b"]), ["a.npz: array 'x' has shape (2, 0)"]),
    (npz(x=np.array([["a"], ["b"]]), y=["a", "b"]), ["a.npz: array 'x' holds <U1: numbers are needed"]),
    (npz(x=np.ones((2, 2)), y=["a", "b", "a"]), ["a.npz: array 'y' has 3 entries and 'x' has 2 rows"]),
    (npz(x=np.ones((2, 2)), y=[[0, 1], [1, 0]]), ["a.npz: array 'y' has shape (2, 2): one entry a row"]),
    (npz(x=np.array([[1, 2], [np.nan, 3]]), y=["a", "b"]), ["a.npz: x[:, 0] lacks 1 of 2 values, the first in row 2"]),
    (
        npz(x=np.ones((2, 2)), y=np.array([b"\xff", b"a"])),
        ["a.npz: column 'y' holds bytes that are not in UTF-8 in row 1"],
    ),
    (
        csv("u,w,y\n1,2,a\n3,,b\n,,a\n"),
        ["a.csv: column 'u' lacks 1 of 3 values, the first in row 3", "1 more column with"],
    ),
    (csv("u,y\n1,a\nNA,b\n?,a\n"), ["a.csv: column 'u' lacks 2 of 3 values, the first in row 2", "fill them in"]),
    (csv("u,y\n1,a\n-inf,b\n"), ["a.csv: column 'u' is infinite in row 2"]),
    (csv("u,y\n1,a\n1e300,b\n"), ["a.csv: column 'u' is 1e+300 in row 2: at most 3.4e+38 fits float32"]),
    (csv('u,y\n1,a\n"2,5",b\n3,a\n'), ["a.csv: column 'u' holds '2,5' in row 2", "1 of 3 cells", "numbers are needed"]),
    (parquet({"u": ["1", "x"], **LABELLED}), ["a.parquet: column 'u' holds 'x' in row 2"]),
    (parquet({"u": [1.0, None], **LABELLED}), ["a.parquet: column 'u' lacks 1 of 2 values"]),
    (
        both(ROWS, {"u": [1, 2], "label": ["cat", "dog"]}),
        ["b.csv: its columns of features (1) are not the 2 of ", "a.csv: only there is v; give both the same columns"],
    ),
    (
        both(ROWS, {"u": [1, 2], "w": [1, 2], "Label": ["cat", "dog"]}),
        ["b.csv: its columns of features (3) are not the 2 of ", "only here are w, Label and only there is v"],
    ),
    (both(ROWS, {"x": np.ones((2, 3))}, "b.npz"), ["b.npz: it has 3 features and ", "a.csv has 2"]),
]


@pytest.mark.parametrize(("make", "parts"), REFUSED)
def test_it_is_refused_in_one_line(tmp_path: Path, make: Maker, parts: list[str]) -> None:
    with pytest.raises(DataError) as error:
        dataset = own(*make(tmp_path))
        for domain in dataset.domains:
            dataset.load(domain)
    message = str(error.value)
    assert message.isprintable()  # one line, on any terminal
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (
            {"label": "kind"},
            "it has no column 'kind', and no other table has: it has u, v, label; name one with `label`",
        ),
        ({"id": "ticket"}, "it has no column 'ticket', and no other table has: it has u, v, label; name one with `id`"),
        ({"label": "u", "id": "u"}, "column 'u' cannot hold both the labels and the names"),
    ],
)
def test_columns_that_were_asked_for_and_are_not_there(tmp_path: Path, options: dict[str, str], part: str) -> None:
    with pytest.raises(DataError) as error:
        own(write(tmp_path / "a.csv", ROWS), **options)
    assert part in str(error.value)


def test_a_file_without_rights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.csv", ROWS)

    closed = Mock(side_effect=PermissionError(13, "Permission denied"))  # to the superuser no file is closed
    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(DataError, match=r"a\.csv: it may not be read: give yourself the right to"):
        own(path)


def test_tables_hold_no_pictures(tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415 - of this test alone

    dataset = own(write(tmp_path / "a.csv", ROWS))
    with pytest.raises(DataError, match="own_tables holds no images"):
        dataset.from_picture(Image.new("RGB", (4, 4)), "a.csv")


def test_verify_names_the_damaged(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.csv", ROWS), text(tmp_path / "b.csv", "u,v\n1,2\n3,x\n")
    first, second = own(a, b).verify()
    assert (first.path, first.state, first.detail) == (str(a), "ok", "3 rows of 2 classes (cat 2, dog 1); 2 features")
    assert (second.state, "column 'v' holds 'x' in row 2" in second.detail) == ("damaged", True)


# --- a real one ---


@pytest.mark.data
def test_features_of_pacs(data_root: Path) -> None:
    folder = data_root / "tables/pacs_lite0"
    if not folder.is_dir():
        pytest.skip("no tables/pacs_lite0 below the data root")
    dataset = OwnTables(paths={name: folder / f"{name}.npz" for name in ("photo", "cartoon")})
    assert dataset.classes == ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
    shapes = {name: dataset.load(name).train.inputs.shape for name in dataset.domains}
    assert shapes == {"photo": (1670, 1280), "cartoon": (2344, 1280)}
    counts = np.bincount(dataset.load("photo").train.labels)
    assert counts.tolist() == [189, 202, 182, 186, 199, 280, 432]  # as PACS was published
