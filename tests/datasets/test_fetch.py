"""``data fetch`` against a server on this machine: whole, resumed, truncated, tampered and hostile files."""

import gzip
import hashlib
import io
import shutil
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest
from filelock import FileLock

from transfer_sweep.datasets.base import DataError, Dataset, Domain, FileCheck, RemoteFile
from transfer_sweep.datasets.io.fetch import fetch

CONTENT = bytes(range(256)) * 4000  # a megabyte
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Pack = Callable[[Sequence[str]], bytes]
Damage = Callable[[bytes], bytes]
Link = tuple[str, bytes, str]  # its name, what kind it is, its target


class Server:
    """Serves ``files`` with ranges; ``cut`` ends the first answers for a path early; ``requests`` counts them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.etags: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self.ranges = True
        self.requests: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/{path}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path[1:]
        self.requests[path] += 1
        if path not in self.files:
            request.send_error(404)
            return
        content = self.files[path]
        start = 0
        asked = request.headers.get("Range")
        current = request.headers.get("If-Range") in (None, self.etags.get(path))
        if asked and self.ranges and current:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(content)}")
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        body = content[start:]
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Content-Type", self.types.get(path, "application/octet-stream"))
        if path in self.etags:
            request.send_header("ETag", self.etags[path])
        request.end_headers()
        if self.cut.get(path, 0):
            self.cut[path] -= 1
            body = body[: len(body) // 2]
        self.sent[path] += len(body)
        request.wfile.write(body)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


class Toy(Dataset):
    """A dataset of whatever files a test expects."""

    name = "toy"
    domains = ()
    classes = ()
    raw_backbone = "pixels"
    source = "a test"

    def __init__(self, root: Path, files: Sequence[RemoteFile], expected: Mapping[str, bytes]) -> None:
        super().__init__(root)
        self.files = files  # type: ignore[misc]  # of each toy its own
        self.expected = expected

    def load(self, domain: str) -> Domain:
        raise NotImplementedError(domain)

    def verify(self) -> list[FileCheck]:
        return [FileCheck(path, self._state(path, content)) for path, content in self.expected.items()]

    def _state(self, path: str, content: bytes) -> Literal["ok", "missing", "damaged"]:
        place = self._root / path
        if not place.exists():
            return "missing"
        return "ok" if place.read_bytes() == content else "damaged"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    running.files["a.bin"] = CONTENT
    yield running
    running.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def one_file(root: Path, server: Server, *paths: str, sha256: str | None = SHA256) -> Toy:
    """A dataset of one file, with a mirror for each of ``paths``."""
    file = RemoteFile("toy/a.bin", tuple(server.url(path) for path in paths or ["a.bin"]), sha256)
    return Toy(root, (file,), {"toy/a.bin": CONTENT})


def archived(
    root: Path,
    server: Server,
    name: str,
    content: bytes,
    members: str | None = None,
    expected: Sequence[str] = ("toy/x/1.txt", "toy/x/2.txt"),
) -> Toy:
    """A dataset of one archive, served as ``name``, that should unpack to ``expected`` (its files' own paths)."""
    server.files[name] = content
    file = RemoteFile("toy", (server.url(name),), archive=True, members=members)
    return Toy(root, (file,), {path: path.removeprefix("toy/").encode() for path in expected})


def zipped(names: Sequence[str], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name in names:
            archive.writestr(name, name)
    return stream.getvalue()


def tarred(
    names: Sequence[str], mode: Literal["w", "w:gz", "w:bz2", "w:xz"] = "w:gz", links: Sequence[Link] = ()
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            info.mode = 0o4777
            archive.addfile(info, io.BytesIO(name.encode()))
        for name, kind, target in links:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = target
            archive.addfile(info)
    return stream.getvalue()


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def refused(dataset: Toy) -> str:
    """The one line of a fetch that must fail."""
    with pytest.raises(DataError) as error:
        fetch(dataset)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- downloading ---


def test_a_file_arrives_whole_with_progress_and_leaves_nothing_else(server: Server, root: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    checks = fetch(one_file(root, server), lambda *call: calls.append(call))
    assert [check.state for check in checks] == ["ok"]
    assert everything_below(root) == ["toy/a.bin"]
    assert {what for what, _, _ in calls} == {"toy/a.bin"}
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    assert calls[-1][1:] == (len(CONTENT), len(CONTENT))


def test_what_is_in_order_is_not_downloaded_again(server: Server, root: Path) -> None:
    fetch(one_file(root, server))
    fetch(one_file(root, server))
    assert server.requests["a.bin"] == 1


def test_a_damaged_file_is_replaced(server: Server, root: Path) -> None:
    (root / "toy").mkdir(parents=True)
    (root / "toy/a.bin").write_bytes(b"damaged")
    assert fetch(one_file(root, server))[0].state == "ok"


@pytest.mark.parametrize("etag", [None, '"1"'])
def test_a_broken_connection_goes_on_where_it_broke(server: Server, root: Path, etag: str | None) -> None:
    if etag:
        server.etags["a.bin"] = etag
    server.cut["a.bin"] = 1
    assert fetch(one_file(root, server))[0].state == "ok"
    assert server.requests["a.bin"] == 2
    assert server.sent["a.bin"] == len(CONTENT)  # no byte twice


def test_the_next_fetch_goes_on_where_the_last_one_stopped(server: Server, root: Path) -> None:
    server.cut["a.bin"] = 3
    assert "no mirror gives toy/a.bin" in refused(one_file(root, server))
    assert not (root / "toy").exists()
    before = server.sent["a.bin"]
    assert before > 0.8 * len(CONTENT)
    assert fetch(one_file(root, server))[0].state == "ok"
    assert server.sent["a.bin"] == len(CONTENT)


def test_a_server_without_ranges_starts_over(server: Server, root: Path) -> None:
    server.ranges = False
    server.cut["a.bin"] = 1
    assert fetch(one_file(root, server))[0].state == "ok"
    assert server.sent["a.bin"] == len(CONTENT) + len(CONTENT) // 2


def test_a_file_that_changed_meanwhile_starts_over(server: Server, root: Path) -> None:
    server.etags["a.bin"] = '"old"'
    server.files["a.bin"] = bytes(len(CONTENT))
    server.cut["a.bin"] = 3
    refused(one_file(root, server))
    server.etags["a.bin"] = '"new"'
    server.files["a.bin"] = CONTENT
    assert fetch(one_file(root, server, sha256=None))[0].state == "ok"


def test_a_truncated_mirror_gives_way_to_the_next(server: Server, root: Path) -> None:
    server.files["cut.bin"] = CONTENT
    server.cut["cut.bin"] = 10
    assert fetch(one_file(root, server, "cut.bin", "a.bin"))[0].state == "ok"


def test_a_tampered_mirror_gives_way_to_the_next_and_leaves_nothing(server: Server, root: Path) -> None:
    server.files["bad.bin"] = CONTENT[:-1] + b"\0"
    assert fetch(one_file(root, server, "bad.bin", "a.bin"))[0].state == "ok"
    assert everything_below(root) == ["toy/a.bin"]


def test_a_tampered_file_is_named_with_both_checksums(server: Server, root: Path) -> None:
    server.files["a.bin"] = CONTENT[:-1] + b"\0"
    message = refused(one_file(root, server))
    assert f"sha256 is {hashlib.sha256(server.files['a.bin']).hexdigest()}, should be {SHA256}" in message
    assert everything_below(root) == []


def test_every_mirror_that_fails_is_named_with_its_reason(server: Server, root: Path) -> None:
    server.files["page.bin"] = b"<html>quota exceeded</html>"
    server.types["page.bin"] = "text/html; charset=utf-8"
    message = refused(one_file(root, server, "absent.bin", "page.bin"))
    assert "127.0.0.1: it answers 404 Not Found" in message
    assert "127.0.0.1: it answers with a web page instead of the file" in message
    assert str(root / "toy/a.bin") in message


def test_a_mirror_that_is_down_gives_way_to_the_next(server: Server, root: Path) -> None:
    gone = Server()
    url = gone.url("a.bin")
    gone.close()
    file = RemoteFile("toy/a.bin", (url, server.url("a.bin")), SHA256)
    assert fetch(Toy(root, (file,), {"toy/a.bin": CONTENT}))[0].state == "ok"


def test_a_disk_that_is_too_small_is_said_before_the_download(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(root.parent)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=1000))
    assert "the disk is full (1 MB too little for toy/a.bin)" in refused(one_file(root, server))
    assert everything_below(root) == []


def test_a_root_that_cannot_be_made_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in refused(one_file(tmp_path / "file", server))


def test_two_fetches_at_once_are_refused(server: Server, root: Path) -> None:
    (root / ".downloads").mkdir(parents=True)
    with FileLock(root / ".downloads/lock"):
        assert "another fetch is filling" in refused(one_file(root, server))
    assert fetch(one_file(root, server))[0].state == "ok"


def test_nothing_to_fetch_says_so(root: Path) -> None:
    assert "no public address is known for toy" in refused(Toy(root, (), {}))


# --- unpacking ---

NAMES = ["x/1.txt", "x/2.txt"]


@pytest.mark.parametrize(
    "content",
    [
        zipped(NAMES),
        zipped(NAMES, zipfile.ZIP_STORED),
        tarred(NAMES, "w"),
        tarred(NAMES),
        tarred(NAMES, "w:bz2"),
        tarred(NAMES, "w:xz"),
    ],
    ids=["zip", "stored zip", "tar", "tar.gz", "tar.bz2", "tar.xz"],
)
def test_archives_are_known_by_their_content_and_unpacked(server: Server, root: Path, content: bytes) -> None:
    checks = fetch(archived(root, server, "download", content))
    assert {check.state for check in checks} == {"ok"}
    assert everything_below(root) == ["toy/x/1.txt", "toy/x/2.txt"]
    assert not (root / "toy/x/1.txt").stat().st_mode & 0o7111  # modes of the archive are not taken over


def test_only_wanted_members_are_unpacked_where_they_belong(server: Server, root: Path) -> None:
    names = ["top/amazon/images/x/1.txt", "top/dslr/images/x/1.txt", "top/amazon/readme"]
    dataset = archived(root, server, "a.zip", zipped(names), members=r"(?:.*/)?amazon/(?:images/)?([a-z]+/[^/]+\.txt)")
    dataset.expected = {"toy/x/1.txt": names[0].encode()}
    assert fetch(dataset)[0].state == "ok"
    assert everything_below(root) == ["toy/x/1.txt"]


def test_an_archive_for_several_folders_is_downloaded_once(server: Server, root: Path) -> None:
    server.files["all.zip"] = zipped(["a/1.txt", "b/1.txt"])
    files = tuple(
        RemoteFile(f"toy/{name}", (server.url("all.zip"),), archive=True, members=f"{name}/(.*)") for name in "ab"
    )
    checks = fetch(Toy(root, files, {"toy/a/1.txt": b"a/1.txt", "toy/b/1.txt": b"b/1.txt"}))
    assert [check.state for check in checks] == ["ok", "ok"]
    assert server.requests["all.zip"] == 1
    assert everything_below(root) == ["toy/a/1.txt", "toy/b/1.txt"]


@pytest.mark.parametrize("name", ["../evil.txt", "x/../../evil.txt", "/evil.txt", "C:\\evil.txt", "x\\..\\evil.txt"])
@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar"])
def test_paths_outside_of_the_folder_are_refused(
    server: Server, root: Path, tmp_path: Path, name: str, pack: Pack
) -> None:
    message = refused(archived(root, server, "evil", pack(["x/1.txt", name])))
    assert "a path outside of its folder" in message
    assert everything_below(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "1.txt"),
        (tarfile.LNKTYPE, "x/1.txt"),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(
    server: Server, root: Path, tmp_path: Path, kind: bytes, target: str
) -> None:
    message = refused(archived(root, server, "evil.tar", tarred(["x/1.txt"], links=[("x/2.txt", kind, target)])))
    assert "holds a link or device, 'x/2.txt'" in message
    assert everything_below(tmp_path) == []


def test_links_in_a_zip_are_refused(server: Server, root: Path, tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("x/2.txt")
        link.create_system = 3
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "holds a link or device" in refused(archived(root, server, "evil.zip", stream.getvalue()))
    assert everything_below(tmp_path) == []


def test_nothing_is_written_through_a_link_of_the_archive(server: Server, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    content = tarred([], "w", links=[("x", tarfile.SYMTYPE, str(outside))])[:512] + tarred(["x/1.txt"], "w")
    refused(archived(root, server, "evil.tar", content))
    assert everything_below(outside) == []


@pytest.mark.parametrize(
    "pack",
    [zipped, tarred, lambda names: tarred(names, "w:bz2"), lambda names: tarred(names, "w:xz")],
    ids=["zip", "tar.gz", "tar.bz2", "tar.xz"],
)
@pytest.mark.parametrize(
    "damage",
    [lambda c: c[: len(c) // 2], lambda c: c[:70] + b"\xff\x00\xff\x00" + c[74:], lambda _: b"text"],
    ids=["cut", "changed", "no archive"],
)
def test_a_damaged_archive_is_said_and_not_kept(server: Server, root: Path, pack: Pack, damage: Damage) -> None:
    names = [f"x/{i}.txt" for i in range(40)]
    message = refused(archived(root, server, "archive", damage(pack(names))))
    assert "its archive is damaged" in message
    assert everything_below(root) == []


@pytest.mark.parametrize("kind", ["whole", "truncated", "not gzip"])
def test_a_gzipped_file_is_unpacked_to_its_place(root: Path, server: Server, kind: str) -> None:
    packed = gzip.compress(CONTENT)
    server.files["a.gz"] = {"whole": packed, "truncated": packed[:-50], "not gzip": CONTENT}[kind]
    md5 = hashlib.md5(server.files["a.gz"]).hexdigest()
    file = RemoteFile("toy/a.bin", (server.url("a.gz"),), md5=md5, gzipped=True)
    dataset = Toy(root, (file,), {"toy/a.bin": CONTENT})
    if kind == "whole":
        assert [check.state for check in fetch(dataset)] == ["ok"]
        return
    with pytest.raises(DataError, match="its file is damaged"):
        fetch(dataset)
    assert not (root / "toy/a.bin").exists()


def test_a_download_with_another_md5_is_refused(root: Path, server: Server) -> None:
    file = RemoteFile("toy/a.bin", (server.url("a.bin"),), md5=hashlib.md5(b"other").hexdigest())
    with pytest.raises(DataError, match="its md5 is"):
        fetch(Toy(root, (file,), {"toy/a.bin": CONTENT}))
