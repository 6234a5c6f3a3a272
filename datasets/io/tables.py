"""Files of columns: CSV (gzipped or not), Parquet and NPZ, read as texts and as numbers, each fault named by its place.

Rows are counted from 1, without the header.
"""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from transfer_sweep.datasets.base import DataError
from transfer_sweep.datasets.io.names import composed, counted, printable, some

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz")
INDEX = ("", "__index_level_0__")
"""What pandas calls a frame's index as it writes CSV, there the first column, and Parquet."""

_MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "?")
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_RAGGED = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
_LARGEST = np.finfo(np.float32).max


class Table(ABC):
    """One file of rows. What is asked for is read; what is not asked for is not.

    Attributes:
        path: of the file.
        columns: names of its columns, in order; of an NPZ file, of its arrays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""

    @abstractmethod
    def texts(self, column: str) -> list[str | None]:
        """(n,) the cells of a column as texts, in Unicode's composed form and without space around; None: empty.

        Whole numbers are written without a point, however the file holds them.

        Raises:
            DataError: the file is damaged, or the column holds what is no text and no number.
        """

    @abstractmethod
    def numbers(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) the columns as numbers, in the order asked for.

        Raises:
            DataError: the file is damaged, or a cell is missing, infinite, too large for float32 or no number.
        """

    def fault(self, what: str) -> DataError:
        """An error about this file."""
        return DataError(f"{printable(self.path)}: {what}")


def open_table(path: Path) -> Table:
    """The table in a file, by its suffix.

    Raises:
        DataError: the suffix is none of :data:`SUFFIXES`, or the file cannot be read.
    """
    name = path.name.lower()
    kinds: dict[str, type[Table]] = {
        ".csv": CsvTable,
        ".csv.gz": CsvTable,
        ".parquet": ParquetTable,
        ".npz": NpzTable,
    }
    if path.is_dir():
        raise DataError(f"{printable(path)} is a folder, and a table is one file: {', '.join(SUFFIXES)}")
    for suffix, kind in kinds.items():
        if name.endswith(suffix):
            return kind(path)
    raise DataError(f"{printable(path)} is no table that can be read: {', '.join(SUFFIXES)} are")


class _ColumnTable(Table):
    """A file of typed columns."""

    def texts(self, column: str) -> list[str | None]:
        return texts_of(self, column, self._filled([column], as_text=True).column(0).to_pylist())

    def numbers(self, columns: Sequence[str]) -> NDArray[np.float32]:
        table = self._filled(columns, as_text=False)
        for name, kind in zip(columns, table.schema.types, strict=True):
            if pa.types.is_nested(kind):
                raise self.fault(
                    f"column {name!r} holds lists ({kind}): give each of their numbers a column of its own"
                )
        frame = table.to_pandas(ignore_metadata=True)
        values = np.empty(frame.shape, dtype=np.float64)
        for place, name in enumerate(columns):
            values[:, place] = _column(self, name, frame.iloc[:, place])
        return _as_float32(self, values, [f"column {name!r}" for name in columns])

    def _filled(self, columns: Sequence[str], as_text: bool) -> pa.Table:
        with _reading(self):
            table = self._read(columns, as_text)
        if table.num_rows == 0:
            raise self.fault("it has no rows")
        return table

    @abstractmethod
    def _read(self, columns: Sequence[str], as_text: bool) -> pa.Table:
        """These columns in this order; ``as_text``: their cells as they are written, where the file holds text."""


class CsvTable(_ColumnTable):
    """Comma-separated values in UTF-8, with a header."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        with _reading(self), self._open() as file:
            header = next(csv.reader(file), None)
        if not header:
            raise self.fault("it is empty: a header and at least one row are needed")
        names = tuple(composed(name).strip() for name in header)
        if len(names) == 1 and (other := next((mark for mark in ";\t|" if mark in names[0]), None)):
            raise self.fault(f"its header has no comma but {other!r}: save it with commas between columns")
        if len(names) > 1 and all(map(_is_number, names)) and not all(map(_WHOLE.fullmatch, names)):
            raise self.fault(
                f"its first row holds numbers ({some(names, 3)}): a header with names of columns is needed"
            )
        _check_names(self, names)
        return names

    def _open(self) -> TextIO:
        if self.path.name.lower().endswith(".gz"):
            return gzip.open(self.path, "rt", encoding="utf-8-sig", newline="")
        return self.path.open(encoding="utf-8-sig", newline="")

    def _read(self, columns: Sequence[str], as_text: bool) -> pa.Table:
        places = [str(self.columns.index(name)) for name in columns]
        types = {place: pa.string() for place in places} if as_text else None
        missing = [] if as_text else list(_MISSING)
        return arrow_csv.read_csv(
            self.path,
            arrow_csv.ReadOptions(
                column_names=[str(place) for place in range(len(self.columns))],
                skip_rows=1,
                use_threads=False,  # nearly as fast, and it says in which row a fault is
            ),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(
                include_columns=places, column_types=types, null_values=missing, strings_can_be_null=not as_text
            ),
        )


class ParquetTable(_ColumnTable):
    """An Apache Parquet file."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        with _reading(self):
            names = tuple(composed(name).strip() for name in pq.read_schema(self.path).names)
        _check_names(self, names)
        return names

    def _read(self, columns: Sequence[str], as_text: bool) -> pa.Table:
        file = pq.ParquetFile(self.path)
        stored = dict(zip(self.columns, file.schema_arrow.names, strict=True))
        wanted = [stored[name] for name in columns]
        return file.read(columns=wanted).select(wanted)


class NpzTable(Table):
    """NumPy arrays in one file; nothing in it is unpickled."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        with _reading(self), zipfile.ZipFile(self.path) as file:
            return tuple(name.removesuffix(".npy") for name in file.namelist())

    def texts(self, column: str) -> list[str | None]:
        values = self._read(column)
        if values.ndim != 1:
            raise self.fault(f"array {column!r} has shape {values.shape}: one entry a row is needed")
        return texts_of(self, column, values.tolist())

    def numbers(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) of one two-dimensional array."""
        (name,) = columns
        values = self._read(name)
        if values.ndim != 2 or 0 in values.shape:
            raise self.fault(f"array {name!r} has shape {values.shape}: rows of numbers, (n, d), are needed")
        if values.dtype.kind not in "biuf":
            raise self.fault(f"array {name!r} holds {values.dtype}: numbers are needed")
        return _as_float32(self, values, [f"{name}[:, {column}]" for column in range(values.shape[1])])

    def _read(self, name: str) -> NDArray[Any]:
        with _reading(self), np.load(self.path, allow_pickle=False) as arrays:
            values: NDArray[Any] = arrays[name]
        return values


@contextmanager
def _reading(table: Table) -> Iterator[None]:
    """Makes what the readers of files raise into one line about the table."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except UnicodeDecodeError as error:
        raise table.fault(f"it is not in UTF-8 (byte {error.start}): save it as UTF-8") from None
    except PermissionError:
        raise table.fault("it may not be read: give yourself the right to") from None
    except Exception as error:  # of a damaged file the readers let nearly any exception through
        if isinstance(error, ValueError) and "allow_pickle" in str(error):
            raise table.fault(
                "it holds Python objects, which may run code when they are read: save arrays of numbers and of texts"
            ) from None
        text = printable(" ".join(str(error).split())) or type(error).__name__
        if "invalid UTF8" in text:
            raise table.fault("it is not in UTF-8: save it as UTF-8") from None
        if ragged := _RAGGED.search(text):
            row, wanted, found = map(int, ragged.groups())
            raise table.fault(f"row {row - 1} has {counted(found, 'cell')}, and the header has {wanted}") from None
        raise table.fault(f"it is damaged, or of another kind than its suffix says ({text})") from error


def texts_of(table: Table, column: str, values: Iterable[object]) -> list[str | None]:
    """Cells of any kind as :meth:`Table.texts` has them."""
    found = [_text(table, column, row, value) for row, value in enumerate(values, start=1)]
    known = [text for text in found if text is not None]
    if known and all(map(_WHOLE.fullmatch, known)):  # 1.0 is what pandas makes of 1 beside an empty cell
        return [None if text is None else text.partition(".")[0] for text in found]
    return found


def _text(table: Table, column: str, row: int, value: object) -> str | None:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise table.fault(f"column {column!r} holds bytes that are not in UTF-8 in row {row}") from None
    if isinstance(value, str):
        return composed(value).strip() or None
    if isinstance(value, (bool, Integral)):
        return str(value)
    if isinstance(value, Real):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    raise table.fault(f"column {column!r} holds {type(value).__name__} in row {row}: texts or whole numbers are needed")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_names(table: Table, names: Sequence[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1 and name]:
        raise table.fault(f"column {twice[0]!r} is there twice: name each column once")
    if nameless := [place for place, name in enumerate(names, start=1) if not name and place > 1]:
        raise table.fault(f"column {nameless[0]} has no name: name it, or remove it")


def _column(table: Table, name: str, column: pd.Series[Any]) -> NDArray[np.float64]:
    """A column as numbers, NaN where a cell is missing."""
    if pd.api.types.is_bool_dtype(column.dtype) or column.dtype.kind in "iuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if column.dtype.kind != "O":
        raise table.fault(f"column {name!r} holds {column.dtype}: numbers are needed; convert it or remove it")
    cells = column.astype(object).map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    missing = column.isna() | cells.isin(_MISSING)
    numbers = pd.to_numeric(cells.where(~missing, np.nan), errors="coerce")
    wrong = np.flatnonzero((numbers.isna() & ~missing).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise table.fault(
            f"column {name!r} holds {str(column.iloc[row])[:40]!r} in row {row + 1}, and {len(wrong)} of "
            f"{len(column)} cells like it: numbers are needed; convert the column or remove it"
        )
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _as_float32(table: Table, values: NDArray[Any], names: Sequence[str]) -> NDArray[np.float32]:
    """Values as float32, if each is one.

    Args:
        table: for errors.
        values: (n, d) of a type of number.
        names: (d,) of the columns, for errors.
    """
    with np.errstate(over="ignore"):
        small = np.ascontiguousarray(values, dtype=np.float32)
    wrong = ~np.isfinite(small)
    if not wrong.any():
        return small
    place = int(np.flatnonzero(wrong.any(axis=0))[0])
    column = values[:, place]
    row = int(np.flatnonzero(wrong[:, place])[0])
    more = int(wrong.any(axis=0).sum()) - 1
    beside = f" ({more} more column{'s' if more > 1 else ''} with such cells)" if more else ""
    if np.isnan(column[row]):
        count = int(np.isnan(column).sum())
        raise table.fault(
            f"{names[place]} lacks {count} of {len(column)} values, the first in row {row + 1}{beside}: fill them in, "
            "or leave out these rows or the column"
        )
    if np.isinf(column[row]):
        raise table.fault(f"{names[place]} is infinite in row {row + 1}{beside}: finite numbers are needed")
    raise table.fault(
        f"{names[place]} is {column[row]:g} in row {row + 1}{beside}: at most {_LARGEST:.1e} fits float32"
    )
