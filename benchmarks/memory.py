"""Memory of trials that run at the same time: what each has for itself, and what they share.

``python -m benchmarks.memory [--concurrent 1 2 4 8]``: ``source_only`` on a source of noise vectors, small and large,
through the whole run. Private memory is what would be free again if the process ended (USS); the proportional set
size (PSS) divides what is shared among those who share it, so that its sum is what all trials take together.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import ray
from rich.console import Console
from tabulate import tabulate

from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep import environment
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.runner import Run, Settings

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


class NoiseRun(Run):
    """The real run on noise vectors instead of the dataset's."""

    samples = 0

    def _put_arrays(self, todo: Sequence[Trial]) -> dict[tuple[str, str], ray.ObjectRef]:
        rng = np.random.default_rng(0)

        def put(n: int) -> ray.ObjectRef:
            return ray.put((rng.random((n, VECTORS), dtype=np.float32), np.arange(n) % 10, None, None))

        return {("rendered", "raw"): put(self.samples), ("photo", "raw"): put(TARGET)}


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
        settings = Settings(Path(name) / "results", None, Path(name) / "cache")
        run = NoiseRun(loader.load(str(file)), settings, Console(stderr=True, quiet=True))
        run.samples = samples
        ended, seen = threading.Event(), list[list[Any]]()
        watcher = threading.Thread(target=_watch, args=(ended, seen))
        watcher.start()
        try:
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
    rows = []
    for concurrent in parser.parse_args().concurrent:
        for samples in (1_000, 50_000):
            private, together = measure(samples, concurrent)
            rows.append([concurrent, samples * VECTORS * 4 / MIB, private, together])
    head = ["trials at a time", "source array MiB", "private MiB a trial", "all trials together MiB (PSS)"]
    print(tabulate(rows, head, "github", floatfmt=".0f"))


if __name__ == "__main__":
    main()
