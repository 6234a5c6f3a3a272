"""The ledger: what it keeps through crashes, who may write, and what it says of a file that it cannot use."""

import json
import math
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.small_ledger import RUNS, Run, write
from transfer_sweep.reports.ledger import ledger as ledger_module
from transfer_sweep.reports.ledger.ledger import Ledger, LedgerError
from transfer_sweep.reports.ledger.records import EpochReport, TrialState, canonical
from transfer_sweep.reports.ledger.schema import SCHEMA_VERSION

TRIAL = Run("dann", "amazon", "webcam", {"lr": 0.1}, [], budget=10).trial
OTHER = Run("dann", "amazon", "webcam", {"lr": 0.2}, [], budget=10).trial


def record(ledger: Ledger, epoch: int, accuracy: float = 50.0, trial: str = TRIAL.id) -> None:
    ledger.record_epoch(trial, EpochReport(epoch, accuracy, {"entropy": -1.0}, {"loss": 0.5}, seconds=0.1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experiment" / "ledger.sqlite"


def test_a_killed_driver_loses_no_reported_epoch_and_leaves_no_lock(path: Path) -> None:
    """The child reports epochs without end, saying each on stdout once it is recorded, until it is killed."""
    code = f"""
import itertools
from pathlib import Path
from tests.support.small_ledger import Run
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport
trial = Run("dann", "amazon", "webcam", {{"lr": 0.1}}, [], budget=10).trial
ledger = Ledger(Path({str(path)!r}), write=True)
ledger.set_plan([trial])
ledger.start(trial.id, {{"cpu": 1}})
for epoch in itertools.count(1):
    ledger.record_epoch(trial.id, EpochReport(epoch, 50.0, {{}}, {{}}, seconds=0.1))
    print(epoch, flush=True)
"""
    environment = {"PYTHONPATH": ":".join(p for p in sys.path if p), "PATH": ""}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(20)]
        with pytest.raises(LedgerError, match="is being run by another process"):
            Ledger(path, write=True)
        child.send_signal(signal.SIGKILL)
        said += [int(line) for line in child.stdout.read().split("\n")[:-1]]
    with Ledger(path, write=True) as ledger:
        kept = ledger.epochs()["epoch"].tolist()
        assert kept[: len(said)] == said
        assert kept == list(range(1, len(kept) + 1))
        ledger.set_plan([TRIAL])
        assert ledger.trials()["state"].tolist() == ["pending"]  # it was running; no driver runs it now


def test_others_read_while_the_driver_writes(path: Path) -> None:
    with Ledger(path, write=True) as driver:
        driver.set_plan([TRIAL])
        with Ledger(path) as reader:
            assert reader.epochs().empty
            record(driver, 1)
            assert reader.epochs()["epoch"].tolist() == [1]


def test_an_epoch_repeated_after_a_checkpoint_overwrites_its_row_and_keeps_its_place(path: Path) -> None:
    with Ledger(path, write=True) as ledger:
        ledger.set_plan([TRIAL, OTHER])
        record(ledger, 1, 10.0)
        record(ledger, 2, 20.0)
        record(ledger, 1, 30.0, OTHER.id)
    with Ledger(path, write=True) as ledger:  # a new driver, from the checkpoint of epoch 1
        record(ledger, 2, 25.0)
        record(ledger, 3, 40.0)
        rows = ledger.epochs()
    assert list(zip(rows["trial"], rows["epoch"], rows["target_accuracy"], strict=True)) == [
        (TRIAL.id, 1, 10.0),
        (TRIAL.id, 2, 25.0),
        (OTHER.id, 1, 30.0),
        (TRIAL.id, 3, 40.0),
    ]
    assert rows["seq"].is_monotonic_increasing
    assert rows["seq"].is_unique


def test_a_new_plan_keeps_the_results_of_the_old_one_out_of_sight(path: Path) -> None:
    with Ledger(path, write=True) as ledger:
        ledger.set_plan([TRIAL])
        record(ledger, 1)
        ledger.finish(TRIAL.id, TrialState.DONE)
        ledger.set_plan([OTHER])
        assert ledger.trials()["id"].tolist() == [OTHER.id]
        assert ledger.epochs().empty
        assert ledger.outcomes().empty
        assert ledger.trials(everything=True)["id"].tolist() == [OTHER.id, TRIAL.id]
        assert ledger.outcomes(everything=True)["id"].tolist() == [TRIAL.id]
        ledger.set_plan([OTHER, TRIAL])
        assert ledger.trials()["state"].tolist() == ["pending", "done"]


def test_the_last_epoch_and_the_end_of_a_trial_are_one_transaction(path: Path) -> None:
    with Ledger(path, write=True) as ledger:
        ledger.set_plan([TRIAL])
        ledger.start(TRIAL.id, {"cpu": 0.5})
        ledger.record_epoch(TRIAL.id, EpochReport(1, 50.0, {}, {}, 0.1), {"logits": "a.npz"}, TrialState.STOPPED)
        (trial,) = ledger.trials().to_dict("records")
    assert (trial["state"], trial["attempts"]) == ("stopped", 1)
    assert json.loads(trial["artefacts"]) == {"logits": "a.npz"}
    assert json.loads(trial["resources"]) == {"cpu": 0.5}
    assert trial["finished_at"] >= trial["started_at"]


def test_an_epoch_of_an_unknown_trial_is_refused_and_changes_nothing(path: Path) -> None:
    with Ledger(path, write=True) as ledger:
        with pytest.raises(sqlite3.IntegrityError):
            record(ledger, 1)
        assert ledger.epochs(everything=True).empty
        ledger.set_plan([TRIAL])
        record(ledger, 1)


def test_what_is_not_a_number_is_kept_as_null(path: Path) -> None:
    with Ledger(path, write=True) as ledger:
        ledger.set_plan([TRIAL])
        ledger.record_epoch(
            TRIAL.id, EpochReport(1, math.nan, {"entropy": math.nan, "bnm": 0.5}, {"loss": math.inf}, 0.1)
        )
        (epoch,) = ledger.epochs().to_dict("records")
    assert epoch["target_accuracy"] is None
    assert json.loads(epoch["criteria"]) == {"entropy": None, "bnm": 0.5}
    assert json.loads(epoch["losses"]) == {"loss": None}


def test_outcomes_are_the_last_epoch_of_each_trial_with_the_sums_of_all(path: Path) -> None:
    write(path, RUNS)
    with Ledger(path) as ledger:
        outcomes = ledger.outcomes()
        epochs = ledger.epochs()
    assert outcomes["id"].tolist() == [run.trial.id for run in RUNS]
    last = epochs.sort_values("epoch").groupby("trial").tail(1).set_index("trial")
    assert outcomes["target_accuracy"].tolist() == last.loc[outcomes["id"], "target_accuracy"].tolist()
    assert outcomes["epochs_spent"].tolist() == [len(run.epochs) for run in RUNS]
    assert outcomes["seconds"].tolist() == [0.5 * len(run.epochs) for run in RUNS]


def test_history_is_that_of_the_asked_trials(path: Path) -> None:
    write(path, RUNS)
    with Ledger(path) as ledger:
        history = ledger.history([RUNS[2].trial.id, RUNS[0].trial.id])
    assert set(history["trial"]) == {RUNS[0].trial.id, RUNS[2].trial.id}
    assert history["epoch"].tolist() == [1, 2, 3, 1, 2, 3]


def test_a_fresh_start_forgets_trials_and_their_epochs(path: Path) -> None:
    with Ledger(path, write=True) as ledger:
        ledger.set_plan([TRIAL, OTHER])
        record(ledger, 1)
        record(ledger, 1, trial=OTHER.id)
        ledger.forget([TRIAL.id])
        assert ledger.trials(everything=True)["id"].tolist() == [OTHER.id]
        assert ledger.epochs(everything=True)["trial"].tolist() == [OTHER.id]


def test_trying_a_failed_trial_again_clears_its_error_and_counts(path: Path) -> None:
    with Ledger(path, write=True) as ledger:
        ledger.set_plan([TRIAL])
        ledger.start(TRIAL.id, {})
        ledger.finish(TRIAL.id, TrialState.FAILED, "Traceback …\nValueError: no")
        assert ledger.trials()["error"].tolist() == ["Traceback …\nValueError: no"]
        ledger.start(TRIAL.id, {})
        (trial,) = ledger.trials().to_dict("records")
    assert (trial["state"], trial["error"], trial["attempts"]) == ("running", None, 2)


def test_meta_and_environments_are_json_and_come_back(path: Path) -> None:
    with Ledger(path, write=True) as ledger:
        ledger.set_meta("experiment", {"dataset": "office31", "pairs": ["a-b"]})
        ledger.set_meta("profile", "cpu")
        ledger.set_meta("profile", "gpu")
        ledger.add_environment({"commit": "abc"})
        ledger.add_environment({"commit": "def"})
    with Ledger(path) as ledger:
        assert ledger.meta("experiment") == {"dataset": "office31", "pairs": ["a-b"]}
        assert ledger.meta("profile") == "gpu"
        assert ledger.meta("absent", default=3) == 3
        assert [e["commit"] for e in ledger.environments()] == ["abc", "def"]


def test_a_ledger_from_a_newer_version_is_refused_untouched(path: Path) -> None:
    write(path, RUNS[:1])
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    database.close()
    for writing in (False, True):
        with pytest.raises(LedgerError, match=rf"newer version of sweep \(schema {SCHEMA_VERSION + 1}"):
            Ledger(path, write=writing)


def test_a_refused_ledger_does_not_keep_the_lock(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, but long enough to be looked at as one" * 20)
    for _ in range(2):
        with pytest.raises(LedgerError, match="cannot open the ledger"):
            Ledger(path, write=True)


def test_reading_what_is_not_there_says_what_to_do(path: Path) -> None:
    with pytest.raises(LedgerError, match="python -m sweep run experiment"):
        Ledger(path)
    assert not path.parent.exists()


def test_a_results_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LedgerError, match="cannot write to the results folder"):
        Ledger(tmp_path / "file" / "experiment" / "ledger.sqlite", write=True)


def test_a_reader_cannot_write(path: Path) -> None:
    write(path, [])
    with Ledger(path) as ledger, pytest.raises(sqlite3.OperationalError, match="readonly"):
        ledger.set_meta("profile", "cpu")


def test_canonical_json_gives_equal_texts_for_equal_values() -> None:
    assert canonical({"b": [1, 2.5], "a": "é"}) == canonical({"a": "é", "b": [1, 2.5]}) == '{"a":"é","b":[1,2.5]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": math.nan})


def test_a_full_disk_ends_a_ledger_with_what_it_held(small_disk: Path) -> None:
    path = small_disk / "small" / "ledger.sqlite"
    trial = Run("dann", "amazon", "webcam", {"lr": 0.1}, [], budget=10).trial
    said = 0
    with Ledger(path, write=True) as ledger:
        ledger.set_plan([trial])
        with pytest.raises(sqlite3.OperationalError, match="full"):
            for epoch in range(1, 100_000):
                ledger.record_epoch(trial.id, EpochReport(epoch, 50.0, {"entropy": -1.0}, {"loss": 0.5}, 0.1))
                said = epoch
    assert said > 0
    with Ledger(path) as ledger:
        assert ledger.epochs()["epoch"].tolist() == list(range(1, said + 1))


def test_a_ledger_on_a_read_only_disk_is_read_and_not_written(small_disk: Path) -> None:
    path = small_disk / "small" / "ledger.sqlite"
    write(path, RUNS)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with Ledger(path) as ledger:
        assert len(ledger.trials()) == len(RUNS)
    with pytest.raises(LedgerError, match="Read-only"):
        Ledger(path, write=True)


def test_a_ledger_that_another_program_has_locked_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small" / "ledger.sqlite"
    write(path, RUNS)
    monkeypatch.setattr(ledger_module, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    with Ledger(path, write=True) as ledger:
        before = ledger.epochs()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            ledger.record_epoch(RUNS[0].trial.id, EpochReport(9, 50.0, {}, {}, 0.1))
        other.execute("ROLLBACK")
        assert ledger.epochs().equals(before)
        ledger.record_epoch(RUNS[0].trial.id, EpochReport(9, 50.0, {}, {}, 0.1))
    other.close()
