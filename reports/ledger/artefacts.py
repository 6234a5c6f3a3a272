"""What is kept of a cell's chosen trial for figures: some features of both domains, and its confusions.

One file a trial, ``features/<first two of its id>/<id>.npz`` in the experiment's folder, named by ``features`` in the
trial's artefacts: an archive of NumPy arrays, without pickles, one for each attribute of :class:`Features`. The
model lies beside it, as ``models/…/<id>.safetensors`` (see :mod:`transfer_sweep.sweep.trial.model_files`).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODEL, FEATURES = "model", "features"
"""Names of the artefacts of a chosen trial in the ledger."""
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


def some(n: int) -> NDArray[np.intp]:
    """At most :data:`SAMPLES` rows of n, in order, the same for every trial."""
    return np.sort(np.random.default_rng(0).permutation(n)[:SAMPLES])
