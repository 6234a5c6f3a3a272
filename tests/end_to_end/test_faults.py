"""Things that go wrong in a run, done for real: killed processes, a full disk, a second Ctrl-C, NaN."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import kills
from tests.support.whole_run import DIE_AFTER, EXPERIMENT, read, report, run

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
    assert "nan in epoch" in report(tmp_path)  # it names what failed, and why
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
