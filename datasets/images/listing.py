"""Finds the pictures of one domain, and their classes: in class folders, in a flat folder, or in a table of paths.

Nothing is decoded. What is left out is counted by the reason.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from transfer_sweep.datasets.base import DataError
from transfer_sweep.datasets.images.pictures import SUFFIXES
from transfer_sweep.datasets.io.names import composed, counted, printable, reason, some
from transfer_sweep.datasets.io.tables import Table, open_table

_LEVEL = "images"
_PARTS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"))
_SYSTEM = frozenset(("__macosx", "thumbs.db", "desktop.ini"))  # left behind by operating systems, as hidden files are


@dataclass(frozen=True)
class Listing:
    """The pictures of a domain, in the order of their paths.

    Attributes:
        paths: (n,) where they lie.
        names: (n,) below the domain's folder, or as the table has them.
        classes: (n,) the name of each one's class; None: it has none.
        left_out: why → number of files.
        labelled_by: the column of classes that a table has; None: it has none, or the domain is a folder.
        remarks: what else the user should know, each a few words.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    classes: tuple[str | None, ...]
    left_out: Mapping[str, int]
    labelled_by: str | None = None
    remarks: tuple[str, ...] = ()


def list_folder(folder: Path) -> Listing:
    """Pictures below a folder.

    A folder in it is a class, with all that lies below; pictures beside class folders have no class, and where there
    are no class folders, none has. A level of ``images``, or of one folder that holds class folders, is passed through.

    Raises:
        DataError: there is no picture; a folder cannot be read, or contains itself through a symbolic link; the name
            of a class cannot be printed; or the folders are parts of a set (``train``, ``test``).
    """
    left_out: Counter[str] = Counter()
    top: Path = folder
    chain: tuple[tuple[int, int], ...] = (_identity(folder),)
    while True:
        inner = _level_below(top)
        if inner is None:
            break
        top, chain = inner, _deeper(inner, chain)
    visible = [entry for entry in _entries(top) if not _hidden(entry.name)]
    folders = [Path(entry.path) for entry in visible if _is_folder(entry)]
    _refuse_parts(folder, folders)
    found: list[tuple[Path, str | None]] = [(path, None) for path in _pictures(_files(top), left_out)]
    loose, deep, empty = len(found), 0, []
    for each in folders:
        name = composed(each.name)
        below = [path for part in _below(each, _deeper(each, chain), left_out) for path in part]
        if not below:
            empty.append(name)
            continue
        if not name.isprintable():
            raise DataError(
                f"{printable(each)}: the name of this class has bytes that are not in UTF-8 or cannot be printed: "
                "rename the folder"
            )
        deep += sum(path.parent != each for path in below)
        found += [(path, name) for path in below]
    if not found:
        beside = ", ".join(f"{count} {why}" for why, count in left_out.most_common(5))
        raise DataError(
            f"{printable(folder)} holds no pictures{f' (but {beside})' if beside else ': it is empty'}; "
            f"pictures are {', '.join(sorted(SUFFIXES))}, in a folder for each class or, without labels, in one"
        )
    found.sort(key=lambda item: str(item[0]))
    remarks = []
    if loose and loose < len(found):
        remarks.append(f"{counted(loose, 'picture')} beside the class folders: without a label")
    if empty:
        remarks.append(f"{counted(len(empty), 'folder')} without pictures ({printable(some(empty))}): no class")
    if deep:
        remarks.append(f"{counted(deep, 'picture')} deeper than a class folder: of that class")
    paths = tuple(path for path, _ in found)
    names = tuple(printable(path.relative_to(folder)) for path in paths)
    return Listing(paths, names, tuple(name for _, name in found), dict(left_out), remarks=tuple(remarks))


def list_table(file: Path, path_column: str | None, label_column: str | None, skip_missing: bool) -> Listing:
    """Pictures that a CSV or Parquet file names.

    Args:
        file: the table. Paths in it are relative to its folder, or absolute.
        path_column: of the paths; None: ``path``, ``file`` or ``image``, or the only column.
        label_column: of the classes, an empty cell for none; None: ``label``, ``class`` or ``y``, where there is one.
        skip_missing: leave out paths of which there is no file, instead of refusing them.

    Raises:
        DataError: the table cannot be read, it has no such column of paths, a path is empty, missing, no file or listed
            with two classes.
    """
    table = open_table(file)
    paths = _column(table, path_column, ("path", "file", "image"), "path_column")
    labels = label_column if label_column in table.columns else None
    if label_column is None:
        labels = next((name for name in ("label", "class", "y") if name in table.columns), None)
    if paths == labels:
        raise table.fault(f"column {paths!r} cannot hold both the paths and the labels")
    classes = table.texts(labels) if labels is not None else None
    found: dict[Path, tuple[str, str | None]] = {}  # its name in the table, and its class
    left_out: Counter[str] = Counter()
    for row, name in enumerate(table.texts(paths)):
        label = None if classes is None else classes[row]
        if name is None:
            raise table.fault(f"column {paths!r} is empty in row {row + 1}: each row names a picture")
        if label is not None and not label.isprintable():
            raise table.fault(f"label {printable(label)} in row {row + 1} cannot be printed: write it otherwise")
        path = _named(file.parent, name)
        if path in found:
            if (other := found[path][1]) != label:
                raise table.fault(f"{printable(name)} is listed twice, as {other} and in row {row + 1} as {label}")
            left_out["listed again"] += 1
            continue
        if not path.is_file():
            if skip_missing:
                left_out["missing"] += 1
                continue
            raise table.fault(
                f"row {row + 1} names {printable(name)}, and there is no file {printable(path)}: paths are relative to "
                "the table's folder, or absolute"
            )
        found[path] = name, label
    if not found:
        raise table.fault("none of the pictures that it names is there")
    in_order = sorted(((name, path, label) for path, (name, label) in found.items()), key=lambda each: each[:2])
    return Listing(
        tuple(path for _, path, _ in in_order),
        tuple(printable(name) for name, _, _ in in_order),
        tuple(label for _, _, label in in_order),
        dict(left_out),
        labels,
    )


def _named(folder: Path, name: str) -> Path:
    """The file of a name in a table, however it is spelled; one in Unicode's decomposed form where only that is."""
    path, other = (Path(os.path.normpath(folder / form)) for form in (name, unicodedata.normalize("NFD", name)))
    return other if other.is_file() and not path.is_file() else path


def _column(table: Table, wanted: str | None, usual: tuple[str, ...], option: str) -> str:
    if wanted is None:
        only = table.columns if len(table.columns) == 1 else ()
        wanted = next((name for name in (*usual, *only) if name in table.columns), usual[0])
    if wanted not in table.columns:
        raise table.fault(
            f"it has no column {wanted!r} but {printable(some(table.columns, 8))}: name one with {option}"
        )
    return wanted


# --- folders ---


def _level_below(folder: Path) -> Path | None:
    """The one folder in a folder without pictures, where that one is no class: ``images``, or one of class folders."""
    visible = [entry for entry in _entries(folder) if not _hidden(entry.name)]
    folders = [entry for entry in visible if _is_folder(entry)]
    if len(folders) != 1 or any(_is_picture(entry.name) for entry in visible if not _is_folder(entry)):
        return None
    (inner,) = folders
    below = [entry for entry in _entries(Path(inner.path)) if not _hidden(entry.name)]
    holds_classes = any(_is_folder(entry) for entry in below) and not any(_is_picture(entry.name) for entry in below)
    return Path(inner.path) if inner.name.lower() == _LEVEL or holds_classes else None


def _refuse_parts(folder: Path, folders: list[Path]) -> None:
    parts = [each.name for each in folders]
    if len(parts) > 1 and all(name.lower() in _PARTS for name in parts):
        raise DataError(
            f"{printable(folder)} holds {' and '.join(parts)}, which look like parts of a set and not like classes: "
            f"name one of them, {printable(folders[0])}, or rename them"
        )


def _below(folder: Path, chain: tuple[tuple[int, int], ...], left_out: Counter[str]) -> Iterator[list[Path]]:
    """Pictures of a folder and of all folders below it."""
    yield _pictures(_files(folder), left_out)
    for entry in _entries(folder):
        if _is_folder(entry) and not _hidden(entry.name):
            inner = Path(entry.path)
            yield from _below(inner, _deeper(inner, chain), left_out)


def _files(folder: Path) -> list[os.DirEntry[str]]:
    return [entry for entry in _entries(folder) if not _is_folder(entry)]


def _pictures(files: list[os.DirEntry[str]], left_out: Counter[str]) -> list[Path]:
    """Those of the files that are pictures by their name; the others are counted."""
    kept = []
    for entry in files:
        if _hidden(entry.name):
            left_out["hidden"] += 1
        elif not _is_picture(entry.name):
            left_out[printable(Path(entry.name).suffix.lower()) or "without a suffix"] += 1
        elif not _regular(entry):
            left_out["pipes or devices"] += 1
        else:
            kept.append(Path(entry.path))
    return kept


def _regular(entry: os.DirEntry[str]) -> bool:
    """Whether it may be opened as a file: a pipe would wait for ever. A link to nothing is found to be damaged."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{printable(folder)} cannot be read: {reason(error)}") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise DataError(f"{printable(entry.path)} cannot be read: {reason(error)}") from None


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _deeper(folder: Path, chain: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The folders that one lies in, and itself.

    Raises:
        DataError: it lies in itself.
    """
    identity = _identity(folder)
    if identity in chain:
        raise DataError(
            f"{printable(folder)} is a symbolic link to a folder that it lies in, a loop without end: remove the link"
        )
    return (*chain, identity)
