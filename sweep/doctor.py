"""What is fine on this machine, what is not, and what to do about it. It runs where a package is lacking."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import transfer_sweep
from transfer_sweep.sweep import environment

transfer_sweep.refuse_bare(__name__)

MIN_FREE_GIB = 5
MIN_SHARED_GIB = 1


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        what: the thing looked at.
        fine: whether it is as it should be.
        found: what there is.
        advice: what to do where it is not fine.
        needed: whether nothing runs without it.
    """

    what: str
    fine: bool
    found: str
    advice: str = ""
    needed: bool = False


def examine(data_root: Path | None, results: Path) -> list[Finding]:
    """Look at packages, GPU, cores, disk, data and weights.

    Args:
        data_root: where data sets lie; None where none is named.
        results: the folder of results, which need not exist.

    Returns:
        What was found. Where a package is lacking, nothing that rests on one is looked at.
    """
    packages = [_package(name) for name in environment.PACKAGES]
    machine = [
        Finding("cores", True, f"{environment.cores()}, {environment.memory_gib()} GiB of memory"),
        _disk(results),
        _shared_memory(),
        _results(results),
    ]
    if not all(package.fine for package in packages):
        return [*packages, *machine]
    return [*packages, _dashboard(), _gpu(), *machine, *_data(data_root), _weights()]


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", "make install", needed=True)


def _dashboard() -> Finding:
    fine = all(importlib.util.find_spec(name) is not None for name in ("aiohttp", "opencensus"))
    return Finding("Ray dashboard", fine, "available" if fine else "not installed", "pip install 'ray[default]'")


def _gpu() -> Finding:
    names = environment.gpus()
    return Finding("GPU", bool(names), ", ".join(names) or "none", "fine-tuning wants one; profile cpu does without")


def _disk(results: Path) -> Finding:
    free = shutil.disk_usage(_existing_parent(results)).free / 2**30
    return Finding("disk", free >= MIN_FREE_GIB, f"{free:.0f} GiB free for results", "free some, or use --results")


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Finding("shared memory", True, "Ray uses files here")
    free = shutil.disk_usage(folder).free / 2**30
    advice = "give /dev/shm more (docker: --shm-size), or Ray keeps arrays in slow files"
    return Finding("shared memory", free >= MIN_SHARED_GIB, f"{free:.1f} GiB", advice)


def _results(results: Path) -> Finding:
    fine = os.access(_existing_parent(results), os.W_OK)
    return Finding("results folder", fine, str(results), "not writable: name another with --results", needed=True)


def _existing_parent(folder: Path) -> Path:
    """The folder, or where it would be made."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())


def _data(root: Path | None) -> list[Finding]:
    from transfer_sweep.datasets import registry

    if root is None or not root.is_dir():
        advice = "name one with --data-root or SWEEP_DATA_ROOT; quickstart and offline_digits need none"
        return [Finding("data root", False, str(root) if root else "not set", advice)]
    found = [Finding("data root", True, str(root))]
    for name in registry.names():
        dataset = registry.get(name)
        if not dataset.needs_root:
            continue
        # A look at the top of each, not at every file: `data verify` does that.
        folders = {Path(file.path).parts[0] for file in dataset.files}
        there = bool(folders) and all((root / folder).exists() for folder in folders)
        found.append(Finding(name, there, "there" if there else "missing", f"python -m sweep data fetch {name}"))
    return found


def _weights() -> Finding:
    from transfer_sweep.algorithms.networks.backbones import BackboneError, load_pretrained

    try:
        load_pretrained("efficientnet_lite0")
    except BackboneError as error:
        return Finding("offline backbone", False, "no efficientnet_lite0 weights", str(error))
    return Finding("offline backbone", True, "efficientnet_lite0 weights")
