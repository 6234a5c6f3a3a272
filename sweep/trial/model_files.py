"""Models of trials, as files: one safetensors file each.

It holds the model's tensors by name and, as JSON in the file's metadata, everything else of its state, the trial that
it belongs to, and what its inputs and answers mean: it predicts where its training data is not. Nothing is pickled, and
loading runs no code. Files of format 1 lack the latter, and what a shallow method needs of its training data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from transfer_sweep.algorithms.base import Algorithm, StateDict
from transfer_sweep.datasets.base import Dataset, Standardisation
from transfer_sweep.reports.ledger.artefacts import MODEL, path_of, write_whole
from transfer_sweep.reports.ledger.records import Trial, canonical
from transfer_sweep.sweep.errors import SweepError

_TENSOR = "tensor:"  # marks, in the JSON of a state, the place of a tensor
_STANDARDISATION = "standardisation"
_PRETRAINED = "pretrained:"  # starts the names of the backbone's tensors
_FORMAT = 2


@dataclass(frozen=True)
class Preparation:
    """What of a data set a model needs to take inputs from elsewhere and to name its answers.

    Attributes:
        classes: their names, in the order of the logits.
        feature_names: of the entries of a vector, where they have names.
        standardisation: of the target's vectors; None: they are not standardised.
    """

    classes: Sequence[str]
    feature_names: Sequence[str] = ()
    standardisation: Standardisation | None = None

    @classmethod
    def of(cls, dataset: Dataset, trial: Trial) -> Preparation:
        """That of a trial's model.

        Raises:
            DataError: a file of the target is missing or damaged.
        """
        changed = {name: value for name, value in trial.protocol.inputs.items() if name != "msda"}
        if changed:
            dataset = dataset.with_options(dataset.options.model_copy(update=changed))
        return cls(dataset.classes, dataset.feature_names, dataset.standardisation(trial.pair.target))


@dataclass(frozen=True)
class ModelFile:
    """What a model's file says.

    Attributes:
        trial: that it is the model of.
        epochs: the experiment's budget.
        num_classes: K.
        input_shape, input_type: of one input of the method.
        samples: that it learned from, by part of its task: how many.
        preparation: None in files of format 1.
        state: the model's.
        pretrained: weights of the backbone, in files that leave this program; else empty.
    """

    trial: Trial
    epochs: int
    num_classes: int
    input_shape: tuple[int, ...]
    input_type: str
    samples: Mapping[str, int]
    preparation: Preparation | None
    state: StateDict
    pretrained: StateDict


def save_model(folder: Path, trial: Trial, epochs: int, model: Algorithm, preparation: Preparation) -> str:
    """Write a model; returns its path relative to ``folder``.

    Args:
        folder: the experiment's.
        trial: its identity, stored with it.
        epochs: the experiment's budget.
        model: to save.
        preparation: of its data set.
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
    task, inputs = model.task, model.task.target_inputs
    parts = {
        "source": task.source,
        "validation": task.source_validation,
        "target_labelled": task.target_labelled,
    }
    config = {
        "format": _FORMAT,
        "trial": trial.encode(),
        "epochs": epochs,
        "num_classes": task.num_classes,
        "samples": {"target": inputs.shape[0]} | {name: len(part) for name, part in parts.items() if part is not None},
        "input_shape": list(inputs.shape[1:]),
        "input_type": str(inputs.dtype),
        "classes": list(preparation.classes),
        "feature_names": list(preparation.feature_names),
        "standardisation": None,
    }
    if (given := preparation.standardisation) is not None:
        arrays = {"mean": torch.from_numpy(given.mean.copy()), "scale": torch.from_numpy(given.scale.copy())}
        config["standardisation"] = flat(arrays, _STANDARDISATION)
    metadata = {"config": canonical(config), "state": json.dumps(state)}
    relative = path_of(MODEL, trial.id)
    # Not save_file, whose files nobody else may read.
    write_whole(folder / relative, lambda path: path.write_bytes(save(tensors, metadata)))
    return relative.as_posix()


def load_model(path: Path) -> ModelFile:
    """A saved model.

    Raises:
        SweepError: the file is missing, damaged or of a newer version; one line.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        config, state = json.loads(metadata["config"]), json.loads(metadata["state"])
        if config["format"] > _FORMAT:
            raise SweepError(
                f"the model {path} is of format {config['format']}, this version reads up to {_FORMAT}: update it"
            )

        def unflat(value: Any) -> Any:
            if isinstance(value, str) and value.startswith(_TENSOR):
                return tensors[value.removeprefix(_TENSOR)]
            if isinstance(value, dict):
                return {key: unflat(item) for key, item in value.items()}
            return [unflat(item) for item in value] if isinstance(value, list) else value

        preparation = None
        if config["format"] > 1:
            arrays = {key: tensor.numpy() for key, tensor in unflat(config["standardisation"] or {}).items()}
            scaling = Standardisation(**arrays) if arrays else None
            preparation = Preparation(tuple(config["classes"]), tuple(config["feature_names"]), scaling)
        return ModelFile(
            Trial.decode(config["trial"]),
            config["epochs"],
            config["num_classes"],
            tuple(config["input_shape"]),
            config["input_type"],
            config.get("samples", {}),
            preparation,
            unflat(state),
            {name.removeprefix(_PRETRAINED): t for name, t in tensors.items() if name.startswith(_PRETRAINED)},
        )
    except FileNotFoundError:
        raise SweepError(f"no model at {path}") from None
    except SweepError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SweepError(f"the model {path} cannot be read: {' '.join(str(error).split())}") from error


def write_with_backbone(model: Path, pretrained: StateDict, path: Path) -> None:
    """Write a model's file anew, with the weights of its backbone in it.

    Args:
        model: the file.
        pretrained: the weights, by name.
        path: of the new file.
    """
    with safe_open(model, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    inside = {_PRETRAINED + name: tensor.contiguous() for name, tensor in pretrained.items()}
    path.write_bytes(save(tensors | inside, metadata))
