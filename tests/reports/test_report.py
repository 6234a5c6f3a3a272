"""Whole reports, on stdout and in files."""

import csv
import io
from pathlib import Path

from tests.support.small_ledger import RUNS, Run, experiment
from transfer_sweep.reports import report
from transfer_sweep.reports.formats import Format
from transfer_sweep.reports.ledger.records import TrialState


def test_an_experiment_that_has_not_begun_has_a_report(tmp_path: Path) -> None:
    path = experiment(tmp_path, [Run("dann", "amazon", "webcam", {}, [], state=TrialState.PENDING)])
    for form in Format:
        assert report.render([path], form)
    assert "No trial has reported yet." in report.render([path])


def test_another_criterion_may_choose_and_is_named(small: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report.render([small], Format.CSV, "source_validation"))))
    assert {r["selection"] for r in rows} == {"source_validation", "oracle"}


def test_several_experiments_make_one_report(tmp_path: Path) -> None:
    paths = [experiment(tmp_path, RUNS[:7], name=name) for name in ("one", "two")]
    text = report.render(paths)
    assert "# one\n" in text
    assert "# two\n" in text
    rows = list(csv.DictReader(io.StringIO(report.render(paths, Format.CSV))))
    assert {r["experiment"] for r in rows} == {"one", "two"}


def test_a_folder_gets_the_report_its_figures_and_the_trials(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "docs"
    files = report.write([small], out)
    assert {str(file.relative_to(out)) for file in files} == {
        "office31_small.md",
        "office31_small.trials.csv.gz",
        *(
            f"office31_small/{name}.png"
            for name in ("accuracy", "learning_curves", "early_stopping", "hyperparameters")
        ),
    }
    text = (out / "office31_small.md").read_text()
    assert "](office31_small/accuracy.png)" in text
    for file in files:
        assert file.stat().st_size > 0
    assert (out / "office31_small/accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_with_a_suffix_is_one_file(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    assert report.write([small], out, Format.CSV) == [out]
    assert out.read_text() == report.render([small], Format.CSV)
