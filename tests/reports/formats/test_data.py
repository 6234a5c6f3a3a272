"""Records as CSV and JSON, and the archive of trials."""

import csv
import gzip
import io
import json
from pathlib import Path

from tests.support.small_ledger import PAIRS, PROTOCOL, RECORDED, RUNS, Run, experiment
from transfer_sweep.reports import report, results, selection
from transfer_sweep.reports.formats import Format, data
from transfer_sweep.reports.ledger.records import TrialState

REQUIRED = {
    "dataset",
    "protocol",
    "backbone",
    "method",
    "source",
    "target",
    "selection",
    "target_accuracy_mean",
    "target_accuracy_std",
    "seeds",
    "trials",
    "params",
    "paper",
    "replication",
}


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report.render([path], Format.CSV))))


def test_csv_has_the_promised_columns_and_a_row_per_cell_and_selection(small: Path) -> None:
    rows = csv_rows(small)
    assert set(rows[0]) >= REQUIRED
    assert len(rows) == 2 * 2 * len(PAIRS)
    (mine,) = (
        r for r in rows
        if (r["method"], r["source"], r["selection"]) == ("dann", "amazon", "information_maximization")
    )  # fmt: skip
    assert (mine["target_accuracy_mean"], mine["target_accuracy_std"], mine["seeds"]) == ("80.0", "4.0", "3")
    assert (mine["trials"], mine["params"], mine["paper"], mine["replication"]) == ("4", '{"lr":0.01}', "82.0", "91.4")
    assert json.loads(mine["protocol"]) == PROTOCOL
    assert mine["paper_backbone"] == "resnet50"


def test_json_holds_the_same_records_and_where_they_come_from(small: Path) -> None:
    (own,) = json.loads(report.render([small], Format.JSON))["experiments"]
    assert own["environments"][0]["commit"] == "0123456789ab"
    assert own["trials"] == {"done": 18, "stopped": 3}
    assert [r["target_accuracy_mean"] for r in own["records"]] == [
        float(r["target_accuracy_mean"]) for r in csv_rows(small)
    ]
    assert own["records"][0]["target_accuracy_std"] is None
    assert own["records"][0]["params"] == {"lr": 0.01}


def test_the_archive_of_trials_is_complete_and_the_same_bytes_every_time(small: Path) -> None:
    archive = data.trials_csv(results.read(small))
    assert data.trials_csv(results.read(small)) == archive
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(archive).decode())))
    assert len(rows) == len(RUNS)
    assert {r["state"] for r in rows} == {"done", "stopped"}
    assert {each.key for each in selection.PER_TRIAL.values()} | set(selection.ENSEMBLES) <= set(rows[0])
    assert all(r[name] for r in rows for name in RECORDED)
    assert (rows[1]["epochs"], rows[1]["budget"], rows[1]["target_accuracy"]) == ("1", "3", "70")


def test_a_failed_trial_without_epochs_is_in_the_archive_and_a_pending_one_is_not(tmp_path: Path) -> None:
    runs = [
        Run("jda", "amazon", "webcam", {"mu": 1.0}, [], state=TrialState.FAILED, error="x"),
        Run("jda", "amazon", "webcam", {"mu": 2.0}, [], state=TrialState.PENDING),
    ]
    archive = data.trials_csv(results.read(experiment(tmp_path, runs)))
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(archive).decode())))
    assert [(r["state"], r["epochs"], r["target_accuracy"]) for r in rows] == [("failed", "0", "")]
