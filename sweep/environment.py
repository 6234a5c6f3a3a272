"""Where a run happened: what a reader needs to judge or repeat its numbers."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import transfer_sweep
from transfer_sweep.reports.aside import cores

transfer_sweep.refuse_bare(__name__)

PACKAGES = ("ray", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")
_FOLDERS = ("--data-root", "--results", "--address")
_CHECKOUT = Path(__file__).resolve().parent.parent


def memory_gib() -> float | None:
    """The machine's memory, in GiB."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def record() -> dict[str, Any]:
    """Commit, versions, hardware, and the command as it was typed."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "command": command(sys.argv[1:]),
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "hardware": {
            "cores": cores(),
            "memory_gib": memory_gib(),
            "machine": platform.machine(),
            "gpus": gpus,
        },
    }


def command(arguments: Sequence[str]) -> str:
    """A command line as another machine would type it: without the folders of this one."""
    kept = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, _ = argument.partition("=")
        if name in _FOLDERS:
            if not equals:
                next(rest, None)
            continue
        kept.append(Path(argument).name if argument.endswith((".yaml", ".yml")) else argument)
    return shlex.join(["python", "-m", "sweep", *kept])


def _commit() -> str | None:
    """The checkout's commit, marked where files differ from it; None outside a checkout."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="],
            cwd=_CHECKOUT,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() or None
