"""Where trials save themselves: the experiment's folder, one that all nodes share, or an address that fsspec knows."""

from __future__ import annotations

import posixpath
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pyarrow import fs

from transfer_sweep.sweep.errors import SweepError


@dataclass(frozen=True)
class Storage:
    """A place for checkpoints. Paths are relative to ``root``, with slashes.

    Attributes:
        filesystem: as Ray wants it.
        root: the experiment's folder on it.
    """

    filesystem: fs.FileSystem
    root: str

    @classmethod
    def of(cls, address: str, experiment: str) -> Storage:
        """The folder of an experiment below an address: a path, or what fsspec knows (``s3://bucket/path``).

        Raises:
            SweepError: no such kind of address, or it cannot be written to.
        """
        try:
            found, path = fsspec.core.url_to_fs(address)
            local = isinstance(found, LocalFileSystem)
            filesystem = fs.LocalFileSystem() if local else fs.PyFileSystem(fs.FSSpecHandler(found))
            storage = cls(filesystem, posixpath.join(path, experiment))
            filesystem.create_dir(storage.root)
            with storage.marked():
                pass
        except Exception as error:  # every kind of storage has errors of its own
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise SweepError(
                f"--storage {address} cannot be used: {reason} (it takes a folder that all nodes share, or an address "
                "that fsspec knows, such as s3://bucket/path)"
            ) from error
        return storage

    @contextmanager
    def marked(self) -> Iterator[str]:
        """A new file in it, gone afterwards: by its path a node sees whether it has the same folder."""
        marker = self._at(f".{uuid.uuid4().hex}")
        with self.filesystem.open_output_stream(marker):
            pass
        try:
            yield marker
        finally:
            self.filesystem.delete_file(marker)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which other nodes may or may not have."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def _at(self, path: str) -> str:
        return posixpath.join(self.root, path)

    def relative(self, path: str) -> str:
        """A path of :attr:`filesystem` as one below the root."""
        return posixpath.relpath(path, self.root)

    def folders(self, path: str) -> list[str]:
        """The folders in a folder; none where it does not exist."""
        found = self.filesystem.get_file_info(fs.FileSelector(self._at(path), allow_not_found=True))
        return sorted(posixpath.join(path, each.base_name) for each in found if each.type == fs.FileType.Directory)

    def remove(self, path: str) -> None:
        """Remove a folder with all that is in it, where it exists."""
        with suppress(OSError):  # what nothing continues from does no harm
            self.filesystem.delete_dir(self._at(path))

    @contextmanager
    def fetched(self, path: str) -> Iterator[Path]:
        """A folder as one of this machine, with those beside it; it lacks what the storage lacks."""
        if self.is_folder:
            yield Path(self._at(path))
            return
        parent, name = posixpath.split(path)
        with tempfile.TemporaryDirectory(prefix="sweep-") as here:
            if self.filesystem.get_file_info(self._at(parent)).type == fs.FileType.Directory:
                fs.copy_files(self._at(parent), here, source_filesystem=self.filesystem)
            yield Path(here, name)
