"""Whole runs of a small experiment in a process of their own, and what their ledgers hold."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from transfer_sweep.reports.ledger.ledger import Ledger

EXPERIMENT = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 120, test: 60}
pairs: [rendered-photo]
early_stopping: {scheduler: asha, grace: 0.33, reduction: 3}
methods:
  nearest_neighbor: {}
  jda: {n_components: [2, 5, 10, 20], mu: [0.01, 1], iterations: 6}
"""
ROOT = Path(__file__).resolve().parents[2]

RAY_STARTS = 8

# Runs the command line with one thing changed in the driver.
PRELUDE = """\
import os, signal, sys
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.sweep import runner
"""
GO = "\nfrom transfer_sweep.sweep.cli.main import run_app\nrun_app()\n"

DIE_AFTER = """
reported = 0
record = Ledger.record_epoch
def record_and_die(self, *args, **kwargs):
    global reported
    if not {after}: {die}
    record(self, *args, **kwargs)
    reported += 1
    if reported == {after}: {die}
Ledger.record_epoch = record_and_die
"""


def run(
    folder: Path, *arguments: str, prelude: str = "", name: str = "small", **environment: str
) -> subprocess.CompletedProcess[str]:
    """``sweep run`` of ``<folder>/<name>.yaml`` (:data:`EXPERIMENT` where absent), its results beside it.

    Tried again where Ray did not start: it gives itself seconds for that, which a busy machine may not have.
    """
    file = folder / f"{name}.yaml"
    if not file.exists():
        file.write_text(EXPERIMENT)
    command = [sys.executable, "-c", PRELUDE + prelude + GO, "run", str(file), "--results", str(folder), *arguments]
    for _ in range(RAY_STARTS):
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False, env=os.environ | environment
        )
        if "cannot connect to Ray" not in done.stderr:
            break
    return done


def one_at_a_time(folder: Path, prelude: str = "", *arguments: str) -> subprocess.CompletedProcess[str]:
    """:func:`run` with trials one after another, in an order that is the same every time."""
    return run(folder, "--max-concurrent", "1", *arguments, prelude=prelude)


def read(folder: Path, name: str = "small") -> tuple[Any, Any]:
    """Trials and epochs of a run."""
    with Ledger(folder / name / "ledger.sqlite") as ledger:
        return ledger.trials(), ledger.epochs()


def report(folder: Path, *arguments: str) -> str:
    """The report of a run, as the command line prints it."""
    command = [sys.executable, "-m", "sweep", "report", "small", "--results", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout


def table(folder: Path) -> dict[str, Any]:
    """Per trial its state and, per epoch, everything measured; and the epochs in order of arrival."""
    trials, epochs = read(folder)
    rows = epochs[["trial", "epoch", "target_accuracy", "criteria", "losses"]].to_dict("records")
    return {"states": dict(zip(trials["id"], trials["state"], strict=True)), "epochs": rows}


def die_after(epochs: int) -> str:
    """A driver that kills itself once it has recorded so many epochs."""
    return DIE_AFTER.format(after=epochs, die="os.kill(os.getpid(), signal.SIGKILL)")
