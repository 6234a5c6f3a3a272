"""A second process for large reports: the same text, whether it is there or not, and whatever becomes of it."""

import os
from pathlib import Path

import pytest
from small_ledger import RUNS, experiment

from reports import aside, document
from reports.aside import Aside, second_process


def process() -> int:
    return os.getpid()


def lost_unless(pid: int) -> str:
    """End the process without a word, unless it is this one."""
    if os.getpid() != pid:
        os._exit(1)
    return "done here"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return experiment(tmp_path, RUNS)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "LARGE", len(RUNS))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_a_small_report_has_no_second_process(ledger: Path) -> None:
    with second_process([ledger]) as other:
        assert other.begin(process)() == os.getpid()


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
        assert other.begin(process)() != os.getpid()
        assert document.render([ledger], aside=other) == document.render([ledger])


@pytest.mark.usefixtures("large")
def test_what_a_lost_process_was_to_do_is_done_here(ledger: Path) -> None:
    with second_process([ledger]) as other:
        results = [other.begin(lost_unless, os.getpid()) for _ in range(2)]
        assert [result() for result in results] == ["done here"] * 2
        assert other.begin(process)() == os.getpid()
