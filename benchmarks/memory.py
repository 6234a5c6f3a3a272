"""Memory of trials that run at the same time: what each has for itself, and what they share.

``python -m benchmarks.memory [--concurrent 1 2 4 8]``: ``source_only`` on a source of noise vectors, small and large,
through the whole run. Private memory is what would be free again if the process ended (USS); the proportional set
size (PSS) divides what is shared among those who share it, so that its sum is what all trials take together.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil
import ray
from rich.console import Console
from tabulate import tabulate

from transfer_sweep.datasets.base import Domain, Samples
from transfer_sweep.sweep import environment
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.runner import Run, RunOptions
from transfer_sweep.sweep.trial import inputs

EXPERIMENT = """
dataset: offline_digits
dataset_options: {{train: 100, test: 50}}
pairs: [rendered-photo]
epochs: {epochs}
early_stopping: {{scheduler: none}}
methods:
  source_only: {{lr: {{loguniform: [0.001, 0.01]}}, samples: {trials}}}
resources: {{cpu: {cpu}}}
"""
VECTORS = 2048
TARGET = 200
MIB = 2**20


def noise(keys: Iterable[tuple[str, str]], source: int) -> dict[tuple[str, str], Domain]:
    """Domains of noise vectors instead of a data set's: so many of the source, :data:`TARGET` of the target."""
    rng = np.random.default_rng(0)
    found = {}
    for name, form in keys:
        n = source if name == "rendered" else TARGET
        found[name, form] = Domain(name, Samples(rng.random((n, VECTORS), dtype=np.float32), np.arange(n) % 10))
    return found


def _watch(ended: threading.Event, seen: list[list[Any]]) -> None:
    """Look at the trials' processes until the run has ended."""
    while not ended.wait(0.5):
        found = []
        for process in psutil.Process().children(recursive=True):
            try:
                if any("Trainable" in part for part in process.cmdline()):
                    found.append(process.memory_full_info())
            except psutil.Error:
                continue
        seen.append(found)


def measure(samples: int, concurrent: int) -> tuple[float, float]:
    """(private MiB of a trial, PSS of all in MiB), the largest seen while all of them trained."""
    epochs = max(2, 40_000 * concurrent // samples)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "memory.yaml"
        cpu = environment.cores() / concurrent
        file.write_text(EXPERIMENT.format(epochs=epochs, trials=concurrent, cpu=cpu))
        options = RunOptions(Path(name) / "results", None, Path(name) / "cache")
        run = Run(loader.load(str(file)), options, Console(stderr=True, quiet=True))
        ended, seen = threading.Event(), list[list[Any]]()
        watcher = threading.Thread(target=_watch, args=(ended, seen))
        watcher.start()
        try:
            with patch.object(inputs, "load", lambda _, keys, *__: noise(keys, samples)):
                run.execute()
        finally:
            ended.set()
            watcher.join()
            ray.shutdown()
    whole = [found for found in seen if len(found) == concurrent]
    if not whole:
        raise RuntimeError(f"never saw {concurrent} trials at the same time: make them longer")
    return (
        max(float(np.mean([p.uss for p in found])) for found in whole) / MIB,
        max(float(sum(p.pss for p in found)) for found in whole) / MIB,
    )


def main() -> None:
    """Print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrent", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--samples", type=int, nargs="+", default=[1_000, 50_000], help="of the source")
    asked = parser.parse_args()
    rows = []
    for concurrent in asked.concurrent:
        for samples in asked.samples:
            private, together = measure(samples, concurrent)
            rows.append([concurrent, samples * VECTORS * 4 / MIB, private, together])
    head = ["trials at a time", "source array MiB", "private MiB a trial", "all trials together MiB (PSS)"]
    print(tabulate(rows, head, "github", floatfmt=".0f"))


if __name__ == "__main__":
    main()
