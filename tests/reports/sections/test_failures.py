"""Trials that failed."""

from pathlib import Path

from tests.support.shown_tables import row
from tests.support.small_ledger import RUNS, Run, experiment
from transfer_sweep.reports import report, results
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.reports.sections import failures


def test_failures_are_listed_with_the_last_line_of_the_error(tmp_path: Path) -> None:
    error = 'Traceback (most recent call last):\n  File "jda.py", line 3\nLinAlgError: a | b is singular\n'
    failed = Run("jda", "amazon", "webcam", {"mu": 0.1}, [], state=TrialState.FAILED, error=error)
    path = experiment(tmp_path, [*RUNS, failed])
    table = failures.table(results.read(path))
    assert table is not None
    assert row(table, "jda") == ["jda", "amazon → webcam", "mu 0.1", "0", "1", "LinAlgError: a | b is singular"]
    assert "LinAlgError: a \\| b is singular" in report.render([path])
