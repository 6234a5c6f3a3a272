"""What is kept of trials besides their numbers, as files in the experiment's folder.

Predictions of every trial; the model, and features for figures, of each cell's chosen one. Each kind has a folder,
``<kind>/<first two of the trial's id>/<id><suffix>``, and a trial's artefacts in the ledger name what there is.
Archives of NumPy arrays hold no pickles; models are safetensors files, see ``sweep/trial/model_files.py``.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOGITS, MODEL, FEATURES = "logits", "model", "features"
"""Kinds of artefacts, as the ledger names them."""

SUFFIXES = {MODEL: ".safetensors", FEATURES: ".npz"}
"""Of the kinds that only chosen trials keep."""

SAMPLES = 1000  # of each domain: enough for a figure
WIDEST = 4096  # features of a sample: more are the inputs of a bag of words, as they were, and nothing to look at


@dataclass(frozen=True)
class Features:
    """Samples as the last classifier of a trained method sees them.

    Attributes:
        source, target: (n, d) and (m, d) float16 features of labelled source and unlabelled target training
            samples, at most :data:`SAMPLES` each, the same ones for every trial of a pair.
        source_labels: (n,) true classes.
        target_predictions: (m,) predicted classes.
        confusion: (K, K) scored target samples by true (row) and predicted class (column); all of them.
    """

    source: NDArray[np.float16]
    source_labels: NDArray[np.int64]
    target: NDArray[np.float16]
    target_predictions: NDArray[np.int64]
    confusion: NDArray[np.int64]

    def write(self, path: Path) -> None:
        """As a file that :func:`read` reads."""
        with path.open("wb") as file:
            arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
            np.savez(file, allow_pickle=False, **arrays)


def read(path: str | Path) -> Features | None:
    """The features in a file; None where there is none, or a damaged one."""
    try:
        with np.load(path) as arrays:
            return Features(**{field.name: arrays[field.name] for field in fields(Features)})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def path_of(kind: str, trial: str) -> Path:
    """Where an artefact of a trial lies, relative to the experiment's folder."""
    return Path(f"{kind}s" if kind == MODEL else kind) / trial[:2] / f"{trial}{SUFFIXES.get(kind, '.npz')}"


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that it is there as a whole or not at all.

    Args:
        path: of the file; its folder is made if absent.
        write: writes to the path that it is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the parts of files that processes were killed while writing, below an experiment's folder."""
    for part in folder.glob("*/*/*.part"):
        part.unlink(missing_ok=True)


def save_predictions(
    folder: Path, trial: str, target: NDArray[np.float32], validation: NDArray[np.float32] | None
) -> str:
    """Write a trial's logits, so that other criteria on predictions can be computed later without training.

    Args:
        folder: the experiment's.
        trial: its id.
        target: (m, K) logits on the unlabelled target training inputs.
        validation: (v, K) logits on source validation samples, where there are.

    Returns:
        The path relative to ``folder``.
    """
    # The classes as well: rounded logits may tie.
    arrays: dict[str, Any] = {"target": target.astype(np.float16), "classes": target.argmax(axis=1).astype(np.uint16)}
    if validation is not None:
        arrays["validation"] = validation.astype(np.float16)

    def write(path: Path) -> None:
        with path.open("wb") as file:  # by its name, NumPy would append .npz
            np.savez(file, allow_pickle=False, **arrays)

    relative = path_of(LOGITS, trial)
    write_whole(folder / relative, write)
    return relative.as_posix()


def predicted_classes(path: str) -> NDArray[np.integer] | None:
    """The (n,) classes that a trial predicts for the target's training inputs; None where no whole file has them.

    Args:
        path: of a file that :func:`save_predictions` wrote, now or in an earlier version; or an empty text.
    """
    if not path:
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            classes = arrays["classes"] if "classes" in arrays else arrays["target"].argmax(axis=1)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return classes if isinstance(classes, np.ndarray) and classes.ndim == 1 else None


def save_features(folder: Path, trial: str, found: Features) -> str:
    """Write a trial's features for figures; returns the path relative to ``folder``, the experiment's."""
    relative = path_of(FEATURES, trial)
    write_whole(folder / relative, found.write)
    return relative.as_posix()
