"""Time and memory of reports of large ledgers: ``python -m benchmarks.report [--trials 1000 10000]``.

Each report is made by a command of its own, from a made-up ledger (see :mod:`benchmarks.ledgers`) with the predictions
of every trial beside it. Seconds are those of the whole command, imports included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from benchmarks import ledgers

MIB = 2**20
REPORTS = {"csv": ("csv", False), "md": ("md", False), "md with figures": ("md", True), "html": ("html", True)}


def measure(results: Path, name: str, form: str, figures: bool) -> tuple[float, float, float, float]:
    """(seconds, CPU seconds, peak MiB, MiB of the text) of one report."""
    file = results / f"{name}.{form}"
    command = [sys.executable, "-m", "sweep", "report", name, "--results", str(results), "--format", form]
    began = time.perf_counter()
    with file.open("wb") as stdout:
        to_file = ["--out", str(file)] if figures else []
        child = subprocess.Popen([*command, *to_file], stdout=stdout, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / MIB, file.stat().st_size / MIB


def main() -> None:
    """Print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10000])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for trials in parser.parse_args().trials:
            name = f"made_up_{trials}"
            ledgers.make(Path(folder) / name / "ledger.sqlite", trials, logits=True)
            for what, (form, figures) in REPORTS.items():
                rows.append([trials, what, *measure(Path(folder), name, form, figures)])
    head = ["trials", "report", "seconds", "CPU seconds", "peak MiB", "MiB written"]
    print(tabulate(rows, head, "github", floatfmt=("d", "", ".1f", ".1f", ".0f", ".1f")))


if __name__ == "__main__":
    main()
