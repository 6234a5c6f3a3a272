"""Brings a dataset's files from their mirrors to the data root: resumable, checked, unpacked safely.

Downloads lie in ``<root>/.downloads`` until they are whole and their checksum (where known) is right; only
then do they, or the files inside an archive, appear in their places, each by a rename. Mirrors are tried in
order; what was received of one is kept, so that the next ``fetch`` goes on where this one stopped.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import httpx
from filelock import FileLock, Timeout

from transfer_sweep.datasets.base import DataError, Dataset, FileCheck, Progress, RemoteFile

_ATTEMPTS = 3  # connections to one mirror before the next is tried, each going on where the last broke
_CHUNK = 1 << 18
_STAGING = "unpacking-"
_TIMEOUT = httpx.Timeout(30.0)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _MirrorError(Exception):
    """A mirror that does not give the file; the text says why. The next one is tried."""


def fetch(dataset: Dataset, progress: Progress | None = None) -> list[FileCheck]:
    """Download what ``dataset.verify()`` does not find in order.

    Args:
        dataset: with the data root to fill, which is created where absent.
        progress: told of bytes received per file, then of files unpacked.

    Returns:
        what ``dataset.verify()`` says afterwards.

    Raises:
        DataError: nothing to fetch, no mirror gives a file, the disk is full, or another fetch is running.
    """
    if dataset.root is None or not dataset.files:
        raise DataError(
            f"{dataset.name} is built from installed packages: there is nothing to fetch"
            if not dataset.needs_root
            else f"no public address is known for {dataset.name}: put its files below the data root by hand"
        )
    root = dataset.root
    with (
        _disk_errors(root),
        _alone(root) as downloads,
        httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client,
    ):
        checks = dataset.verify()
        for file in dataset.files:
            if not _in_order(file, checks):
                _fetch_file(client, file, root, downloads, progress)
        # Kept until here: a dataset published as one archive is asked for once a domain.
        for archive in downloads.glob("*.whole"):
            archive.unlink()
    return dataset.verify()


@contextmanager
def _alone(root: Path) -> Iterator[Path]:
    """The folder of unfinished downloads, for this process alone."""
    downloads = root / ".downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(downloads / "lock", timeout=0):
            for abandoned in downloads.glob(f"{_STAGING}*"):  # by a process that was killed while unpacking
                shutil.rmtree(abandoned)
            yield downloads
    except Timeout as error:
        raise DataError(f"another fetch is filling {root}: wait until it ends") from error


def _in_order(file: RemoteFile, checks: list[FileCheck]) -> bool:
    """Whether all that ``verify`` says of this file, or of the folders it fills, is good."""
    path = PurePosixPath(file.path)
    states = [
        check.state
        for check in checks
        if path.is_relative_to(check.path) or PurePosixPath(check.path).is_relative_to(path)
    ]
    return bool(states) and set(states) == {"ok"}


def _fetch_file(client: httpx.Client, file: RemoteFile, root: Path, downloads: Path, progress: Progress | None) -> None:
    problems = []
    for url in file.urls:
        try:
            download = _download(client, url, file, downloads, progress)
            if file.archive:
                _unpack(download, root / file.path, file, downloads, progress)
            elif file.gzipped:
                _gunzip(download, root / file.path, downloads)
            else:
                (root / file.path).parent.mkdir(parents=True, exist_ok=True)
                download.replace(root / file.path)
        except _MirrorError as problem:
            problems.append(f"{httpx.URL(url).host}: {problem}")
        else:
            return
    raise DataError(
        f"no mirror gives {file.path} ({'; '.join(problems)}): try again later to go on from here, or put it at "
        f"{root / file.path} by hand"
    )


# --- downloading ---


def _download(client: httpx.Client, url: str, file: RemoteFile, downloads: Path, progress: Progress | None) -> Path:
    """The whole file of one mirror, its checksum checked."""
    name = hashlib.sha256(url.encode()).hexdigest()[:24]  # mirrors may differ byte by byte: never mix their parts
    whole, part = downloads / f"{name}.whole", downloads / f"{name}.part"
    if whole.exists():
        return whole
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _receive(client, url, file.path, part, progress)
        except httpx.TransportError as error:
            if attempt == _ATTEMPTS or isinstance(error, httpx.ConnectError | httpx.UnsupportedProtocol):
                raise _MirrorError(_line(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _MirrorError(_line(error)) from error
        else:
            break
    for kind, wanted in (("sha256", file.sha256), ("md5", file.md5)):
        if wanted is None:
            continue
        with part.open("rb") as stream:
            found = hashlib.file_digest(stream, kind).hexdigest()
        if found != wanted:
            _discard(part)
            raise _MirrorError(f"its {kind} is {found}, should be {wanted}")
    part.replace(whole)
    _validator(part).unlink(missing_ok=True)
    return whole


def _receive(client: httpx.Client, url: str, what: str, part: Path, progress: Progress | None) -> None:
    """One connection: append to ``part`` what is missing of it, up to the last byte."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if _validator(part).exists():
            headers["If-Range"] = _validator(part).read_text()
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it had come before
            _discard(part)
            raise httpx.RemoteProtocolError("it holds less than was received before")
        if response.is_error:
            raise _MirrorError(f"it answers {response.status_code} {response.reason_phrase}".rstrip())
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise _MirrorError("it answers with a web page instead of the file")
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            have = 0
        _write(response, part, have, what, progress)


def _write(response: httpx.Response, part: Path, have: int, what: str, progress: Progress | None) -> None:
    """Append a response's body to the ``have`` bytes of ``part`` that are there."""
    total = _total(response, have)
    if total is not None and (lacking := total - have - shutil.disk_usage(part.parent).free) > 0:
        raise OSError(errno.ENOSPC, f"{lacking / 1e6:.0f} MB too little for {what}")
    _validator(part).unlink(missing_ok=True)
    tag = response.headers.get("ETag", "W/")
    if not tag.startswith("W/"):  # a weak tag does not promise equal bytes
        _validator(part).write_text(tag)
    with part.open("ab" if have else "wb") as stream:
        for chunk in response.iter_raw():  # as they come: a buffered chunk would be lost where the connection breaks
            stream.write(chunk)
            have += len(chunk)
            if progress is not None:
                progress(what, have, total)
    if total is not None and have != total:
        raise httpx.RemoteProtocolError(f"the connection ended after {have} of {total} bytes")
    if total is None and progress is not None:
        progress(what, have, have)


def _total(response: httpx.Response, have: int) -> int | None:
    """Size of the whole file in bytes, where the mirror says it."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            raise _MirrorError("it resumes at another place than asked for")
        return None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _validator(part: Path) -> Path:
    """Where the entity tag of an unfinished download is kept."""
    return part.with_suffix(".etag")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    """One line for a disk that is full or a root that cannot be written."""
    try:
        yield
    except OSError as error:
        advice = "free some space and run it again: it goes on from here" if error.errno == errno.ENOSPC else "check it"
        reason = "the disk is full" if error.errno == errno.ENOSPC else "it cannot be written"
        raise DataError(f"cannot fill the data root {root}: {reason} ({error.strerror}); {advice}") from error


# --- unpacking ---


def _gunzip(packed: Path, place: Path, downloads: Path) -> None:
    """Unpack one gzipped file beside its place, then move it there."""
    with tempfile.TemporaryDirectory(dir=downloads, prefix=_STAGING) as staging:
        path = Path(staging) / place.name
        try:
            with gzip.open(packed) as content, path.open("wb") as target:
                shutil.copyfileobj(content, target, _CHUNK)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            packed.unlink()
            raise _MirrorError(f"its file is damaged ({_line(error)})") from error
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


def _unpack(archive: Path, folder: Path, file: RemoteFile, downloads: Path, progress: Progress | None) -> None:
    """Unpack the wanted members beside their place, then move them there, each by a rename."""
    pattern = re.compile(file.members) if file.members is not None else None
    with tempfile.TemporaryDirectory(dir=downloads, prefix=_STAGING) as staging:
        try:
            unpacked = []
            for name, member in _members(archive):
                below = _below(name, pattern)
                if below is None:
                    continue
                if member is None:
                    raise _MirrorError(f"its archive holds a link or device, {name!r}: not unpacked")
                path = Path(staging) / below
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as target:
                    shutil.copyfileobj(member, target, _CHUNK)
                unpacked.append(below)
                if progress is not None:
                    progress(f"unpacking {file.path}", len(unpacked), None)
        except (
            zipfile.BadZipFile,
            tarfile.TarError,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            NotImplementedError,
        ) as error:
            archive.unlink()
            raise _MirrorError(f"its archive is damaged ({_line(error)})") from error
        except _MirrorError:
            archive.unlink()
            raise
        if not unpacked:
            archive.unlink()
            raise _MirrorError("its archive holds none of the files")
        for below in unpacked:
            place = folder / below
            place.parent.mkdir(parents=True, exist_ok=True)
            (Path(staging) / below).replace(place)
    if progress is not None:
        progress(f"unpacking {file.path}", len(unpacked), len(unpacked))


def _below(name: str, pattern: re.Pattern[str] | None) -> PurePosixPath | None:
    """Where a member goes below the folder; None where it is not wanted."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or name[1:2] == ":":
        raise _MirrorError(f"its archive holds a path outside of its folder, {name!r}: not unpacked")
    if pattern is None:
        return path
    match = pattern.fullmatch(name.removeprefix("./"))
    return PurePosixPath(match[1]) if match is not None else None


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Name and content of each member but folders; None for the content of a link or device.

    Nothing of an archive but names and bytes is used: no owners, no modes, no links.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if entry.is_dir():
                    continue
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG):
                    yield entry.filename, None
                    continue
                with packed.open(entry) as content:
                    yield entry.filename, content
        return
    with tarfile.open(archive) as tar:
        for info in tar:
            if info.isdir():
                continue
            yield info.name, tar.extractfile(info) if info.isreg() else None
