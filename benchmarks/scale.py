"""What thousands of trials cost the driver: no-op trials over many cells, then resume, then a report.

``python -m benchmarks.scale [--trials 10000] [--cells 200]``

The trials are those of a real experiment file: planned, run, scored and recorded as any others; only the method
learns nothing, and the criteria that need features or further passes are left out. Each step is a process of its own,
as a user would start it, and its peak memory is that process's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from transfer_sweep.reports.ledger.ledger import FILE, Ledger

NAME = "scale"
LEFT = 10  # trials that the resumed run still has to do
DOMAINS = ("uci", "rendered", "photo")
METHODS = (
    *("source_only", "dann", "cdan", "dan", "mcc", "ddc", "dann_mmd", "jan", "deep_coral", "adabn", "autodial"),
    *("mada", "wasserstein", "associative", "mcd", "self_ensembling"),
)
NETWORKS = ("small_cnn", "digit_network", "ganin_network")
_HEAD = """\
dataset: offline_digits
dataset_options: {train: 100, test: 50, channels: 1}
epochs: 1
early_stopping: {scheduler: none}
methods:
"""


def experiment(trials: int, cells: int) -> str:
    """The file: ``cells`` cells of equally many learning rates each."""
    pairs = [f"{source}-{target}" for source, target in itertools.permutations(DOMAINS, 2)]
    wanted = list(itertools.islice(itertools.product(METHODS, NETWORKS, pairs), cells))
    rates = [float(f"{rate:.6g}") for rate in np.geomspace(1e-4, 1e-1, trials // cells)]
    by_entry: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for method, network, pair in wanted:
        by_entry[method][network].append(pair)
    lines = [_HEAD]
    for method, entries in by_entry.items():
        lines.append(f"  {method}:\n")
        for network, own in entries.items():
            protocol = f"{{backbone: {network}, training: scratch}}"
            lines.append(f"    - {{lr: {rates}, pairs: [{', '.join(own)}], protocol: {protocol}}}\n")
    return "".join(lines)


def run(folder: Path, address: str | None) -> None:
    """One ``sweep run`` over no-op trials, in this process; prints its peak memory (MiB), and its CPU time by time."""
    from rich.console import Console  # noqa: PLC0415 - only the run itself needs torch and Ray

    from benchmarks.overhead import QuickTrial  # noqa: PLC0415
    from transfer_sweep.sweep.config import loader  # noqa: PLC0415
    from transfer_sweep.sweep.engine import tuner  # noqa: PLC0415
    from transfer_sweep.sweep.engine.cluster import Cluster  # noqa: PLC0415
    from transfer_sweep.sweep.runner import Run, RunOptions  # noqa: PLC0415

    console = Console(stderr=True)
    times: list[float] = []
    cpu: list[float] = []
    ended = threading.Event()
    watcher = threading.Thread(target=watch, args=(ended, times, cpu), daemon=True)
    watcher.start()
    options = RunOptions(folder / "results", None, folder / "cache")
    with patch.object(tuner, "TransferTrial", QuickTrial):
        Run(loader.load(str(folder / f"{NAME}.yaml")), options, console, Cluster(console, address)).execute()
    ended.set()
    watcher.join()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"memory": memory, "times": times, "cpu": cpu}))


def watch(ended: threading.Event, times: list[float], cpu: list[float]) -> None:
    """Note every second how much CPU time this process has taken."""
    while not ended.wait(1):
        times.append(time.time())
        cpu.append(time.process_time())


def ends(path: Path) -> NDArray[Any]:
    """Times at which trials ended, in order."""
    with Ledger(path) as ledger:
        return np.sort(ledger.trials()["finished_at"].to_numpy())


def step(*command: str) -> tuple[float, float, str]:
    """(time of its start, seconds, output) of a command in its own process."""
    began, clock = time.time(), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True, check=True)
    return began, time.perf_counter() - clock, done.stdout


def main() -> None:
    """Print markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--address", help="of a running Ray cluster; Ray starts here if absent")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        run(arguments.run, arguments.address)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{NAME}.yaml").write_text(experiment(arguments.trials, arguments.cells))
        path = folder / "results" / NAME / FILE
        again = ["benchmarks.scale", "--run", str(folder)]
        if arguments.address is not None:
            again += ["--address", arguments.address]
        began, whole, told = step(*again)
        driver = json.loads(told.splitlines()[-1])
        times = ends(path)
        first = times[0] - began
        parts = [*np.array_split(times, 10), times]
        names = [*(f"{i * 10}–{i * 10 + 10} %" for i in range(10)), "all"]
        tenths = []
        for name_of_part, part in zip(names, parts, strict=True):
            used = np.diff(np.interp(part[[0, -1]], driver["times"], driver["cpu"])).item()
            tenths.append([name_of_part, *(1e3 * x / (len(part) - 1) for x in (part[-1] - part[0], used))])
        with Ledger(path, write=True) as ledger:
            ledger.forget(ledger.trials()["id"].tail(LEFT))
        began, resumed, told_again = step(*again)
        first_again = ends(path)[-LEFT] - began
        _, report, _ = step("sweep", "report", NAME, "--results", str(folder / "results"))
        size = path.stat().st_size / 2**20
    print(f"{len(times)} trials, {arguments.cells} cells, {len(os.sched_getaffinity(0))} cores\n")
    head = ["part of the run", "ms per trial", "of the driver's CPU time"]
    print(tabulate(tenths, head, "github", floatfmt=".1f"))
    rows = [
        ["the whole run", whole, driver["memory"]],
        ["… until the first trial has ended", first, None],
        [f"again, {LEFT} trials left", resumed, json.loads(told_again.splitlines()[-1])["memory"]],
        ["… until the first of them has ended", first_again, None],
        ["report, markdown", report, None],
    ]
    print()
    print(tabulate(rows, ["step", "seconds", "driver's peak MiB"], "github", floatfmt=("", ".1f", ".0f")))
    print(f"\nThe ledger takes {size:.1f} MiB.")


if __name__ == "__main__":
    main()
