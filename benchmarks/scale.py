"""What thousands of trials cost the driver: no-op trials over many cells, then resume, then a report.

``python -m benchmarks.scale [--trials 10000] [--cells 200]``

The trials are those of a real experiment file: planned, run, scored and recorded as any others; only the method
learns nothing. Each step is a process of its own, as a user would start it, and its peak memory is that process's.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from tabulate import tabulate

from reports.ledger import FILE, Ledger

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


def run(folder: Path) -> None:
    """One ``sweep run`` over no-op trials, in this process; prints its peak memory in MiB."""
    from rich.console import Console  # noqa: PLC0415 - only the run itself needs torch and Ray

    from benchmarks.overhead import NoOpRun  # noqa: PLC0415
    from sweep import experiment as experiments  # noqa: PLC0415
    from sweep.runner import Settings  # noqa: PLC0415

    settings = Settings(folder / "results", None, folder / "cache")
    NoOpRun(experiments.load(str(folder / f"{NAME}.yaml")), settings, Console(stderr=True)).execute()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def ends(path: Path) -> np.ndarray:
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
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        run(arguments.run)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{NAME}.yaml").write_text(experiment(arguments.trials, arguments.cells))
        path = folder / "results" / NAME / FILE
        again = ("benchmarks.scale", "--run", str(folder))
        _, whole, memory = step(*again)
        times = ends(path)
        tenths = [
            [f"{10 * i}–{10 * i + 10} %", (part[-1] - part[0]) / (len(part) - 1) * 1e3]
            for i, part in enumerate(np.array_split(times, 10))
        ]
        with Ledger(path, write=True) as ledger:
            rows = ledger.trials()
            ledger.forget(rows["id"].tail(LEFT))
        began, resumed, memory_again = step(*again)
        first = ends(path)[-LEFT] - began
        _, report, _ = step("sweep", "report", NAME, "--results", str(folder / "results"))
        size = path.stat().st_size / 2**20
    print(f"{len(times)} trials, {arguments.cells} cells, {len(os.sched_getaffinity(0))} cores\n")
    print(
        tabulate(
            [*tenths, ["all", (times[-1] - times[0]) / (len(times) - 1) * 1e3]],
            ["part of the run", "ms per trial"],
            "github",
            floatfmt=".1f",
        )
    )
    rows = [
        ["the whole run", whole, float(memory)],
        [f"… again, {LEFT} trials left: until the first has ended", first, None],
        ["… until it has ended", resumed, float(memory_again)],
        ["report, markdown", report, None],
    ]
    print()
    print(tabulate(rows, ["step", "seconds", "driver's peak MiB"], "github", floatfmt=(None, ".1f", ".0f")))
    print(f"\nThe ledger takes {size:.1f} MiB.")


if __name__ == "__main__":
    main()
