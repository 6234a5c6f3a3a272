"""Whole runs on a real Ray: resume after SIGKILL, the label firewall, Ctrl-C, failures, bad input."""

import json
import os
import shutil
import signal
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tests.support.whole_run import DIE_AFTER, EXPERIMENT, die_after, one_at_a_time, read, run, table
from transfer_sweep.reports import selection
from transfer_sweep.reports.criteria import registry
from transfer_sweep.reports.ledger.ledger import Ledger

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = one_at_a_time(folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_early_stopping_stops_some_and_spares_one_shot_methods(uninterrupted: Path) -> None:
    trials, epochs = read(uninterrupted)
    states = trials.groupby("method")["state"].value_counts()
    assert states["jda", "stopped"] >= 2
    assert states["jda", "done"] >= 2
    assert trials.loc[trials["method"] == "nearest_neighbor", "state"].tolist() == ["done"]
    stopped = set(trials.loc[trials["state"] == "stopped", "id"])
    last = epochs.groupby("trial")["epoch"].max()
    assert {last[trial] for trial in stopped} == {2}  # grace: a third of six iterations


def test_what_may_be_a_trials_last_report_has_every_criterion(uninterrupted: Path) -> None:
    trials, epochs = read(uninterrupted)
    methods = dict(zip(trials["id"], trials["method"], strict=True))
    jda = epochs[epochs["trial"].map(methods) == "jda"]
    recorded = {
        epoch: {frozenset(registry.by_name(json.loads(text))) for text in own}
        for epoch, own in jda.groupby("epoch")["criteria"]
    }
    every = set(selection.PER_TRIAL) - {"reverse_validation"}
    for epoch, (names,) in recorded.items():
        assert (every <= names) == (epoch in (2, 6)), epoch  # the rung, where some were stopped, and the end
    with Ledger(uninterrupted / "small" / "ledger.sqlite") as ledger:
        found = selection.with_derived(selection.candidates(ledger))
    assert np.isfinite(found[[*every, *selection.ENSEMBLES]]).all(axis=None)


@pytest.mark.parametrize("kills", [(4, 9)])
def test_a_killed_driver_continues_to_the_sametable(
    uninterrupted: Path, tmp_path: Path, kills: tuple[int, ...]
) -> None:
    before: list[tuple[str, int]] = []
    for epochs in kills:
        died = one_at_a_time(tmp_path, die_after(epochs))
        assert died.returncode == -signal.SIGKILL
        trials, rows = read(tmp_path)
        found = list(zip(rows["trial"], rows["epoch"], strict=True))
        assert len(found) >= len(before) + 1
        assert found[: len(before)] == before  # no reported epoch is lost, nor its place
        before = found
        finished = trials.loc[trials["state"].isin(["done", "stopped"])].set_index("id")["attempts"]
    done = one_at_a_time(tmp_path)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path) == table(uninterrupted)
    trials, _ = read(tmp_path)
    again = trials.set_index("id")["attempts"]
    assert (again[finished.index] == finished).all()  # no finished trial ran twice


def test_shuffled_target_labels_change_no_criterion_stop_or_choice(uninterrupted: Path, tmp_path: Path) -> None:
    shuffle = """
import dataclasses, numpy
from transfer_sweep.sweep.trial import inputs as features
load = features.load
def shuffled(*args):
    found = load(*args)
    target = found["photo", "raw"]
    rng = numpy.random.default_rng(7)
    parts = [dataclasses.replace(p, labels=rng.permutation(p.labels)) for p in (target.train, target.test)]
    return found | {("photo", "raw"): dataclasses.replace(target, train=parts[0], test=parts[1])}
features.load = shuffled
"""
    done = one_at_a_time(tmp_path, shuffle)
    assert done.returncode == 0, done.stderr
    true, blind = table(uninterrupted), table(tmp_path)
    assert blind["states"] == true["states"]
    for a, b in zip(true["epochs"], blind["epochs"], strict=True):
        assert {**a, "target_accuracy": None} == {**b, "target_accuracy": None}
    accuracies = [[row["target_accuracy"] for row in table["epochs"]] for table in (true, blind)]
    assert accuracies[0] != accuracies[1]
    chosen = []
    for folder in (uninterrupted, tmp_path):
        with Ledger(folder / "small" / "ledger.sqlite") as ledger:
            found = selection.with_derived(selection.candidates(ledger))
        chosen.append({c: selection.choose(found, c)["id"].tolist() for c in selection.CRITERIA})
    assert chosen[0] == chosen[1]
    # The driver draws true labels for selection alone; all that trials and scores had are shuffled.
    by_labels = []
    for criterion in ("labels(20)", "labels(20, prior)"):
        for folder in (uninterrupted, tmp_path):
            again = folder if folder is tmp_path else shutil.copytree(folder, tmp_path / criterion)
            done = one_at_a_time(again, "", "--set", f"criterion={criterion}")
            assert done.returncode == 0, done.stderr
            assert table(again) == table(folder)  # nothing is trained anew
            with Ledger(again / "small" / "ledger.sqlite") as ledger:
                by_labels.append(selection.choose(selection.candidates(ledger), criterion)["id"].tolist())
    assert by_labels[0] == by_labels[1]
    assert by_labels[2] == by_labels[3]


def test_first_interrupt_checkpoints_and_the_next_run_continues(uninterrupted: Path, tmp_path: Path) -> None:
    interrupt = DIE_AFTER.format(after=8, die="os.kill(os.getpid(), signal.SIGINT)")
    stopped = one_at_a_time(tmp_path, interrupt)
    assert stopped.returncode == 130, stopped.stderr
    assert "continues" in stopped.stderr
    trials, before = read(tmp_path)
    assert set(trials["state"]) <= {"done", "stopped", "pending"}
    assert "running" not in set(trials["state"])
    done = one_at_a_time(tmp_path)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path) == table(uninterrupted)
    _, after = read(tmp_path)
    # What the interrupted trial had done it did not do again: its rows were not rewritten.
    kept = after[after["seq"].isin(before["seq"])]
    assert kept["seconds"].tolist() == before["seconds"].tolist()


def test_several_at_a_time_lose_no_row_when_killed(tmp_path: Path) -> None:
    died = run(tmp_path, prelude=die_after(10))
    assert died.returncode == -signal.SIGKILL
    _, before = read(tmp_path)
    trials, _ = read(tmp_path)
    finished = trials.loc[trials["state"].isin(["done", "stopped"])].set_index("id")["attempts"]
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    trials, after = read(tmp_path)
    assert set(trials["state"]) <= {"done", "stopped"}
    assert set(zip(before["trial"], before["epoch"], strict=True)) <= set(
        zip(after["trial"], after["epoch"], strict=True)
    )
    assert (trials.set_index("id")["attempts"][finished.index] == finished).all()


def test_a_method_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    # A domain that is not there makes one method's build fail inside the worker.
    broken = """
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.sweep.engine.passes import Engine
original = Engine._specs
def with_one_broken(self, *args):
    from dataclasses import replace
    specs = original(self, *args)
    for key, spec in specs.items():
        if spec.trial.method == "nearest_neighbor":
            cell = replace(spec.trial.cell, pair=Pair("nowhere", spec.trial.pair.target))
            specs[key] = replace(spec, trial=replace(spec.trial, cell=cell))
    return specs
Engine._specs = with_one_broken
"""
    done = run(tmp_path, prelude=broken)
    assert done.returncode == 1, done.stderr
    trials, _ = read(tmp_path)
    failed = trials[trials["state"] == "failed"]
    assert failed["method"].tolist() == ["nearest_neighbor"]
    assert "Traceback" in failed["error"].iloc[0]
    assert "nowhere" in failed["error"].iloc[0]
    assert "nowhere" in done.stderr  # the last line of the traceback is shown
    assert set(trials.loc[trials["method"] == "jda", "state"]) <= {"done", "stopped"}
    mended = run(tmp_path)
    assert mended.returncode == 0, mended.stderr
    assert set(read(tmp_path)[0]["state"]) <= {"done", "stopped"}


def test_confirmation_runs_the_choice_with_more_seeds(tmp_path: Path) -> None:
    # By what stops trials: the chosen one ran to its end.
    criterion = f"criterion: {selection.STOPPING}\n"
    (tmp_path / "small.yaml").write_text(EXPERIMENT + criterion + "confirm: {seeds: 3}\n")
    done = run(tmp_path, "--only", "method=jda")
    assert done.returncode == 0, done.stderr
    trials, _ = read(tmp_path)
    confirm = trials[trials["role"] == "confirm"]
    assert sorted(confirm["seed"]) == [1, 2]
    assert confirm["params"].nunique() == 1
    assert set(confirm["state"]) == {"done"}
    with Ledger(tmp_path / "small" / "ledger.sqlite") as ledger:
        found = selection.candidates(ledger)
    chosen = selection.choose(found, selection.STOPPING)
    assert set(confirm["params"]) == set(chosen["params"])
    (summary,) = selection.summarize(found, chosen).to_dict("records")
    mine = found[found["params"] == chosen["params"].iloc[0]]["target_accuracy"]
    assert summary["target_accuracy_mean"] == pytest.approx(np.mean(mine))
    assert summary["target_accuracy_std"] == pytest.approx(np.std(mine, ddof=1))


@pytest.mark.slow
def test_a_run_goes_on_from_before_a_damaged_checkpoint(uninterrupted: Path, tmp_path: Path) -> None:
    eager = EXPERIMENT + "checkpoint_seconds: 0\n"
    (tmp_path / "small.yaml").write_text(eager)
    # One epoch of the first trial; of the second two, a rung, after which it saves itself, and two of the others.
    died = one_at_a_time(tmp_path, die_after(5))
    assert died.returncode == -signal.SIGKILL
    saved = sorted((tmp_path / "small" / "checkpoints").glob("*/*/checkpoint_*/state.pt"))
    assert saved
    saved[-1].write_bytes(b"not a checkpoint")
    done = one_at_a_time(tmp_path)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path) == table(uninterrupted)
    assert not list((tmp_path / "small" / "checkpoints").glob("*/*/checkpoint_*"))  # nothing is left behind


def test_a_second_driver_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(EXPERIMENT)
    with Ledger(tmp_path / "small" / "ledger.sqlite", write=True):
        refused = run(tmp_path)
    assert refused.returncode == 2
    assert "another process" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_requests_that_no_node_can_satisfy_are_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "--set", f"resources.cpu={(os.cpu_count() or 1) + 1}")
    assert refused.returncode == 2
    assert "largest node" in refused.stderr


def test_a_ledger_from_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "small" / "ledger.sqlite"
    with Ledger(path, write=True) as ledger:
        ledger.set_meta("kept", [1, 2])
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    refused = run(tmp_path)
    assert refused.returncode == 2
    assert "newer version" in refused.stderr
    with sqlite3.connect(path) as db:
        assert json.loads(db.execute("SELECT value FROM meta WHERE key='kept'").fetchone()[0]) == [1, 2]


def test_other_data_is_refused_beside_results(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    other = (
        "import dataclasses\nfrom transfer_sweep.datasets.offline_digits import OfflineDigits\n"
        "load = OfflineDigits.load\n"
        "def changed(self, domain):\n"
        "    found = load(self, domain)\n"
        "    train = dataclasses.replace(found.train, inputs=255 - found.train.inputs)\n"
        "    return dataclasses.replace(found, train=train)\n"
        "OfflineDigits.load = changed\n"
    )
    again = one_at_a_time(tmp_path, other, "--set", "methods.tca={}")
    assert again.returncode == 2
    assert "is not what it was" in again.stderr
    assert table(tmp_path)["epochs"] == table(uninterrupted)["epochs"]
