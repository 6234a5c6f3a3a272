"""The checkout as one who changes it has it: files in a folder, nothing installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.loaded import PARTS, ROOT
from tests.support.whole_run import RAY_STARTS


def copy(folder: Path) -> Path:
    """Copy what a run needs of the checkout.

    Args:
        folder: for the copy.
    """
    for name in ("transfer_sweep", *PARTS):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def sweep(checkout: Path, *arguments: str) -> str:
    """What ``python -m sweep`` prints in a checkout, with nothing of ours that PYTHONPATH would add.

    Tried again where Ray did not start, as :func:`tests.support.whole_run.run` is.

    Args:
        checkout: its root.
        arguments: of the command line, which is to end well.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "400"}
    command = [sys.executable, "-m", "sweep", *arguments]
    for _ in range(RAY_STARTS):
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=900, check=False
        )
        if "cannot connect to Ray" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    return done.stdout
