"""Arrays on disk, keyed by what decides their content: decoded images, features of frozen backbones.

One ``.npy`` file an array, with a CRC-32 of its data behind it. A file appears whole or not at all (written
beside its place, synced, renamed), and one that was damaged since is built anew. Arrays are memory-mapped
read-only, so that processes on one machine share one copy.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.datasets.base import DataError

_CHUNK = 1 << 24
_CRC = struct.Struct("<I")
_ABANDONED = 3600  # seconds without a write after which nobody is writing an unfinished file any more


def content_key(*parts: object) -> str:
    """A digest of everything that decides an array's content.

    Args:
        parts: JSON values (texts, numbers, lists, dicts): names, options, digests of files or of weights.

    Returns:
        64 hexadecimal digits; equal parts give equal keys, on every machine.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def cached_array(folder: Path, key: str, build: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array stored under ``key``; built and stored where it is absent or damaged.

    Args:
        folder: the cache; created where absent.
        key: from :func:`content_key`; it is the file's name.
        build: makes the array (one dimension or more, no Python objects); called once at most.

    Returns:
        the array, memory-mapped and read-only.

    Raises:
        DataError: the folder cannot be written to, or its disk is full.
    """
    path = folder / f"{key}.npy"
    stored = _open(path)
    if stored is not None:
        return stored
    array = np.ascontiguousarray(build())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _store(path, array)
    except OSError as error:
        size = f"{array.nbytes / 1e6:.0f} MB"
        raise DataError(
            f"cannot keep {size} in the cache folder {folder}: {error.strerror}; free some space or name another folder"
        ) from error
    stored = _open(path)
    if stored is None:
        raise DataError(f"what was just written to {path} reads back differently: check that disk")
    return stored


def _store(path: Path, array: NDArray[Any]) -> None:
    for abandoned in path.parent.glob(f".{path.stem}.*.part"):  # by a process that was killed
        if time.time() - abandoned.stat().st_mtime > _ABANDONED:
            abandoned.unlink(missing_ok=True)
    partial = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            np.lib.format.write_array(file, array, allow_pickle=False)
            file.write(_CRC.pack(zlib.crc32(array.reshape(-1).view(np.uint8).data)))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _open(path: Path) -> NDArray[Any] | None:
    """The stored array, or None where it is absent or not what was written."""
    try:
        stored: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file:
            start = path.stat().st_size - stored.nbytes - _CRC.size
            file.seek(max(start, 0))
            intact = _crc(file, stored.nbytes) == _CRC.unpack(file.read())[0]
    except (OSError, ValueError, EOFError, struct.error):
        return None
    return stored if intact else None


def _crc(file: BinaryIO, size: int) -> int:
    value = 0
    while size > 0 and (chunk := file.read(min(_CHUNK, size))):
        value = zlib.crc32(chunk, value)
        size -= len(chunk)
    return value
