"""What a saved model says of files: pictures one by one, tables row by row, in batches, written as they come.

A file that cannot be read has an error instead of an answer, and the others go on.
"""

from __future__ import annotations

import csv
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import softmax

from transfer_sweep.datasets.base import DataError, Progress
from transfer_sweep.datasets.images import pictures
from transfer_sweep.datasets.io.names import printable
from transfer_sweep.reports.ledger.artefacts import write_whole
from transfer_sweep.sweep import environment
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial.saved_model import SavedModel

TABLES = frozenset((".csv", ".parquet", ".npz"))
"""Suffixes of tables of vectors, in lower case."""

PICTURES_AT_ONCE = 64
ROWS_AT_ONCE = 4096
SHOWN = 3
"""Classes that an answer names: the best, and the runners-up."""

_DIGITS = 6  # of a confidence


@dataclass(frozen=True)
class Listing:
    """The files to predict.

    Attributes:
        files: in order: as they were named, those of a folder sorted.
        left_out: what of the folders is not among them, and how often.
        unreadable: folders that could not be looked into, and why.
    """

    files: Sequence[Path]
    left_out: Mapping[str, int]
    unreadable: Sequence[tuple[Path, str]]


def listed(paths: Iterable[Path], suffixes: frozenset[str]) -> Listing:
    """Files that were named, and those with a suffix in folders that were, at any depth.

    Hidden files and folders are left out, and links to folders are not followed: they may lead in circles.

    Args:
        paths: files and folders. A file that is named is taken whatever its suffix.
        suffixes: in lower case.
    """
    files: list[Path] = []
    left_out: Counter[str] = Counter()
    unreadable: list[tuple[Path, str]] = []

    def refused(error: OSError) -> None:
        unreadable.append((Path(os.fspath(error.filename)), error.strerror or str(error)))

    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        for folder, folders, names in os.walk(path, onerror=refused):
            hidden = [name for name in (*folders, *names) if name.startswith(".")]
            links = [n for n in folders if not n.startswith(".") and (Path(folder) / n).is_symlink()]
            left_out["hidden"] += len(hidden)
            left_out["links to folders"] += len(links)
            folders[:] = sorted(set(folders) - set(hidden) - set(links))
            for name in sorted(set(names) - set(hidden)):
                if Path(name).suffix.lower() in suffixes:
                    files.append(Path(folder) / name)
                else:
                    left_out[f"{Path(name).suffix.lower() or 'no suffix'}"] += 1
    return Listing(files, +left_out, unreadable)


@dataclass(frozen=True)
class Answer:
    """What the model says of a picture or of a row.

    Attributes:
        path: of the file, printable.
        row: of a table, counted from 0; None: a picture, or a whole table that cannot be read.
        guesses: the best classes and their confidences (softmax of the logits, 0 to 1), at most :data:`SHOWN`; none
            where there is an error.
        error: why there is no answer.
    """

    path: str
    row: int | None
    guesses: Sequence[tuple[str, float]] = ()
    error: str | None = None

    @classmethod
    def columns(cls, tabular: bool) -> list[str]:
        """Names of :meth:`values`."""
        runners_up = [name for k in range(2, SHOWN + 1) for name in (f"label_{k}", f"confidence_{k}")]
        return ["path", *(["row"] if tabular else []), "label", "confidence", *runners_up, "error"]

    def values(self, tabular: bool) -> list[Any]:
        """As a row of a table; ``row`` only of tables of vectors."""
        flat: list[Any] = [value for guess in self.guesses for value in guess]
        flat += [None] * (2 * SHOWN - len(flat))
        return [self.path, *([self.row] if tabular else []), *flat, self.error]


def answers(model: SavedModel, listing: Listing, progress: Progress) -> Iterator[Answer]:
    """The model's answers, in the order of the files; a batch of inputs is held at a time.

    Raises:
        SweepError: the model does not fit this version of its method, or takes no samples but its own.
        DataError: the model is a shallow one of an earlier version, and its data is missing.
    """
    for path, why in listing.unreadable:
        yield Answer(printable(path), None, error=f"the folder cannot be read: {why}")
    yield from (_of_pictures if model.takes == "pictures" else _of_tables)(model, listing.files, progress)


def _of_pictures(model: SavedModel, files: Sequence[Path], progress: Progress) -> Iterator[Answer]:
    def read(path: Path) -> NDArray[Any] | str:
        try:
            return model.sample(pictures.open_picture(path).image)
        except pictures.PictureError as error:
            return error.why
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor(environment.cores()) as pool:
        for start in range(0, len(files), PICTURES_AT_ONCE):
            batch = files[start : start + PICTURES_AT_ONCE]
            found = list(pool.map(read, batch))
            samples = [sample for sample in found if not isinstance(sample, str)]
            guesses = iter(_guesses(model, np.stack(samples)) if samples else [])
            for path, sample in zip(batch, found, strict=True):
                name = printable(path)
                if isinstance(sample, str):
                    yield Answer(name, None, error=sample)
                else:
                    yield Answer(name, None, next(guesses))
            if len(files) > PICTURES_AT_ONCE:
                progress("predictions", start + len(batch), len(files))


def _of_tables(model: SavedModel, files: Sequence[Path], progress: Progress) -> Iterator[Answer]:
    done = 0
    for path in files:
        name = printable(path)
        row = 0
        try:
            for part in _READERS.get(path.suffix.lower(), _no_table)(path):
                vectors = _vectors(part, model)
                whole = np.isfinite(vectors).all(axis=1)
                guesses = iter(_guesses(model, model.standardised(vectors[whole])) if whole.any() else [])
                for index in range(len(vectors)):
                    if whole[index]:
                        yield Answer(name, row + index, next(guesses))
                    else:
                        column = part.columns[int(np.argmin(np.isfinite(vectors[index])))]
                        yield Answer(name, row + index, error=f"no finite number in column {printable(column)}")
                row += len(vectors)
                done += len(vectors)
                if done > ROWS_AT_ONCE:
                    progress("predictions of rows", done, None)
        except _TableError as error:
            yield Answer(name, None, error=str(error))


def _guesses(model: SavedModel, samples: NDArray[Any]) -> list[list[tuple[str, float]]]:
    confidences = softmax(model.logits(samples).astype(np.float64), axis=1)
    best = np.argsort(-confidences, axis=1, kind="stable")[:, :SHOWN]
    return [
        [(model.classes[k], round(float(row[k]), _DIGITS)) for k in order.tolist()]
        for row, order in zip(confidences, best, strict=True)
    ]


class _TableError(Exception):
    """A table that cannot be read, or not from some row on."""


def _vectors(part: pd.DataFrame, model: SavedModel) -> NDArray[np.float64]:
    """The columns that are the model's inputs, (n, m); NaN where there is no number. ``part`` keeps only them."""
    width = model.file.input_shape[0]
    if model.columns:
        if missing := [name for name in model.columns if name not in part]:
            raise _TableError(f"it lacks {len(missing)} of the model's {width} columns: {printable(missing[0])} first")
        wanted = list(model.columns)
    else:
        wanted = [name for name in part if name != model.trial.protocol.options.get("label")]
        if len(wanted) != width:
            raise _TableError(f"it has {len(wanted)} columns, the model takes {width} numbers a row")
    part.drop(columns=[name for name in part if name not in wanted], inplace=True)
    numbers = part[wanted].apply(pd.to_numeric, errors="coerce")
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _csv(path: Path) -> Iterator[pd.DataFrame]:
    try:
        with pd.read_csv(path, chunksize=ROWS_AT_ONCE) as parts:
            yield from parts
    except (OSError, ValueError) as error:
        raise _TableError(_why(error)) from None


def _parquet(path: Path) -> Iterator[pd.DataFrame]:
    try:
        with pq.ParquetFile(path) as file:
            for part in file.iter_batches(batch_size=ROWS_AT_ONCE):
                yield part.to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _TableError(_why(error)) from None


def _npz(path: Path) -> Iterator[pd.DataFrame]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            vectors = arrays["x"]
        if not isinstance(vectors, np.ndarray) or vectors.ndim != 2:
            raise ValueError("its array x should be (rows, columns)")
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            yield pd.DataFrame(vectors[start : start + ROWS_AT_ONCE])
    except KeyError:
        raise _TableError("it has no array x") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _TableError(_why(error)) from None


def _no_table(path: Path) -> Iterator[pd.DataFrame]:
    raise _TableError(f"with the suffix {path.suffix!r} it is no table that is read here ({', '.join(sorted(TABLES))})")


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read: {printable(' '.join(text.split()))[:200] or type(error).__name__}"


_READERS: dict[str, Callable[[Path], Iterator[pd.DataFrame]]] = {".csv": _csv, ".parquet": _parquet, ".npz": _npz}


class Tally:
    """Counts answers as they pass.

    Attributes:
        total, failed: how many there were, and how many without a label.
        first: of the latter.
    """

    def __init__(self) -> None:
        self.total, self.failed = 0, 0
        self.first: Answer | None = None

    def count(self, found: Iterable[Answer]) -> Iterator[Answer]:
        """Hand on what comes.

        Raises:
            SweepError: at the end, where no answer has a label.
        """
        for answer in found:
            self.total += 1
            if answer.error is not None:
                self.failed += 1
                self.first = self.first or answer
            yield answer
        if self.first is not None and self.failed == self.total:
            others = f" (and so it is with {self.total - 1} more)" if self.total > 1 else ""
            raise SweepError(f"{error_line(self.first)}{others}")


def error_line(answer: Answer) -> str:
    """Of what could not be read, and why."""
    row = "" if answer.row is None else f" row {answer.row}"
    error = answer.error or ""
    joined = "" if error.startswith(("cannot", "does not", "is ")) else ":"
    return f"{answer.path}{row}{joined} {error}"


def write(path: Path, found: Iterable[Answer], tabular: bool) -> None:
    """Write answers as they come, as a file that is there as a whole or not at all.

    Args:
        path: ends in ``.csv``, ``.jsonl`` or ``.parquet``, see :func:`check_output`.
        found: the answers.
        tabular: whether they are of rows.
    """
    writer = _WRITERS[path.suffix.lower()]
    write_whole(path, lambda part: writer(part, found, tabular))


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse a file that cannot be written, before any work.

    Raises:
        SweepError: its suffix names no format, or it is there already.
    """
    if path.suffix.lower() not in _WRITERS:
        raise SweepError(f"predictions are written as {', '.join(_WRITERS)}, not as {printable(path.name)!r}")
    if path.exists() and not overwrite:
        raise SweepError(f"{printable(path)} is there already: add --overwrite, or name another file")


def _write_csv(path: Path, found: Iterable[Answer], tabular: bool) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Answer.columns(tabular))
        writer.writerows(answer.values(tabular) for answer in found)


def _write_jsonl(path: Path, found: Iterable[Answer], tabular: bool) -> None:
    names = Answer.columns(tabular)
    with path.open("w", encoding="utf-8") as file:
        for answer in found:
            record = dict(zip(names, answer.values(tabular), strict=True))
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _write_parquet(path: Path, found: Iterable[Answer], tabular: bool) -> None:
    names = Answer.columns(tabular)
    kinds = {"row": pa.int64(), **{name: pa.float64() for name in names if name.startswith("confidence")}}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    waiting: list[list[Any]] = []

    def flush(writer: pq.ParquetWriter) -> None:
        columns = list(zip(*waiting, strict=True)) or [()] * len(names)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        writer.write_batch(pa.record_batch(arrays, schema=schema))
        waiting.clear()

    with pq.ParquetWriter(path, schema) as writer:
        for answer in found:
            waiting.append(answer.values(tabular))
            if len(waiting) == ROWS_AT_ONCE:
                flush(writer)
        if waiting:
            flush(writer)


_WRITERS: dict[str, Callable[[Path, Iterable[Answer], bool], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
