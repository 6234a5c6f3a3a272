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

import platformdirs

import transfer_sweep
from transfer_sweep.sweep.errors import SweepError

transfer_sweep.refuse_bare(__name__)

PACKAGES = ("ray", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")
_OPTIONS_OF_THIS_MACHINE = ("--data-root", "--results", "--address")
_CHECKOUT = Path(__file__).resolve().parent.parent


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float | None:
    """The machine's memory, in GiB; None where it does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def existing_folder(data_root: Path | None) -> Path | None:
    """The data root that a user named.

    Raises:
        SweepError: it is no folder.
    """
    if data_root is not None and not data_root.is_dir():
        raise SweepError(f"the data root {data_root} does not exist: name another with --data-root or SWEEP_DATA_ROOT")
    return data_root


def cache_folder() -> Path:
    """Where decoded images and features are kept between runs."""
    return Path(os.environ.get("SWEEP_CACHE") or platformdirs.user_cache_path("transfer-sweep"))


def record(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Commit, versions, hardware, and the command as it was typed, in values that JSON knows.

    Args:
        arguments: of the command; None: this process's.
    """
    return {
        "command": command(sys.argv[1:] if arguments is None else arguments),
        "commit": _commit(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "hardware": {
            "cores": cores(),
            "memory_gib": memory_gib(),
            "machine": platform.machine(),
            "gpus": gpus(),
        },
    }


def gpus() -> list[str]:
    """The names of the GPUs that torch sees."""
    import torch  # noqa: PLC0415 - `doctor` says where it is lacking

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def command(arguments: Sequence[str]) -> str:
    """A command line as another machine would type it: without the folders of this one."""
    told = []
    left = iter(arguments)
    for argument in left:
        name, equals, _ = argument.partition("=")
        if name in _OPTIONS_OF_THIS_MACHINE:
            if not equals:
                next(left, None)
            continue
        told.append(Path(argument).name if argument.endswith((".yaml", ".yml", ".py")) else argument)
    return shlex.join(["python", "-m", "sweep", *told])


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
