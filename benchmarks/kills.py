"""Does a run survive being killed? Its driver gets SIGKILL at random moments, over and over, until it has ended.

``python -m benchmarks.kills [--kills 100] [--max-concurrent 1] [--seed 0] [--address HOST:PORT]``: an experiment of
seconds is run once undisturbed. Then it is run anew, killed at a moment drawn evenly from the time that took, run and
killed again, until it ends; and from the start, until there were so many kills. After each the ledger is compared with
what it held before. With one trial at a time the table at the end is to equal the undisturbed one; with more, where the
order of arrival decides what is stopped, every epoch that both have is to have the same numbers.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tabulate import tabulate

from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.reports.ledger.records import FINISHED
from transfer_sweep.sweep.cli.main import BAD_INPUT

EXPERIMENT = """
dataset: offline_digits
dataset_options: {channels: 1, train: 120, test: 60}
pairs: [rendered-photo]
protocol: {backbone: small_cnn, training: scratch}
epochs: 9
checkpoint_seconds: 0
confirm: {seeds: 2}
methods:
  nearest_neighbor: {}
  jda: {n_components: [2, 5, 10, 20], mu: [0.01, 1], iterations: 6}
  mcc: {lr: [0.001, 0.003, 0.01], batch_size: 32}
"""
# Within which the processes of the last driver killed are to be gone. An agent of Ray that finds its raylet dead tries
# for a minute to tell the driver so.
DEATH_SECONDS = 120


@dataclass
class Tally:
    """What happened.

    Attributes:
        kills: drivers killed.
        runs: times that the experiment came to its end.
        idle: kills of a driver that had reported nothing yet (it planned, or Ray started).
        unstarted: drivers that ended by themselves, as Ray did not start in time on a busy machine.
        epochs_lost: epochs that a ledger held before a kill and not after the next driver, or in another place.
        trials_repeated: trials that had ended before a kill, and started again.
        numbers_changed: epochs whose numbers are not those of the undisturbed run.
        tables_changed: ends at which trials, states or the order of arrival are not those of the undisturbed run.
        processes_left: processes of killed drivers that were still there at the end.
        files_left: unfinished files and checkpoints after an end.
    """

    kills: int = 0
    runs: int = 0
    idle: int = 0
    unstarted: int = 0
    epochs_lost: int = 0
    trials_repeated: int = 0
    numbers_changed: int = 0
    tables_changed: int = 0
    processes_left: int = 0
    files_left: int = 0

    @property
    def damage(self) -> dict[str, int]:
        """What is to be 0 throughout."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in ("kills", "runs", "idle", "unstarted")}


@dataclass(frozen=True)
class Snapshot:
    """A ledger at rest: (trial, epoch) → what was measured, in order of arrival; trial → state, attempts."""

    epochs: dict[tuple[str, int], tuple[Any, ...]]
    trials: dict[str, tuple[str, int]]

    @classmethod
    def of(cls, path: Path) -> Snapshot:
        """Empty where a driver died before there was a ledger."""
        if not path.exists() or not path.stat().st_size:
            return cls({}, {})
        with Ledger(path, write=True) as ledger:
            rows, trials = ledger.epochs(everything=True), ledger.trials(everything=True)
        measured = zip(rows["target_accuracy"], rows["criteria"], rows["losses"], strict=True)
        keys = zip(rows["trial"], rows["epoch"], strict=True)
        return cls(
            dict(zip(keys, measured, strict=True)),
            {row["id"]: (row["state"], row["attempts"]) for row in trials.to_dict("records")},
        )

    @property
    def ended(self) -> set[str]:
        """Trials that are not to run again."""
        return {key for key, (state, _) in self.trials.items() if state in FINISHED}


def loop(
    kills: int,
    concurrent: int,
    seed: int,
    folder: Path,
    say: Callable[[str], object] = print,
    options: Sequence[str] = (),
) -> Tally:
    """Kill so many drivers.

    Args:
        kills: how many.
        concurrent: trials at a time.
        seed: of the moments.
        folder: empty; for the experiment and its results.
        say: told how it goes.
        options: more of ``sweep run``, such as the address of a cluster.

    Raises:
        RuntimeError: an undisturbed driver did not end well.
    """
    file = folder / "kills.yaml"
    file.write_text(EXPERIMENT)
    options = ["--max-concurrent", str(concurrent), *options]
    chance, tally, orphans = random.Random(seed), Tally(), list[psutil.Process]()
    started = time.perf_counter()
    while not _ended(_driver(file, folder / "undisturbed", options), tally):
        started = time.perf_counter()
    seconds = time.perf_counter() - started
    expected = Snapshot.of(folder / "undisturbed" / "kills" / FILE)
    say(f"undisturbed: {len(expected.trials)} trials, {len(expected.epochs)} epochs in {seconds:.0f} s")
    while tally.kills < kills:
        results = folder / f"run-{tally.runs}"
        path = results / "kills" / FILE
        before, ended = Snapshot({}, {}), False
        while not ended:
            driver = _driver(file, results, options)
            moment = chance.uniform(0, seconds)
            killed = tally.kills < kills and _kill(driver, moment, orphans)
            ended = not killed and _ended(driver, tally)
            after = Snapshot.of(path)
            _compare(before, after, tally)
            if killed:
                tally.kills += 1
                tally.idle += len(after.epochs) == len(before.epochs)
                counts = f"{len(after.epochs)} epochs, {len(after.ended)} trials ended"
                say(f"kill {tally.kills} after {moment:.1f} s: {counts}")
            before = after
        tally.runs += 1
        tally.numbers_changed += sum(
            after.epochs[key] != expected.epochs[key] for key in after.epochs.keys() & expected.epochs.keys()
        )
        same = list(after.epochs) == list(expected.epochs) and _states(after) == _states(expected)
        tally.tables_changed += not (same if concurrent == 1 else after.ended == set(after.trials))
        tally.files_left += len([*results.rglob("*.part"), *results.rglob("checkpoint_*")])
        say(f"end {tally.runs}: {tally.damage}")
    _, alive = psutil.wait_procs(orphans, timeout=DEATH_SECONDS)
    tally.processes_left = len(alive)
    return tally


def _driver(file: Path, results: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sweep", "run", str(file), "--results", str(results), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _ended(driver: subprocess.Popen[str], tally: Tally) -> bool:
    """Wait for a driver's own end; whether that is the experiment's too."""
    _, said = driver.communicate()
    if driver.returncode == BAD_INPUT and "cannot connect to Ray" in said:
        tally.unstarted += 1
        return False
    if driver.returncode:
        raise RuntimeError(f"the driver ended with {driver.returncode}: {said}")
    return True


def _kill(driver: subprocess.Popen[str], moment: float, orphans: list[psutil.Process]) -> bool:
    """Let a driver live so long, then kill it; whether it lived. Its processes join the orphans."""
    try:
        driver.wait(moment)
    except subprocess.TimeoutExpired:
        orphans.extend(psutil.Process(driver.pid).children(recursive=True))
        driver.kill()
        driver.wait()
        return driver.returncode < 0
    return False


def _compare(before: Snapshot, after: Snapshot, tally: Tally) -> None:
    kept = list(after.epochs)[: len(before.epochs)]
    tally.epochs_lost += sum(a != b for a, b in zip(before.epochs, kept, strict=False)) + len(before.epochs) - len(kept)
    tally.trials_repeated += sum(after.trials.get(key) != before.trials[key] for key in before.ended)


def _states(snapshot: Snapshot) -> dict[str, str]:
    return {key: state for key, (state, _) in snapshot.trials.items()}


def main() -> None:
    """Print a markdown table; end with 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--max-concurrent", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--address", help="of a running Ray cluster; by default each driver starts a Ray of its own")
    asked = parser.parse_args()
    options = ["--address", asked.address] if asked.address else []
    with tempfile.TemporaryDirectory() as folder:
        tally = loop(
            asked.kills, asked.max_concurrent, asked.seed, Path(folder), lambda s: print(s, flush=True), options
        )
    rows = [(name.replace("_", " "), count) for name, count in dataclasses.asdict(tally).items()]
    print(tabulate(rows, ("", "number"), "github"))
    sys.exit(1 if any(tally.damage.values()) else 0)


if __name__ == "__main__":
    main()
