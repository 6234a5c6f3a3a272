"""``status`` and ``report``: what a ledger holds, once or while trials report."""

import time
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, assert_refused
from tests.support.small_ledger import PAIRS, RUNS, Run, experiment
from transfer_sweep.reports.formats import Format
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport, TrialState
from transfer_sweep.sweep.cli import results

ERROR = "Traceback (most recent call last):\n  …\nOSError: [Errno 28] No space left on device: " + "/a/long/path" * 20


def test_status_shows_each_cell_and_the_last_line_of_what_failed(sweep: CommandLine, tmp_path: Path) -> None:
    failed = Run("mcc", "amazon", "webcam", {"lr": 0.1}, [], state=TrialState.FAILED, error=ERROR)
    path = experiment(tmp_path, [*RUNS, failed])
    called = sweep("status", path.parent.name, "--results", tmp_path)
    assert called.code == 0
    lines = called.out.splitlines()
    assert "18 done, 1 failed, 3 stopped of 22 trials" in lines
    assert "0:28 of trial time spent" in lines  # 57 epochs of half a second
    assert f"failed: mcc amazon-webcam: {ERROR.splitlines()[-1]}" in lines  # whole, however long
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["method"] == [f"{source}→{target}" for source, target in PAIRS]
    assert rows["source_only"] == ["1/1", "70.0"] * 3
    # Of dann, the criterion prefers the second confirmation seed, 76.0; of the collapsed trial it hears nothing.
    assert rows["dann"] == ["6/6", "76.0"] * 3
    assert rows["mcc"] == ["1/1", "1✗"]


def test_status_is_shown_anew_until_all_trials_have_ended(
    sweep: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = experiment(tmp_path, RUNS)
    looks: list[float] = []
    monkeypatch.setattr(time, "sleep", looks.append)
    called = sweep("status", path.parent.name, "--results", tmp_path, "--watch")
    assert called.code == 0
    assert looks == [results.SECONDS_BETWEEN_STATUS]
    assert "18 done, 3 stopped of 21 trials" in called.out


def test_a_page_is_written_anew_until_all_trials_have_ended(
    sweep: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = [*RUNS, Run("mcc", "amazon", "webcam", {"lr": 0.1}, [(50, 1.0, 1), (60, 1.0, 1)], state=TrialState.RUNNING)]
    path = experiment(tmp_path, runs)
    out = tmp_path / "out.html"
    seen: list[str] = []

    def meanwhile(seconds: float) -> None:
        assert seconds == results.SECONDS_BETWEEN_PAGES
        seen.append(out.read_text())
        if len(seen) == 2:
            with Ledger(path, write=True) as ledger:
                report = EpochReport(3, 60.0, {"information_maximization": 1.0}, {}, 1.0)
                ledger.record_epoch(runs[-1].trial.id, report, state=TrialState.DONE)

    monkeypatch.setattr(time, "sleep", meanwhile)
    called = sweep("report", path.parent.name, "--results", tmp_path, "--out", out, "--watch")
    assert called.code == 0
    assert len(seen) == 3  # twice nothing new, then the end; after that one more look
    # A pass over more seeds may follow: only the last page, of which nothing more is expected, stays as it is.
    assert all(f'data-refresh="{results.SECONDS_BETWEEN_PAGES}"' in text for text in seen)
    assert "Unfinished" in seen[0]
    assert seen[0] == seen[1] != seen[2]
    for text in (seen[2], out.read_text()):
        assert "All 22 trials have ended." in text
    assert "data-refresh" not in out.read_text()


def test_only_a_page_can_be_watched(sweep: CommandLine) -> None:
    assert_refused(sweep("report", "quickstart", "--watch", "--format", "tex"), "--format tex")


def test_a_page_goes_beside_its_ledger(sweep: CommandLine, tmp_path: Path) -> None:
    path = experiment(tmp_path, [Run("dann", *PAIRS[0], {}, [(50, 1.0, 1), (60, 1.0, 1)])])
    page = path.with_name("report.html")
    called = sweep("report", path.parent.name, "--results", tmp_path, "--format", Format.HTML)
    assert (called.code, called.out, called.err) == (0, "", f"wrote {page}\n")
    assert page.read_text().startswith("<!doctype html>")
    assert [file.name for file in path.parent.glob("*.html*")] == ["report.html"]


def test_a_report_without_a_name_is_of_every_experiment(sweep: CommandLine, tmp_path: Path) -> None:
    for name in ("first", "second"):
        experiment(tmp_path, RUNS, name)
    text = sweep("report", "--results", tmp_path).out
    assert "first" in text
    assert "second" in text


def test_two_files_of_trials_with_one_name_are_refused(sweep: CommandLine, tmp_path: Path) -> None:
    files = [tmp_path / folder / "a.trials.csv.gz" for folder in ("x", "y")]
    assert_refused(sweep("criteria", *files), "two files are named a.trials.csv.gz")
