"""Reports of targets without labels: nothing made up, nothing left out in silence."""

import csv
import gzip
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.shown_tables import column, only_group, row
from tests.support.small_ledger import PROTOCOL, RUNS, Run, experiment, without_labels
from transfer_sweep.reports import regret, report, results
from transfer_sweep.reports.document.elements import Drawing
from transfer_sweep.reports.formats import Format, epoch_logs, html
from transfer_sweep.reports.ledger import artefacts
from transfer_sweep.reports.ledger.artefacts import Features
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport
from transfer_sweep.reports.sections import accuracy
from transfer_sweep.reports.sections import without_labels as section
from transfer_sweep.reports.sections.context import Context

PREDICTED = {"source_only": [0, 0, 1, 1], "dann": [0, 0, 1, 2]}
STORED = [replace(run, predicted=PREDICTED[run.method]) for run in RUNS]
NOWHERE = without_labels(STORED, "webcam", "dslr")
MIXED = without_labels(STORED, "dslr")


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """The ledger of an experiment no target of which has labels."""
    return experiment(tmp_path, NOWHERE, "nowhere")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """The ledger of one that has labels of webcam and none of dslr."""
    return experiment(tmp_path, MIXED, "mixed")


@pytest.mark.parametrize("form", [Format.MD, Format.TEX, Format.HTML])
def test_without_labels_no_oracle_no_regret_and_no_nothingis_shown(nowhere: Path, form: Format) -> None:
    text = report.render([nowhere], form)
    text = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)  # those of every page
    assert "No labels are known of the target domains webcam, dslr" in text
    text = re.sub("[Ee]xpected regret", "", text)  # which needs none
    for word in ("oracle", "regret", "confusion", "arget accuracy", "Gain over", "gap", "best over epochs", "random"):
        assert word not in text
    assert "mportance" not in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_criteria_agreement_and_predicted_classes_stand_in_the_place_of_accuracy(nowhere: Path) -> None:
    own = results.read(nowhere)
    group = only_group(own)
    shown = [make(group, own.criterion) for make in (section.criteria, section.agreement, section.predicted)]
    tables = [table for table in shown if table is not None]
    assert [row(table, "dann")[2:] for table in tables] == [["2.000"] * 3, ["75.0"] * 3, ["3 of 3"] * 3]
    assert [row(table, "source_only")[2:] for table in tables] == [["1.500"] * 3, ["75.0"] * 3, ["2 of 3"] * 3]


def test_without_stored_predictions_there_is_no_agreement_and_a_share_of_classes(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, without_labels(RUNS, "webcam", "dslr")))
    assert section.agreement(only_group(own), own.criterion) is None
    table = section.predicted(only_group(own), own.criterion)
    assert table is not None
    assert row(table, "dann")[2:] == ["100 %"] * 3


def test_a_collapsed_choice_is_said_to_be_one_and_its_value_is_as_recorded(tmp_path: Path) -> None:
    runs = [Run("dann", "amazon", "dslr", {}, [(math.nan, 3.25, 0.1)])]
    own = results.read(experiment(tmp_path, runs))
    table = section.criteria(only_group(own), own.criterion)
    assert table is not None
    assert row(table, "dann")[2:] == ["3.250 (collapsed)"]


def test_pages_do_not_offer_the_oracle_where_there_is_none(nowhere: Path, mixed: Path) -> None:
    names = [[choice.name for choice in html.choices(results.read(path))] for path in (nowhere, mixed)]
    assert "oracle" not in names[0]
    assert "information_maximization" in names[0]
    assert "oracle" in names[1]


def test_records_have_no_row_by_the_oracle_and_empty_accuracies(nowhere: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report.render([nowhere], Format.CSV))))
    assert {r["selection"] for r in rows} == {"information_maximization"}
    assert {r["target_accuracy_mean"] for r in rows} == {""}
    (described,) = json.loads(report.render([nowhere], Format.JSON))["experiments"]
    assert {r["target_accuracy_mean"] for r in described["records"]} == {None}


def test_archives_of_trials_and_logs_hold_no_nothingand_nothing_is_learnt_of_criteria(
    nowhere: Path, tmp_path: Path
) -> None:
    report.write([nowhere], tmp_path / "out")
    archive = tmp_path / "out" / "nowhere.trials.csv.gz"
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(archive.read_bytes()).decode())))
    assert {r["target_accuracy"] for r in rows} == {""}
    assert regret.read(archive, {}).empty
    logs = epoch_logs.export([nowhere], tmp_path / "logs")
    assert logs
    for file in logs:
        assert "target_accuracy" not in file.read_text()


def test_where_some_targets_have_labels_only_their_pairs_have_accuracies(mixed: Path) -> None:
    own = results.read(mixed)
    group = only_group(own)
    matrix = accuracy.matrix(group, own.criterion)
    assert matrix is not None
    assert matrix.headers[2:] == ["A→W", "D→W", "average"]
    assert "Averages are over the 2 pairs with target labels (1 without)." in matrix.notes
    criteria = section.criteria(group, own.criterion)
    assert criteria is not None
    assert column(criteria, "W→D") == ["1.500", "2.000"]
    text = report.render([mixed])
    assert "No labels are known of the target domain dslr" in text
    assert "best average target accuracy over the 2 pairs with target labels, 80.0 %" in text
    assert "over 2 cells with a choice" in text
    assert re.search(r"\| webcam → dslr +\| dann +\| lr 0.01", text)


def test_labels_elsewhere_change_no_other_number(tmp_path: Path, small: Path) -> None:
    ours = results.read(experiment(tmp_path, without_labels(RUNS, "dslr"), "mixed")).records
    before = results.read(small).records
    of_webcam = before[before["target"] == "webcam"]["target_accuracy_mean"].tolist()
    assert ours[ours["target"] == "webcam"]["target_accuracy_mean"].tolist() == of_webcam


def test_a_partly_labelled_target_says_of_how_many_samples_its_accuracies_are(tmp_path: Path) -> None:
    samples = {
        "amazon": {"total": 30, "by_class": [10, 10, 10]},
        "webcam": {"total": 500, "by_class": [60, 60, 0]},
        "dslr": {"total": 9, "by_class": [3, 3, 3]},
    }
    own = results.read(experiment(tmp_path, STORED, "partly", samples=samples))
    matrix = accuracy.matrix(only_group(own), own.criterion)
    assert matrix is not None
    labelled = " (of 120 labelled samples)"
    assert matrix.headers[2:] == [f"A→W{labelled}", f"D→W{labelled}", "W→D", "average"]
    assert "Of webcam, 120 of 500 samples have labels" in report.render([tmp_path / "partly" / "ledger.sqlite"])


def test_a_trial_that_diverged_is_no_sign_of_missing_labels(tmp_path: Path) -> None:
    diverged = Run("dann", "amazon", "dslr", {}, [(math.nan, math.nan, math.nan)])
    own = results.read(experiment(tmp_path, [diverged]))
    assert own.unlabelled == []
    assert "oracle" in set(own.records["selection"])


def test_features_are_drawn_without_labels_and_confusions_are_not(tmp_path: Path) -> None:
    path = experiment(tmp_path, NOWHERE, "drawn", family={"source_only": "deep", "dann": "deep"})
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 4)).astype(np.float16)
    kept = Features(points, np.arange(12) % 3, points + 1, np.arange(12) % 3, np.zeros((3, 3), dtype=np.int64))
    with Ledger(path, write=True) as ledger:
        for run in NOWHERE:
            nothing, score, seen = run.epochs[-1]
            criteria = {"information_maximization": score, "predicted_classes": seen, "source_validation": 50.0}
            named = {artefacts.FEATURES: artefacts.save_features(path.parent, run.trial.id, kept)}
            ledger.record_epoch(run.trial.id, EpochReport(len(run.epochs), nothing, criteria, {}, 0.5), named)
    drawn = [block.name for block in report.blocks(results.read(path)) if isinstance(block, Drawing)]
    assert "features" in drawn
    assert "confusions" not in drawn


def test_two_groups_of_which_one_has_labels_are_each_shown_right(tmp_path: Path) -> None:
    other = {**PROTOCOL, "options": {"size": 64}}
    runs = [*MIXED, *(replace(run, protocol=other) for run in MIXED if run.target == "dslr")]
    own = results.read(experiment(tmp_path, runs))
    context = Context.of(own)
    assert len(context.groups) == 2
    assert context.with_labels == context.groups[:1]
    text = report.render([tmp_path / "office31_small" / "ledger.sqlite"])
    assert text.count("## Without target labels: ") == 1
    assert text.count("## Results without target labels: ") == 1
