"""An experiment in a few sentences."""

from pathlib import Path

from tests.support.shown_tables import only_group, row
from tests.support.small_ledger import RUNS, Run, experiment
from transfer_sweep.reports import report, results
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.reports.sections import accuracy


def test_an_unfinished_experiment_reports_what_it_has_and_says_what_is_missing(tmp_path: Path) -> None:
    waiting = [
        Run("dann", "amazon", "webcam", {"lr": 0.5}, [], state=TrialState.PENDING),
        Run("jda", "amazon", "webcam", {"mu": 1.0}, [], state=TrialState.PENDING),
    ]
    path = experiment(tmp_path, [*RUNS, *waiting])
    text = report.render([path])
    assert "2 of 23 trials are missing (2 pending)" in text
    assert "1 of 7 cells have no result yet" in text
    own = results.read(path)
    table = accuracy.matrix(only_group(own), own.criterion)
    assert table is not None
    assert row(table, "dann")[2:4] == ["**80.0 ± 4.0‡**", "**80.0 ± 4.0**"]


def test_the_oracle_is_named_where_all_are_means_over_as_many_seeds(tmp_path: Path) -> None:
    text = report.render([experiment(tmp_path, [run for run in RUNS if run.role == "search"])])
    assert "by the oracle it is **dann** with 82.0 %" in text


def test_the_summary_names_the_best_by_the_criterion_and_how_much_of_it_holds(small: Path) -> None:
    text = report.render([small]).split("\n\n")[1]
    assert "2 methods in 6 cells" in text
    assert "**dann** has the best average target accuracy, 80.0 % (source_only 70.0 %)" in text
    assert "some of the oracle's choices are single runs, which are not compared with means over seeds" in text
    assert "on other pairs like these dann gains over source_only. One such interval in twenty misses" in text
    # In dann's cells the choice gives 80, the best 82, and chance (70 + 80 + 82 + 3) / 4.
    assert "costs 2.00 points a cell against the oracle, a random choice 23.25" in text
