"""What is kept of trials besides their numbers: models, and features for figures, of each cell's chosen trial.

A model is one safetensors file: its tensors by name and, as JSON in the file's metadata, everything else of its
state and the trial that it belongs to. Nothing is pickled, and loading runs no code.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from transfer_sweep.algorithms.base import Algorithm, StateDict
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.artefacts import FEATURES, MODEL, Features
from transfer_sweep.reports.ledger.ledger import FINISHED, Ledger, TrialRow, canonical
from transfer_sweep.sweep.errors import SweepError

_SUFFIX = {MODEL: ".safetensors", FEATURES: ".npz"}
_TENSOR = "tensor:"  # marks, in the JSON of a state, the place of a tensor
_FORMAT = 1


def path_of(kind: str, trial: str) -> Path:
    """Where an artefact of a trial lies, relative to the experiment's folder."""
    return Path(f"{kind}s" if kind == MODEL else kind) / trial[:2] / f"{trial}{_SUFFIX[kind]}"


def save_model(folder: Path, row: TrialRow, epochs: int, classes: int, model: Algorithm) -> str:
    """Write a model; returns its path relative to ``folder``.

    Args:
        folder: the experiment's.
        row: the trial's identity, stored with it.
        epochs: the experiment's budget.
        classes: their number.
        model: to save.
    """
    tensors: dict[str, torch.Tensor] = {}

    def flat(value: Any, name: str) -> Any:
        if isinstance(value, torch.Tensor):
            tensors[name] = value.detach().cpu().contiguous()
            return _TENSOR + name
        if isinstance(value, Mapping):
            return {key: flat(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [flat(item, f"{name}.{i}") for i, item in enumerate(value)]
        return value

    state = flat(model.model_state(), "")
    inputs = model.task.target_inputs
    config = {
        "format": _FORMAT,
        "trial": asdict(row),
        "epochs": epochs,
        "num_classes": classes,
        "input_shape": list(inputs.shape[1:]),
        "input_type": str(inputs.dtype),
    }
    metadata = {"config": canonical(config), "state": json.dumps(state)}
    relative = path_of(MODEL, row.id)
    # Not save_file, whose files nobody else may read.
    replace(folder / relative, lambda path: path.write_bytes(save(tensors, metadata)))
    return relative.as_posix()


def load_model(path: Path) -> tuple[dict[str, Any], StateDict]:
    """A saved model: its config as :func:`save_model` wrote it, and its state.

    Raises:
        SweepError: the file is missing, damaged or of a newer version; one line.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        config, state = json.loads(metadata["config"]), json.loads(metadata["state"])
        known = config["format"] == _FORMAT

        def unflat(value: Any) -> Any:
            if isinstance(value, str) and value.startswith(_TENSOR):
                return tensors[value.removeprefix(_TENSOR)]
            if isinstance(value, dict):
                return {key: unflat(item) for key, item in value.items()}
            return [unflat(item) for item in value] if isinstance(value, list) else value

        state = unflat(state)
    except FileNotFoundError:
        raise SweepError(f"no model at {path}") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SweepError(f"the model {path} cannot be read: {' '.join(str(error).split())}") from error
    if not known:
        raise SweepError(f"the model {path} is of format {config['format']}, this version reads {_FORMAT}")
    return config, state


def save_features(folder: Path, trial: str, found: Features) -> str:
    """Write a trial's features for figures; returns the path relative to ``folder``, the experiment's."""
    relative = path_of(FEATURES, trial)
    replace(folder / relative, found.write)
    return relative.as_posix()


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that it is there as a whole or not at all."""
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


class Keeper:
    """Removes the models and features of trials that their cell does not choose; while a run lasts, now and then.

    Args:
        ledger: open for writing.
        folder: the experiment's.
        criterion: what chooses.
        seconds: between two looks, at least.
    """

    def __init__(self, ledger: Ledger, folder: Path, criterion: str, seconds: float = 30) -> None:
        self._ledger, self._folder, self._criterion, self._seconds = ledger, folder, criterion, seconds
        self._looked = time.monotonic()

    def now_and_then(self) -> None:
        """Look, where the last look is long enough ago."""
        if time.monotonic() - self._looked >= self._seconds:
            self.tidy()

    def tidy(self) -> None:
        """Keep what the chosen trials, those that are not finished and those of former plans have; forget the rest.

        Only finished trials are chosen among: one that runs may lead for a moment, and end below. What compares
        trials may choose anew with each, and waits until the search is complete.
        """
        self._looked = time.monotonic()
        planned, states = self._ledger.trials(), self._ledger.states()
        search = planned[planned["role"] == "search"]
        if self._criterion not in selection.OWN and not search["state"].isin([*FINISHED, "failed"]).all():
            return
        found = selection.candidates(self._ledger)
        chosen = selection.choose(found[found["state"].isin(FINISHED)], self._criterion)
        unwanted = set(planned["id"][planned["state"].isin([*FINISHED, "failed"])]) - set(chosen["id"])
        gone = [
            path
            for kind, suffix in _SUFFIX.items()
            for path in (self._folder / path_of(kind, "id")).parents[1].glob(f"*/*{suffix}")
            if path.stem in unwanted or path.stem not in states
        ]
        self._ledger.drop_artefacts(_SUFFIX, {path.stem for path in gone})  # first: a ledger names what there is
        for path in gone:
            path.unlink(missing_ok=True)
