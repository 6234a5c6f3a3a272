"""Models of trials, as files: one safetensors file each.

It holds the model's tensors by name and, as JSON in the file's metadata, everything else of its state and the trial
that it belongs to. Nothing is pickled, and loading runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from transfer_sweep.algorithms.base import Algorithm, StateDict
from transfer_sweep.reports.ledger.artefacts import MODEL, path_of, write_whole
from transfer_sweep.reports.ledger.records import Trial, canonical
from transfer_sweep.sweep.errors import SweepError

_TENSOR = "tensor:"  # marks, in the JSON of a state, the place of a tensor
_FORMAT = 1


def save_model(folder: Path, trial: Trial, epochs: int, classes: int, model: Algorithm) -> str:
    """Write a model; returns its path relative to ``folder``.

    Args:
        folder: the experiment's.
        trial: its identity, stored with it.
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
        "trial": trial.encode(),
        "epochs": epochs,
        "num_classes": classes,
        "input_shape": list(inputs.shape[1:]),
        "input_type": str(inputs.dtype),
    }
    metadata = {"config": canonical(config), "state": json.dumps(state)}
    relative = path_of(MODEL, trial.id)
    # Not save_file, whose files nobody else may read.
    write_whole(folder / relative, lambda path: path.write_bytes(save(tensors, metadata)))
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
