"""The array cache: built once, shared read-only, and never trusted when damaged."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from transfer_sweep.datasets.base import DataError
from transfer_sweep.datasets.io.cache import cached_array, content_key

ARRAY = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)
KEY = content_key("test", 1)


class Builder:
    """Counts how often the array had to be made."""

    def __init__(self, array: NDArray[Any] = ARRAY) -> None:
        self.array = array
        self.calls = 0

    def __call__(self) -> NDArray[Any]:
        self.calls += 1
        return self.array


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    cached_array(tmp_path, KEY, Builder())
    return tmp_path / f"{KEY}.npy"


def test_an_array_is_built_once_and_memory_mapped_read_only(tmp_path: Path) -> None:
    build = Builder()
    first = cached_array(tmp_path / "new" / "folder", KEY, build)
    second = cached_array(tmp_path / "new" / "folder", KEY, build)
    assert build.calls == 1
    for array in (first, second):
        assert isinstance(array, np.memmap)
        assert array.dtype == ARRAY.dtype
        assert np.array_equal(array, ARRAY)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_numpy_alone_can_read_the_file(stored: Path) -> None:
    assert np.array_equal(np.load(stored), ARRAY)


@pytest.mark.parametrize("array", [np.float16(ARRAY.T), np.zeros((0, 4))], ids=["strided", "empty"])
def test_any_shape_comes_back(tmp_path: Path, array: NDArray[Any]) -> None:
    build = Builder(array)
    for _ in range(2):
        found = cached_array(tmp_path, KEY, build)
        assert found.shape == array.shape
        assert np.array_equal(found, array)
    assert build.calls == 1


def test_keys_follow_content() -> None:
    assert content_key("office31", {"size": 256, "files": ["a"]}) == content_key(
        "office31", {"files": ["a"], "size": 256}
    )
    keys = [("a", "b"), ("ab",), ("a", ["b"]), ("b", "a"), (1,), ("1",)]
    assert len({content_key(*parts) for parts in keys}) == len(keys)


def flip_a_bit(content: bytes) -> bytes:
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:50],
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: bytes(len(content)),
        flip_a_bit,
    ],
    ids=["emptied", "header cut", "a byte cut", "a byte more", "zeroed", "one bit"],
)
def test_a_damaged_file_is_built_anew(stored: Path, damage: Callable[[bytes], bytes]) -> None:
    stored.write_bytes(damage(stored.read_bytes()))
    build = Builder()
    for _ in range(2):
        assert np.array_equal(cached_array(stored.parent, KEY, build), ARRAY)
    assert build.calls == 1


def test_what_a_killed_process_left_unfinished_is_removed(tmp_path: Path) -> None:
    abandoned, growing = (tmp_path / f".{KEY}.{name}.part" for name in ("abandoned", "growing"))
    for part in (abandoned, growing):
        part.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    cached_array(tmp_path, KEY, Builder())
    assert not abandoned.exists()
    assert growing.exists()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> NDArray[Any]:
        raise DataError("a damaged image")

    with pytest.raises(DataError, match="a damaged image"):
        cached_array(tmp_path, KEY, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left on device; free some space"):
        cached_array(tmp_path, KEY, Builder())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot keep 0 MB in the cache folder"):
        cached_array(Path(tmp_path / "file"), KEY, Builder())
