"""A cell's saved model: what it says of its test set, and of pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.algorithms.networks.backbones import build_backbone, extract_features, load_pretrained
from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.datasets.base import DataError, Dataset, Domain, Progress, Samples
from transfer_sweep.datasets.images.pictures import open_picture
from transfer_sweep.reports import selection
from transfer_sweep.reports.criteria.accuracy import accuracy, confusion
from transfer_sweep.reports.ledger.artefacts import MODEL
from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.reports.ledger.records import FINISHED, Training, Trial, planned
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial import inputs
from transfer_sweep.sweep.trial.model_files import load_model
from transfer_sweep.sweep.trial.scoring import Scoring
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial, build_untrained


@dataclass(frozen=True)
class Evaluation:
    """What a saved model gives on its cell's scored samples.

    Attributes:
        accuracy: percent.
        confusion: (K, K) counts by true class and prediction.
        recorded: the accuracy that the ledger has of the trial, in percent.
    """

    accuracy: float
    confusion: NDArray[np.int64]
    recorded: float


@dataclass(frozen=True)
class Answer:
    """What a model says of one picture.

    Attributes:
        label: name of the class.
        confidence: its softmax probability in percent.
        picture: as it was, (h, w, 3) uint8.
        seen: what the model saw of it, (h, w) or (h, w, 3) uint8.
    """

    label: str
    confidence: float
    picture: NDArray[np.uint8]
    seen: NDArray[np.uint8]


class SavedModel:
    """The saved model of a cell's chosen trial.

    Args:
        folder: the experiment's results.
        cell: ``method:source-target``; ``method:source-target@backbone`` where a method ran on several inputs;
            ``method+3:source-target`` of one that had three target labels per class (``+3of15``: of 15 classes;
            ``+3only``: without the source).
        data_root: where data sets lie; None where none is known.
        cache: folder for decoded images and features.
        progress: told of slow work.

    Raises:
        LedgerError: there is no ledger.
        SweepError: there is no such cell, or no model is kept of it; one line.
    """

    def __init__(self, folder: Path, cell: str, data_root: Path | None, cache: Path, progress: Progress) -> None:
        chosen = _choose(folder, cell)
        self._recorded, self._weights = chosen.accuracy, chosen.weights
        self._config, self._state = load_model(chosen.model)
        self.trial = Trial.decode(self._config["trial"])
        self._data_root, self._cache, self._progress = data_root, cache, progress
        self._dataset_type = dataset_registry.get(self.trial.cell.dataset)

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, in the order of their indices."""
        return self._dataset_type.classes

    def evaluate(self) -> Evaluation:
        """Predict the scored samples of the cell's target.

        Raises:
            DataError: the data is missing or damaged.
        """
        model, scoring = self._with_data(self._domains())
        logits, labels = scoring.on_scored(model)
        return Evaluation(accuracy(logits, labels), confusion(logits, labels), self._recorded)

    def predict(self, paths: Sequence[Path]) -> list[Answer]:
        """Classify pictures of any size and colour.

        Raises:
            SweepError: a picture shows nothing, or the dataset is none of images.
            DataError: a file is no picture, or the model is a shallow one and its data is missing.
        """
        # Of a dataset with files below a root, only how its images look is asked.
        dataset = self._dataset(self._data_root or Path())
        pictures = [open_picture(path).image for path in paths]
        samples = np.stack([self._sample(dataset, *item) for item in zip(paths, pictures, strict=True)])
        model_inputs: NDArray[Any] = samples
        if self.trial.protocol.training == "frozen":
            name = self.trial.protocol.backbone
            model_inputs = extract_features(build_backbone(name, load_pretrained(name, self._weights)), samples)
        shallow = method_registry.get(self.trial.method).family == "shallow"
        model = self._with_data(self._domains())[0] if shallow else self._without_data()
        logits = torch.from_numpy(model.predict(model_inputs).logits)
        confidences, labels = (values.tolist() for values in logits.softmax(dim=1).max(dim=1))
        return [
            Answer(self.classes[k], 100 * p, np.asarray(picture), np.squeeze(seen.transpose(1, 2, 0)))
            for k, p, picture, seen in zip(labels, confidences, pictures, samples, strict=True)
        ]

    def _dataset(self, root: Path | None) -> Dataset:
        """The cell's dataset over a data root."""
        kind = self._dataset_type
        options = kind.options_type.decode(self.trial.protocol.options)
        return kind(root if kind.needs_root else None, options, self._cache, self._progress)

    def _sample(self, dataset: Dataset, path: Path, picture: Image.Image) -> NDArray[Any]:
        try:
            return dataset.from_picture(picture, self.trial.pair.target)
        except DataError as error:
            raise SweepError(f"{path}: {error}") from None

    def _domains(self) -> dict[str, Domain]:
        dataset, wanted = self._dataset(self._data_root), inputs.wanted([self.trial])
        loaded = inputs.load(dataset, wanted, self._cache, self._progress, self._weights)
        return {name: domain for (name, _), domain in loaded.items()}

    def _with_data(self, domains: dict[str, Domain]) -> tuple[Algorithm, Scoring]:
        """The model as it was trained, over the whole of its data, and what scored it."""
        source, target = (domains[name] for name in self.trial.pair)
        model, scoring = build_trial(self.trial, source, target, self._task_config, self._device)
        return self._restored(model), scoring

    def _without_data(self) -> Algorithm:
        """A deep model needs of its data only what form it had."""
        shape, kind = self._config["input_shape"], self._config["input_type"]
        samples = Samples(np.zeros((2, *shape), dtype=kind), np.zeros(2, dtype=np.int64))
        model = build_untrained(self.trial, samples, self._task_config, self._device)
        return self._restored(model)

    @property
    def _task_config(self) -> TaskConfig:
        # A fine-tuned backbone is built without pretrained weights: the model brings its own.
        training: Training | None = "scratch" if self.trial.protocol.training == "finetune" else None
        return TaskConfig(self._config["epochs"], self._config["num_classes"], training=training)

    @property
    def _device(self) -> str:
        return "cuda" if torch.cuda.is_available() else "cpu"

    def _restored(self, model: Algorithm) -> Algorithm:
        try:
            model.load_model_state(self._state)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise SweepError(f"the saved model does not fit this version of {self.trial.method}: {first}") from error
        return model


@dataclass(frozen=True)
class _Chosen:
    """The trial that a cell has chosen.

    Attributes:
        model: its file.
        accuracy: that the ledger has of it, in percent.
        weights: the file of pretrained weights that the experiment names; None: the published ones.
    """

    model: Path
    accuracy: float
    weights: Path | None


def _choose(folder: Path, cell: str) -> _Chosen:
    """The chosen trial of the cell of that name.

    Raises:
        LedgerError: there is no ledger.
        SweepError: there is no such cell, or no model is kept of it.
    """
    with Ledger(folder / FILE) as ledger:
        experiment = ledger.meta("experiment") or {}
        candidates = selection.candidates(ledger)
    candidates = candidates[candidates["state"].isin(FINISHED)]
    chosen = selection.choose(candidates, experiment.get("criterion", selection.DEFAULT))
    cells = [trial.cell for trial in planned(chosen)]
    often = Counter(each.name for each in cells)
    long_names = [f"{each.name}@{each.protocol.backbone}" for each in cells]
    names = [long if often[each.name] > 1 else each.name for each, long in zip(cells, long_names, strict=True)]
    matches = [cell in both for both in zip(names, long_names, strict=True)]
    if sum(matches) != 1:
        raise SweepError(f"{folder.name} has no cell {cell!r} (there are: {', '.join(dict.fromkeys(names))})")
    record = chosen[matches].iloc[0]
    model = json.loads(record["artefacts"]).get(MODEL)
    if model is None:
        raise SweepError(
            f"no model is kept of {cell}: cross-fitted methods have none, and results of earlier versions neither "
            f"(`python -m sweep run {folder.name} --fresh --only method={record['method']}` makes it anew)"
        )
    weights = experiment.get("protocol", {}).get("weights")
    return _Chosen(folder / model, float(record["target_accuracy"]), Path(weights) if weights else None)
