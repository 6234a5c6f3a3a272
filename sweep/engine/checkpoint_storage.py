"""Where trials save themselves: the experiment's folder, one that all nodes share, or an address that fsspec knows."""

from __future__ import annotations

import posixpath
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pyarrow import fs

from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.sweep.errors import SweepError

CHECKPOINTS = "checkpoints"
"""The folder of a storage that holds those of each pass."""


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


def open_storage(
    ledger: Ledger, asked: str | None, results: Path, experiment: str, say: Callable[[str], None]
) -> Storage:
    """The storage asked for, or that of the run before, where its checkpoints lie.

    In a storage asked for, each ledger has a folder of its own: others may run an experiment of the same name.

    Args:
        ledger: open for writing; remembers it.
        asked: a folder or an address that fsspec knows; None: as in the run before, at first the results folder.
        results: folder of all experiments' results.
        experiment: its name.
        say: told of trials that begin anew, as their checkpoints lie elsewhere.

    Raises:
        SweepError: it cannot be used.
    """
    before = ledger.meta("storage")
    address = asked
    if address is not None and "://" not in address:
        address = str(Path(address).absolute())
    if address is None and before is None:
        return Storage.of(str(results.absolute()), experiment)
    address, folder = address or before["address"], before["folder"] if before else uuid.uuid4().hex[:12]
    storage = Storage.of(address, f"{experiment}-{folder}")
    left = len(ledger.checkpoints())
    if left and (before is None or before["address"] != address):
        where = before["address"] if before else ledger.path.parent
        say(f"{left} trials begin anew: their checkpoints lie in {where}")
    ledger.set_meta("storage", {"address": address, "folder": folder})
    return storage


def remove_checkpoints(ledger: Ledger, storage: Storage) -> None:
    """Remove what no unfinished trial continues from."""
    needed = {posixpath.dirname(path) for path in ledger.checkpoints().values()}
    for each in storage.folders(CHECKPOINTS):
        trials = storage.folders(each)
        for trial in trials:
            if trial not in needed:
                storage.remove(trial)
        if needed.isdisjoint(trials):
            storage.remove(each)
