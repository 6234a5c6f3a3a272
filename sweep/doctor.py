"""What is fine on this machine, what is not, and what to do about it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

import transfer_sweep
from transfer_sweep.algorithms.networks.backbones import BackboneError, load_pretrained
from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.sweep import environment

transfer_sweep.refuse_bare(__name__)

MIN_FREE_GIB = 5


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
    """Ray, torch, GPU, cores, disk, data root, and weights."""
    return [
        *_packages(),
        _dashboard(),
        _gpu(),
        Finding("cores", True, f"{environment.cores()}, {environment.memory_gib()} GiB of memory"),
        _disk(results),
        _shared_memory(),
        _results(results),
        *_data(data_root),
        _weights(),
    ]


def _packages() -> list[Finding]:
    found = []
    for name in environment.PACKAGES:
        try:
            found.append(Finding(name, True, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(Finding(name, False, "not installed", "make install", needed=True))
    return found


def _dashboard() -> Finding:
    fine = importlib.util.find_spec("aiohttp") is not None and importlib.util.find_spec("opencensus") is not None
    return Finding("Ray dashboard", fine, "available" if fine else "not installed", "pip install 'ray[default]'")


def _gpu() -> Finding:
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Finding("GPU", bool(names), ", ".join(names) or "none", "fine-tuning wants one; profile cpu does without")


def _disk(results: Path) -> Finding:
    place = results
    while not place.exists():
        place = place.absolute().parent
    free = shutil.disk_usage(place).free / 2**30
    return Finding("disk", free >= MIN_FREE_GIB, f"{free:.0f} GiB free for results", "free some, or use --results")


def _shared_memory() -> Finding:
    place = Path("/dev/shm")
    if not place.is_dir():
        return Finding("shared memory", True, "Ray uses files here")
    free = shutil.disk_usage(place).free / 2**30
    advice = "give /dev/shm more (docker: --shm-size), or Ray keeps arrays in slow files"
    return Finding("shared memory", free >= 1, f"{free:.1f} GiB", advice)


def _results(results: Path) -> Finding:
    place = results
    while not place.exists():
        place = place.absolute().parent
    fine = os.access(place, os.W_OK)
    return Finding("results folder", fine, str(results), "not writable: name another with --results", needed=True)


def _data(root: Path | None) -> list[Finding]:
    if root is None or not root.is_dir():
        advice = "name one with --data-root or SWEEP_DATA_ROOT; quickstart and offline_digits need none"
        return [Finding("data root", False, str(root) if root else "not set", advice)]
    found = [Finding("data root", True, str(root))]
    for name in dataset_registry.names():
        kind = dataset_registry.get(name)
        if not kind.needs_root:
            continue
        # A look at the top of each, not at every file: `data verify` does that.
        folders = {Path(file.path).parts[0] for file in kind.files}
        there = bool(folders) and all((root / folder).exists() for folder in folders)
        found.append(Finding(name, there, "there" if there else "missing", f"python -m sweep data fetch {name}"))
    return found


def _weights() -> Finding:
    try:
        load_pretrained("efficientnet_lite0")
    except BackboneError as error:
        return Finding("offline backbone", False, "no efficientnet_lite0 weights", str(error))
    return Finding("offline backbone", True, "efficientnet_lite0 weights")
