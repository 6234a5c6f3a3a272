"""A second process for large reports: the same text, whether it is there or not, and whatever becomes of it."""

import multiprocessing
import os
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from small_ledger import RUNS, experiment

from reports import aside, document
from reports.aside import Aside, second_process


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return experiment(tmp_path, RUNS)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "LARGE", len(RUNS))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


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


class LostMeanwhile(Executor):
    """Its process is lost while it works."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        future.set_exception(BrokenProcessPool())
        return future


def test_what_a_lost_process_was_to_do_is_done_here() -> None:
    assert Aside(LostMeanwhile()).begin(os.getpid)() == os.getpid()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(BrokenProcessPool):
            pool.submit(os._exit, 1).result()
        assert Aside(pool).begin(os.getpid)() == os.getpid()


def test_what_is_not_begun_when_its_result_is_wanted_is_done_here() -> None:
    class Busy(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            return Future()

    assert Aside(Busy()).begin(os.getpid)() == os.getpid()
