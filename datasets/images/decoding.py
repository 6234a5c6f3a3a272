"""Many pictures as one array: decoded in threads, once, and kept in the cache by the content of the files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from transfer_sweep.datasets.base import DataError, Options, Progress
from transfer_sweep.datasets.images.pictures import Picture, PictureError, as_square, open_picture
from transfer_sweep.datasets.io.cache import cached_array, content_key
from transfer_sweep.datasets.io.names import printable, some

_DECODER = "pillow, upright, rgb over white, bilinear, 2"  # part of the cache's key: change it with what is decoded
_PLAIN, _TRANSPARENT, _DAMAGED = range(3)

_Result = TypeVar("_Result")


class PictureOptions(Options):
    """Options of decoded pictures; part of the protocol."""

    size: int = Field(256, ge=32, le=512, description="height and width to which images are resized, in pixels")


@dataclass(frozen=True)
class PictureFiles:
    """Pictures in a fixed order.

    Attributes:
        label: what progress and errors call them (``office31/dslr``).
        paths: (n,) where they lie.
        names: (n,) the same wherever the data lies: part of the cache's key.
        advice: what to do about damaged ones, for the error.
    """

    label: str
    paths: Sequence[Path]
    names: Sequence[str]
    advice: str


@dataclass(frozen=True)
class Decoded:
    """What was made of n files.

    Attributes:
        pixels: (m, 3, size, size) uint8 of those that are whole, in order.
        whole: (n,) which these are.
        transparent: how many were transparent somewhere.
        repeated: how many files have the very bytes of an earlier one.
    """

    pixels: NDArray[np.uint8]
    whole: NDArray[np.bool_]
    transparent: int
    repeated: int


def decode(
    files: PictureFiles, size: int, cache: Path | None, progress: Progress | None, skip_damaged: bool = False
) -> Decoded:
    """Decode pictures, or take them from the cache.

    Args:
        files: the pictures.
        size: their height and width in the array.
        cache: folder of arrays, from which the pixels are memory-mapped; None decodes anew.
        progress: told of each picture that is decoded.
        skip_damaged: leave damaged files out instead of refusing them.

    Raises:
        DataError: files are damaged and not to be left out, or all are damaged.
    """
    digests = list(_threaded(_digest, files.paths))
    decoding = _Decoding(files, size, progress)
    key = content_key(_DECODER, size, list(zip(files.names, digests, strict=True)))

    def kept(name: str, build: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        # Of a file that cannot be read just now, nothing is known that may be kept.
        return build() if cache is None or None in digests else cached_array(cache, name, build)

    states = kept(f"{key}-states", lambda: decoding.states)  # so that nothing is decoded again to say what was found
    whole: NDArray[np.bool_] = states != _DAMAGED
    if not whole.all() and not (skip_damaged and whole.any()):
        raise _damaged(files, states)
    pixels = kept(key if whole.all() else f"{key}-whole", lambda: decoding.of(whole))
    return Decoded(pixels, whole, int((states == _TRANSPARENT).sum()), len(digests) - len(set(digests)))


def check(files: PictureFiles, progress: Progress | None) -> None:
    """Read every picture to its end.

    Raises:
        DataError: some are damaged.
    """
    states = _looked_at(files, "checking", lambda row, picture: None, progress)
    if (states == _DAMAGED).any():
        raise _damaged(files, states)


class _Decoding:
    """Decodes all files when it is first asked, and not again."""

    def __init__(self, files: PictureFiles, size: int, progress: Progress | None) -> None:
        self._files, self._size, self._progress = files, size, progress

    @property
    def states(self) -> NDArray[np.uint8]:
        return self._all[0]

    def of(self, whole: NDArray[np.bool_]) -> NDArray[np.uint8]:
        pixels = self._all[1]
        return pixels if whole.all() else pixels[whole]

    @cached_property
    def _all(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pixels = np.empty((len(self._files.paths), 3, self._size, self._size), dtype=np.uint8)

        def keep(row: int, picture: Picture) -> None:
            pixels[row] = as_square(picture.image, self._size)

        return _looked_at(self._files, "decoding", keep, self._progress), pixels


def _looked_at(
    files: PictureFiles, verb: str, use: Callable[[int, Picture], None], progress: Progress | None
) -> NDArray[np.uint8]:
    """Open every picture and call ``use`` with its row; (n,) what each turned out to be."""

    def attempt(row: int) -> int:
        try:
            picture = open_picture(files.paths[row])
        except PictureError:
            return _DAMAGED
        use(row, picture)
        return _TRANSPARENT if picture.transparent else _PLAIN

    states = np.empty(len(files.paths), dtype=np.uint8)
    for row, state in enumerate(_threaded(attempt, range(len(states)))):
        states[row] = state
        if progress is not None:
            progress(f"{verb} {files.label}", row + 1, len(states))
    return states


def _damaged(files: PictureFiles, states: NDArray[np.uint8]) -> DataError:
    rows = np.flatnonzero(states == _DAMAGED)
    first = some([_what_is_wrong(files.paths[row]) if i < 3 else "" for i, row in enumerate(rows.tolist())], 3)
    return DataError(f"{len(rows)} of {len(states)} images of {files.label} cannot be decoded: {first}; {files.advice}")


def _what_is_wrong(path: Path) -> str:
    try:
        open_picture(path)
    except PictureError as error:
        return f"{printable(path)} ({error.why})"
    return f"{printable(path)} (could not be read a moment ago)"


def _threaded(function: Callable[[Any], _Result], arguments: Sequence[Any]) -> Iterator[_Result]:
    """The results in order. Pillow decodes, and hashlib digests, outside of Python's lock."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(function, arguments)


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
