"""A second process for large reports: the same text, whether it is there or not, and whatever becomes of it."""

import multiprocessing
import os
import threading
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_ledger import RUNS, experiment
from transfer_sweep.reports import aside
from transfer_sweep.reports import report as document
from transfer_sweep.reports.aside import Aside, second_process


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return experiment(tmp_path, RUNS)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "LARGE", len(RUNS))
    monkeypatch.setattr(aside, "cores", lambda: 2)


def test_a_small_report_has_no_second_process(ledger: Path) -> None:
    with second_process([ledger]) as other:
        assert other.begin(os.getpid)() == os.getpid()
        assert multiprocessing.active_children() == []


def test_without_a_second_process_work_is_done_once_and_only_if_asked_for() -> None:
    done: list[int] = []
    result = Aside().begin(done.append, 1)
    assert done == []
    result()
    result()
    assert done == [1]


@pytest.mark.usefixtures("large")
def test_a_large_report_reads_the_same(ledger: Path) -> None:
    with second_process([ledger]) as other:
        assert len(multiprocessing.active_children()) == 1
        assert document.render([ledger], aside=other) == document.render([ledger])
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("form", [document.Format.MD, document.Format.HTML])
def test_figures_of_a_large_report_are_the_same(ledger: Path, tmp_path: Path, form: document.Format) -> None:
    with second_process([ledger]) as other:
        written = document.write([ledger], tmp_path / "two" / f"report.{form}", form, aside=other)
    alone = document.write([ledger], tmp_path / "one" / f"report.{form}", form)
    assert len(alone) == len(written)
    for one, two in zip(alone, written, strict=True):
        assert one.read_bytes() == two.read_bytes()


class Lost(Executor):
    """Its process is lost while it works."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool())
        return future


def test_what_a_lost_process_was_to_do_is_done_here() -> None:
    other = Aside(Lost())
    assert other.begin(os.getpid)() == os.getpid()
    other.close()


@pytest.mark.usefixtures("large")
def test_a_report_goes_on_where_its_process_is_lost_amid_much_work(ledger: Path) -> None:
    """Work too large for a pipe waits when the process ends: nothing hangs, and all is done."""
    with second_process([ledger]) as other:
        results = [other.begin(_ended_unless, os.getpid(), bytes(2_000_000)) for _ in range(4)]
        assert [result() for result in reversed(results)] == [2_000_000] * 4


def _ended_unless(pid: int, much: bytes) -> int:
    """End the process without a word, unless it is the test's own."""
    if os.getpid() != pid:
        os._exit(1)
    return len(much)


def test_what_is_not_begun_when_its_result_is_wanted_is_done_here() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            begun.set()
            go_on.wait()
            future: Future[Any] = Future()
            future.set_result("there")
            return future

    other = Aside(Slow())
    first, second = other.begin(os.getpid), other.begin(os.getpid)
    begun.wait()
    assert second() == os.getpid()
    go_on.set()
    assert first() == "there"
    other.close()


def test_a_report_is_made_where_no_process_can_be(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(aside, "LARGE", 0)
    monkeypatch.setattr(aside, "cores", lambda: 2)
    monkeypatch.setattr(aside, "ProcessPoolExecutor", refused)
    with second_process([ledger]) as other:
        assert other.begin(os.getpid)() == os.getpid()
