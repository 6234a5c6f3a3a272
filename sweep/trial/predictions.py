"""What a saved model says of files: pictures one by one, tables row by row, in batches, written as they come.

A file that cannot be read has an error instead of an answer, and the others go on.
"""

from __future__ import annotations

import csv
import json
import os
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
from transfer_sweep.datasets.io.names import composed, printable, some
from transfer_sweep.datasets.io.tables import SUFFIXES
from transfer_sweep.datasets.own_tables import FEATURES, OwnTablesOptions, special_columns
from transfer_sweep.reports.ledger.artefacts import write_whole
from transfer_sweep.sweep import environment
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial.saved_model import SavedModel

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


def listed(paths: Iterable[Path], suffixes: Iterable[str]) -> Listing:
    """Files that were named, and those with a suffix in folders that were, at any depth.

    Hidden files and folders are left out, and links to folders are not followed: they may lead in circles.

    Args:
        paths: files and folders. A file that is named is taken whatever its suffix.
        suffixes: in lower case.
    """
    files: list[Path] = []
    wanted = tuple(suffixes)
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
                if name.lower().endswith(wanted):
                    files.append(Path(folder) / name)
                else:
                    left_out[f"{Path(name).suffix.lower() or 'no suffix'}"] += 1
    return Listing(files, +left_out, unreadable)


@dataclass(frozen=True)
class Answer:
    """What the model says of a picture or of a row.

    Attributes:
        path: of the file, printable.
        row: of a table, its name or its number from 1; None: a picture, or a whole table that cannot be read.
        guesses: the best classes and their confidences (softmax of the logits, 0 to 1), at most :data:`SHOWN`; none
            where there is an error.
        error: why there is no answer.
    """

    path: str
    row: str | None
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
        try:
            for part in _parts(path, model):
                vectors = part.vectors
                whole = np.asarray(np.isfinite(vectors).all(axis=1))
                guesses = iter(_guesses(model, model.standardised(vectors[whole])) if whole.any() else [])
                for index, row in enumerate(part.rows):
                    if whole[index]:
                        yield Answer(name, row, next(guesses))
                    else:
                        column = part.columns[int(np.argmin(np.isfinite(vectors[index])))]
                        yield Answer(name, row, error=f"no finite number in column {printable(column)}")
                done += len(vectors)
                if done > ROWS_AT_ONCE:
                    progress("predictions of rows", done, None)
        except _TableError as error:
            yield Answer(name, None, error=str(error))


def of_logits(names: Sequence[str], logits: NDArray[Any], classes: Sequence[str]) -> Iterator[Answer]:
    """What a trial said of its target's samples, by the logits that are kept of it.

    Args:
        names: (n,) of the samples.
        logits: (n, K).
        classes: (K,) names.
    """
    for name, guesses in zip(names, _best(logits, classes), strict=True):
        yield Answer(printable(name), None, guesses)


def _guesses(model: SavedModel, samples: NDArray[Any]) -> list[list[tuple[str, float]]]:
    return _best(model.logits(samples), model.classes)


def _best(logits: NDArray[Any], classes: Sequence[str]) -> list[list[tuple[str, float]]]:
    """The best classes of each row and their confidences."""
    confidences = softmax(logits.astype(np.float64), axis=1)
    best = np.argsort(-confidences, axis=1, kind="stable")[:, :SHOWN]
    return [
        [(classes[k], round(float(row[k]), _DIGITS)) for k in order.tolist()]
        for row, order in zip(confidences, best, strict=True)
    ]


class _TableError(Exception):
    """A table that cannot be read, or not from some row on."""


@dataclass(frozen=True)
class _Part:
    """Some rows of a table.

    Attributes:
        rows: (n,) their names, or their numbers from 1.
        columns: (m,) of the vectors, for errors.
        vectors: (n, m) float32; not finite where there is no number, or one that is too large.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    vectors: NDArray[np.float32]


def _parts(path: Path, model: SavedModel) -> Iterator[_Part]:
    """A table, some rows at a time."""
    first = 1
    for frame in _frames(path):
        frame.columns = pd.Index([composed(str(name)).strip() for name in frame.columns])
        features, names = _columns(list(frame.columns), model)
        numbers = frame[features].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        with np.errstate(over="ignore"):
            vectors = numbers.astype(np.float32)
        rows = [str(row) for row in range(first, first + len(frame))]
        if names is not None:
            cells = zip(frame[names].tolist(), rows, strict=True)
            rows = [number if pd.isna(cell) else printable(cell) for cell, number in cells]
        yield _Part(rows, features, vectors)
        first += len(frame)


def _columns(found: Sequence[str], model: SavedModel) -> tuple[list[str], str | None]:
    """Which of a table's columns are the model's inputs, in order; and which names the rows, if one does."""
    width, options = model.file.input_shape[0], model.dataset.options
    labels, names = special_columns(found, options if isinstance(options, OwnTablesOptions) else OwnTablesOptions())
    if model.feature_names:
        lacking = [name for name in model.feature_names if name not in found]
        if not lacking:
            return list(model.feature_names), names
        if not all(name.startswith(_OF_ARRAY) for name in found if name not in (labels, names)):
            raise _TableError(f"it lacks {len(lacking)} of the model's {width} columns: {printable(some(lacking, 3))}")
    rest = [name for name in found if name not in (labels, names)]
    if len(rest) != width:
        raise _TableError(f"it has {len(rest)} columns of numbers, the model takes {width}")
    return rest, names


_OF_ARRAY = f"{FEATURES}[:, "  # starts the names of what has none: the columns of an array


def _frames(path: Path) -> Iterator[pd.DataFrame]:
    suffixes = "".join(path.suffixes[-2:]).lower()
    reader = next((each for suffix, each in _READERS.items() if suffixes.endswith(suffix)), None)
    try:
        if reader is None:
            raise ValueError(f"it is no table: {', '.join(SUFFIXES)} are")
        yield from reader(path)
    except FileNotFoundError:
        raise _TableError("does not exist") from None
    except MemoryError:
        raise
    except Exception as error:  # of a damaged file the readers let nearly any exception through
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        why = printable(" ".join(text.split()))[:200] or type(error).__name__
        raise _TableError(f"cannot be read: {why}") from None


def _csv(path: Path) -> Iterator[pd.DataFrame]:
    with pd.read_csv(
        path, chunksize=ROWS_AT_ONCE, skipinitialspace=True, index_col=False, encoding="utf-8-sig"
    ) as parts:
        for part in parts:
            unnamed = {name: "" for name in part.columns[:1] if str(name).startswith("Unnamed: ")}
            yield part.rename(columns=unnamed)


def _parquet(path: Path) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(path) as file:
        for part in file.iter_batches(batch_size=ROWS_AT_ONCE):
            yield pa.Table.from_batches([part]).to_pandas(ignore_metadata=True)


def _npz(path: Path) -> Iterator[pd.DataFrame]:
    with np.load(path, allow_pickle=False) as arrays:
        if FEATURES not in arrays:
            raise ValueError(f"it has no array {FEATURES!r}")
        vectors = arrays[FEATURES]
        beside = {name: arrays[name] for name in arrays if name != FEATURES}
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2:
        raise ValueError(f"its array {FEATURES!r} should be (rows, columns)")
    beside = {name: array for name, array in beside.items() if array.shape == vectors.shape[:1]}
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        frame = pd.DataFrame(vectors[rows], columns=[f"{_OF_ARRAY}{k}]" for k in range(vectors.shape[1])])
        yield frame.assign(**{name: array[rows] for name, array in beside.items()})


_READERS: dict[str, Callable[[Path], Iterator[pd.DataFrame]]] = {
    ".csv": _csv,
    ".csv.gz": _csv,
    ".parquet": _parquet,
    ".npz": _npz,
}


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
    kinds = {name: pa.float64() for name in names if name.startswith("confidence")}
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
