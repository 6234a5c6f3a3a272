"""Things that go wrong, done for real: killed processes, a full disk, a second Ctrl-C, NaN, damaged files."""

import pickle
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import kills
from tests.support.malicious import Malicious
from tests.support.small_ledger import RUNS, Run, write
from tests.support.whole_run import DIE_AFTER, EXPERIMENT, read, run
from transfer_sweep.datasets.offline_digits import OfflineDigits, OfflineDigitsOptions
from transfer_sweep.reports import report as reports
from transfer_sweep.reports.ledger import ledger as ledger_module
from transfer_sweep.reports.ledger.ledger import Ledger, LedgerError
from transfer_sweep.reports.ledger.pruning import ArtefactPruner
from transfer_sweep.reports.ledger.records import EpochReport, Trial, TrialState
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.engine import trainable
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.engine.ledger_callback import LedgerCallback
from transfer_sweep.sweep.engine.trainable import CHECKPOINT, Shared, TransferTrial, TrialSpec
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.resources.gpu_memory import Memory

# --- checkpoints ---

DEEP = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 40, test: 20}
pairs: [rendered-photo]
protocol: {backbone: small_cnn, training: scratch}
epochs: 3
methods: {source_only: {batch_size: 20}}
"""


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransferTrial:
    """A trial as Tune makes it, in this process."""
    (tmp_path / "deep.yaml").write_text(DEEP)
    (row,) = plan.search(loader.load(str(tmp_path / "deep.yaml")))
    digits = OfflineDigits(options=OfflineDigitsOptions(channels=1, train=40, test=20))
    domains: dict[tuple[str, str], Any] = {}
    for name in row.pair:
        domain = digits.load(name)
        assert domain.test is not None
        parts = (domain.train.inputs, domain.train.labels, domain.test.inputs, domain.test.labels)
        domains[name, "raw"] = parts
    monkeypatch.setattr(trainable.ray, "get", lambda reference: reference)
    monkeypatch.setattr(trainable.ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "here"))
    monkeypatch.setattr(trainable.gc, "freeze", lambda: None)
    storage = Storage.of(str(tmp_path), "deep")
    shared = Shared(
        specs={row.id: TrialSpec(row)},
        domains=domains,
        storage=storage,
        folder=str(tmp_path),
        node="here",
        epochs=3,
        num_classes=10,
        criterion="entropy",
        checkpoint_seconds=20,
        pretrained={},
        proxy_a_distance=False,
        memory=Memory(),
    )
    made = TransferTrial.__new__(TransferTrial)
    made.setup({"trial": {"id": row.id}}, shared)
    return made


def _checkpoints(trial: TransferTrial, folder: Path) -> list[Path]:
    """One after each of the first two epochs, as Tune lays them out."""
    made = []
    for i in range(2):
        trial._one_epoch()
        made.append(folder / f"checkpoint_00000{i}")
        made[-1].mkdir(parents=True)
        trial.save_checkpoint(str(made[-1]))
    return made


def _damage(kind: str, file: Path, victim: Path) -> None:
    content = file.read_bytes()
    if kind == "missing":
        file.unlink()
    elif kind == "malicious":
        torch.save({"epoch": 2, "model": Malicious(victim)}, file)
        file.with_name("plain").write_bytes(pickle.dumps(Malicious(victim)))
    elif kind == "of another model":
        state = torch.load(file, weights_only=True)
        state["model"]["nets"] = {k: v[..., :1].clone() for k, v in state["model"]["nets"].items() if v.ndim}
        torch.save(state, file)
    else:
        file.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "garbage": b"?" * 999}[kind])


@pytest.mark.parametrize("kind", ["empty", "truncated", "garbage", "missing", "malicious", "of another model"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_then_to_the_start(
    trial: TransferTrial, tmp_path: Path, kind: str
) -> None:
    first, second = _checkpoints(trial, tmp_path / "trial")
    whole = trial._model.state_dict()
    _damage(kind, second / CHECKPOINT, tmp_path / "victim")
    trial._continue_from(second)
    assert trial._epoch == 1
    trial._one_epoch()  # and from there as if nothing had been
    torch.testing.assert_close(trial._model.state_dict()["nets"], whole["nets"], rtol=0, atol=0)
    _damage(kind, first / CHECKPOINT, tmp_path / "victim")
    trial._continue_from(second)
    assert trial._epoch == 0
    for _ in range(2):
        trial._one_epoch()
    torch.testing.assert_close(trial._model.state_dict()["nets"], whole["nets"], rtol=0, atol=0)
    assert not (tmp_path / "victim").exists()  # nothing in a checkpoint is run


def test_a_trial_on_another_device_continues_from_its_checkpoint(trial: TransferTrial, tmp_path: Path) -> None:
    _, second = _checkpoints(trial, tmp_path / "trial")
    trial._one_epoch()
    whole = trial._model.state_dict()
    trial._device = "meta"  # the state of random numbers, were it put there, could not be used
    trial._continue_from(second)
    assert trial._epoch == 2
    trial._one_epoch()
    torch.testing.assert_close(trial._model.state_dict()["nets"], whole["nets"], rtol=0, atol=0)


def test_a_checkpoint_that_does_not_fit_the_gpu_is_not_taken_for_a_damaged_one(
    trial: TransferTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = _checkpoints(trial, tmp_path / "trial")

    def too_large(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(trial._model, "load_state_dict", too_large)
    with pytest.raises(torch.OutOfMemoryError):
        trial._continue_from(second)


# --- the ledger ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a small file system here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


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


def _recorder(ledger: Ledger, row: Trial, folder: Path) -> LedgerCallback:
    pruner, storage = ArtefactPruner(ledger, folder, "entropy"), Storage.of(str(folder), "deep")
    return LedgerCallback(ledger, {row.id: TrialSpec(row)}, folder, storage, lambda _: None, pruner)


def _tunes(row: Trial, may_go_on: bool = False) -> Any:
    """A trial as Tune hands it to a callback."""
    error = RuntimeError("the actor died unexpectedly")
    return SimpleNamespace(
        config={"trial": {"id": row.id}}, local_path=None, should_recover=lambda: may_go_on, get_error=lambda: error
    )


def test_a_disk_that_is_full_for_a_trial_is_no_failure_of_it_and_ends_the_run(
    trial: TransferTrial, small_disk: Path, tmp_path: Path
) -> None:
    row = trial._spec.trial
    trial._folder = small_disk
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(4 * 2**20))
    result = trial.step()
    assert result["report"].state is TrialState.FAILED
    assert not list(small_disk.rglob("*.part"))
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ledger.set_plan([row])
        recorder = _recorder(ledger, row, tmp_path)
        recorder.on_trial_start(0, [], _tunes(row))
        with pytest.raises(SweepError, match="disk is full") as full:
            recorder.on_trial_result(1, [], _tunes(row), result)
        assert recorder.error is full.value
        assert ledger.states() == {row.id: "running"}  # pending again at the next run
        ledger.set_plan([row])
        assert ledger.states() == {row.id: "pending"}


def test_a_trial_whose_process_goes_before_it_began_is_tried_again(trial: TransferTrial, tmp_path: Path) -> None:
    row = trial._spec.trial
    with Ledger(tmp_path / "ledger.sqlite", write=True) as ledger:
        ledger.set_plan([row])
        recorder = _recorder(ledger, row, tmp_path)
        recorder.on_trial_error(0, [], _tunes(row, may_go_on=True))
        assert recorder.lost == {row.id}
        assert ledger.states() == {row.id: "pending"}
        recorder.on_trial_error(0, [], _tunes(row))  # as often as it may be
        assert ledger.states() == {row.id: "failed"}
        assert "actor died" in ledger.trials()["error"].iloc[0]


# --- whole runs ---

KILL_A_WORKER = """
import psutil
reported = 0
record = Ledger.record_epoch
def record_and_kill(self, *args, **kwargs):
    global reported
    record(self, *args, **kwargs)
    reported += 1
    if reported in (3, 8):
        titles = ("Trainable", "TransferTrial")  # of a worker that trains, and of one that makes a trial
        children = psutil.Process().children(recursive=True)
        workers = [p for p in children if any(title in "".join(p.cmdline()) for title in titles)]
        workers[0].kill()
        print("killed a worker of", len(workers), file=sys.stderr)
Ledger.record_epoch = record_and_kill
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_trial_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, prelude=KILL_A_WORKER)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("killed a worker") == 2
    trials, epochs = read(tmp_path)
    assert set(trials["state"]) <= {"done", "stopped"}
    assert trials["attempts"].sum() > len(trials)  # some were tried again, and none is without its epochs
    counted = epochs.groupby("trial")["epoch"].agg(["max", "count"])
    assert (counted["max"] == counted["count"]).all()
    assert set(counted.index) == set(trials["id"])


@pytest.mark.ray
@pytest.mark.slow
def test_a_second_interrupt_leaves_at_once_and_loses_nothing(tmp_path: Path) -> None:
    twice = "[os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]"
    left = run(tmp_path, prelude=DIE_AFTER.format(after=5, die=twice))
    assert left.returncode == 130, left.stderr
    _, before = read(tmp_path)
    assert len(before) == 5
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    trials, after = read(tmp_path)
    assert set(trials["state"]) <= {"done", "stopped"}
    assert list(after["trial"][:5]) == list(before["trial"])


DIVERGES = """
  deep_coral: {lr: 1, trade_off: 1000, batch_norm: false}
protocol: {backbone: small_cnn, training: scratch}
epochs: 3
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_loss_that_is_nan_fails_its_trial_alone_and_an_edited_file_runs_the_difference(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(EXPERIMENT.replace("[2, 5, 10, 20]", "[2, 5]") + DIVERGES)
    ended = run(tmp_path)
    assert ended.returncode == 1, ended.stderr
    trials, _ = read(tmp_path)
    failed = trials[trials["state"] == "failed"]
    assert failed["method"].tolist() == ["deep_coral"]
    assert "nan in epoch" in failed["error"].iloc[0]
    assert set(trials.loc[trials["method"] != "deep_coral", "state"]) <= {"done", "stopped"}
    report = reports.render([tmp_path / "small" / "ledger.sqlite"])
    assert "nan in epoch" in report  # it names what failed, and why
    attempts = trials.set_index("id")["attempts"]

    file.write_text(EXPERIMENT + DIVERGES.replace("lr: 1,", "lr: 0.001,"))  # four more trials of jda, other params
    mended = run(tmp_path)
    assert mended.returncode == 0, mended.stderr
    again, _ = read(tmp_path)
    new = again[~again["id"].isin(trials["id"])]
    assert new["method"].value_counts().to_dict() == {"jda": 4, "deep_coral": 1}
    assert set(again["state"]) <= {"done", "stopped"}
    kept = again[again["id"].isin(trials["id"])].set_index("id")["attempts"]
    assert (kept == attempts[kept.index]).all()  # what was done did not run again


@pytest.mark.ray
@pytest.mark.slow
def test_a_full_disk_ends_a_run_in_one_line_and_the_next_continues(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "small").mkdir()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_600_000))
    full = run(tmp_path, "--results", str(small_disk))
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    assert "full" in full.stderr.strip().splitlines()[-1]
    before = kills.Snapshot.of(small_disk / "small" / "ledger.sqlite")
    assert "failed" not in {state for state, _ in before.trials.values()}
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    done = run(tmp_path, "--results", str(small_disk))
    assert done.returncode == 0, done.stderr
    after = kills.Snapshot.of(small_disk / "small" / "ledger.sqlite")
    assert list(after.epochs)[: len(before.epochs)] == list(before.epochs)
    assert after.ended == set(after.trials)
    assert all(after.trials[key] == before.trials[key] for key in before.ended)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("concurrent", [1, 2])
def test_drivers_killed_at_random_moments_lose_nothing(tmp_path: Path, concurrent: int) -> None:
    tally = kills.loop(20 if concurrent == 1 else 5, concurrent, seed=0, folder=tmp_path)
    assert not any(tally.damage.values()), tally
