"""Saved models: the one of a cell's chosen trial, what it says of its test set, and of inputs from elsewhere."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm, TrainingError
from transfer_sweep.algorithms.networks.backbones import BACKBONES, build_backbone, extract_features, load_pretrained
from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.datasets.base import Dataset, Domain, Progress, Samples, Standardisation
from transfer_sweep.reports import drawn_labels, selection
from transfer_sweep.reports.criteria.accuracy import accuracy, confusion
from transfer_sweep.reports.drawn_labels import Drawn
from transfer_sweep.reports.ledger.artefacts import MODEL
from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.reports.ledger.records import FINISHED, Cell, Training, Trial, planned
from transfer_sweep.reports.recommendation import Recommendation, recommend
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial import inputs
from transfer_sweep.sweep.trial.model_files import ModelFile, load_model
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial, build_untrained

Data = Callable[[], Mapping[str, Domain]]
"""Gives the two domains of a trial's pair, in its representation."""


@dataclass(frozen=True)
class Evaluation:
    """What a saved model gives on its cell's scored samples.

    Attributes:
        accuracy: percent.
        confusion: (K, K) counts by true class and prediction.
    """

    accuracy: float
    confusion: NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """The trial that a cell has chosen.

    Attributes:
        cell: the cell's name.
        recommended: how its cell was chosen among those of its pair; empty where the user named the cell.
        model: the trial's file.
        criterion: by which it was chosen.
        candidates: among how many trials.
        label_free: whether neither method nor criterion saw a target label.
        accuracy: that the ledger has of it, in percent; NaN where no scored sample has a label.
        weights: the file of pretrained weights that the experiment names; None: the published ones.
        checksums: domain → digest of its data, as the ledger has it.
        paths: domain → where it lies, of the user's own data.
        drawn: of the target's training inputs those whose labels were drawn to choose trials by: they are not scored.
    """

    cell: str
    recommended: str
    model: Path
    criterion: str
    candidates: int
    label_free: bool
    accuracy: float
    weights: Path | None
    checksums: Mapping[str, str]
    paths: Mapping[str, Path]
    drawn: Sequence[int] = ()


class SavedModel:
    """A model as its file has it: it needs neither its training data nor, where it has one, a data root.

    Args:
        path: the file.
        weights: a file of its backbone's pretrained weights; None: those in the file, else the published ones.
        data: gives the data that it was trained on, for :meth:`evaluate`, and for the shallow methods of format 1,
            which predict with it.
        device: where it computes; None: on the GPU, if there is one.

    Raises:
        SweepError: the file is missing, damaged or of a newer version; one line.
    """

    def __init__(
        self, path: Path, weights: Path | None = None, data: Data | None = None, device: str | None = None
    ) -> None:
        self.path = path
        self.file: ModelFile = load_model(path)
        self.trial: Trial = self.file.trial
        self._weights, self._data = weights, data
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._dataset_type = dataset_registry.get(self.trial.cell.dataset)

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, in the order of the logits."""
        preparation = self.file.preparation
        return self._dataset_type.classes if preparation is None else preparation.classes

    @property
    def feature_names(self) -> Sequence[str]:
        """Names of the entries of a vector; empty where they have none."""
        return () if self.file.preparation is None else self.file.preparation.feature_names

    @property
    def standardisation(self) -> Standardisation | None:
        """Of vectors; None: they are taken as they are."""
        return None if self.file.preparation is None else self.file.preparation.standardisation

    @property
    def frozen(self) -> bool:
        """Whether a frozen backbone turns images into what the method takes."""
        return self.trial.protocol.training == "frozen"

    @property
    def takes(self) -> Literal["pictures", "vectors"]:
        """What it is given: pictures, or vectors (n, m)."""
        return "pictures" if self.frozen or len(self.file.input_shape) == 3 else "vectors"

    @cached_property
    def dataset(self) -> Dataset:
        """Its dataset, to ask how an input is made; of one with files below a root, they are not looked at."""
        return dataset_of(self.trial, Path())

    def sample(self, picture: Image.Image) -> NDArray[Any]:
        """A picture of any size and colour as the target domain's images are; without its first axis.

        Raises:
            DataError: the picture shows nothing, or the dataset is none of images.
        """
        return self.dataset.from_picture(picture, self.trial.pair.target)

    def standardised(self, vectors: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Vectors (n, m) of the target domain as the method takes them."""
        small = np.asarray(vectors, dtype=np.float32)  # first, as data sets have them
        if (given := self.standardisation) is None:
            return small
        return ((small.astype(np.float64) - given.mean) / given.scale).astype(np.float32)

    def logits(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Logits (n, K) of samples of the target domain.

        Args:
            samples: (n, channels, height, width) uint8, see :meth:`sample`; or vectors (n, m), see
                :meth:`standardised`.

        Raises:
            SweepError: the model takes no samples but its own, or none like these, or does not fit this version of its
                method.
            DataError: the model is a shallow one of format 1, and its data is missing.
        """
        if self.frozen:
            samples = extract_features(self.backbone, samples, device=self._device)
        try:
            return self.algorithm.predict(samples).logits
        except TrainingError as error:
            raise SweepError(str(error)) from None

    @cached_property
    def backbone(self) -> torch.nn.Module:
        """The frozen backbone."""
        return build_backbone(self.trial.protocol.backbone, self.pretrained)

    @property
    def pretrained(self) -> dict[str, Any]:
        """Weights of the frozen backbone, without those of ImageNet's classes.

        Raises:
            BackboneError: there are none here.
        """
        name = self.trial.protocol.backbone
        state = self.file.pretrained or load_pretrained(name, self._weights)
        return {key: value for key, value in state.items() if not key.startswith(BACKBONES[name].head)}

    @cached_property
    def algorithm(self) -> Algorithm:
        """The trained method.

        Raises:
            SweepError: it takes no samples but its own, or does not fit this version of the method.
            DataError: it is a shallow one of format 1, and its data is missing.
        """
        if "msda" in self.trial.protocol.inputs:
            raise SweepError(
                f"{self.trial.cell.name} works on mSDA, a representation that is learned from both domains at once "
                "and has none of other samples: choose a cell without it"
            )
        shallow = method_registry.get(self.trial.method).family == "shallow"
        if self.file.preparation is None and shallow:
            return self._restored(self._with_data()[0])
        samples = Samples(np.zeros((2, *self.file.input_shape), self.file.input_type), np.zeros(2, dtype=np.int64))
        return self._restored(build_untrained(self.trial, samples, self._config, self._device))

    def evaluate(self, without: Sequence[int] = ()) -> Evaluation:
        """Predict the scored samples of the cell's target.

        Args:
            without: see :attr:`Chosen.drawn`.

        Raises:
            DataError: the data is missing or damaged.
        """
        model, scoring = self._with_data()
        logits, labels = scoring.on_scored(self._restored(model), without=without)
        return Evaluation(accuracy(logits, labels), confusion(logits, labels))

    def _with_data(self) -> Any:
        """The method over the whole of its data, to be restored, and what scores it."""
        if self._data is None:
            raise SweepError(f"the model {self.path} needs its training data, which nothing names")
        domains = self._data()
        source, target = (domains[name] for name in self.trial.pair)
        return build_trial(self.trial, source, target, self._config, self._device)

    @property
    def _config(self) -> TaskConfig:
        # A fine-tuned backbone is built without pretrained weights: the model brings its own.
        training: Training | None = "scratch" if self.trial.protocol.training == "finetune" else None
        return TaskConfig(self.file.epochs, self.file.num_classes, training=training)

    def _restored(self, model: Algorithm) -> Algorithm:
        try:
            model.load_model_state(self.file.state)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise SweepError(f"the saved model does not fit this version of {self.trial.method}: {first}") from error
        return model


def dataset_of(
    trial: Trial,
    root: Path | None,
    cache: Path | None = None,
    progress: Progress | None = None,
    paths: Mapping[str, Path] | None = None,
) -> Dataset:
    """The dataset of a trial, under its options, over a data root or at the user's own paths."""
    kind = dataset_registry.get(trial.cell.dataset)
    options = kind.options_type.decode(trial.protocol.options)
    return kind(root if kind.needs_root else None, options, cache, progress, paths)


def open_chosen(
    chosen: Chosen, data_root: Path | None, cache: Path, progress: Progress, device: str | None = None
) -> SavedModel:
    """The model of a chosen trial, which knows where its data lies.

    Args:
        chosen: the trial.
        data_root: where data sets lie; None where none is known.
        cache: folder for decoded images and features.
        progress: told of slow work.
        device: see :class:`SavedModel`.
    """

    def data() -> Mapping[str, Domain]:
        trial = model.trial
        dataset = dataset_of(trial, data_root, cache, progress, chosen.paths)
        loaded = inputs.load(dataset, inputs.wanted([trial]), cache, progress, chosen.weights)
        return {name: domain for (name, _), domain in loaded.items()}

    model = SavedModel(chosen.model, chosen.weights, data, device)
    return model


def choose(folder: Path, cell: str | None = None, pair: str | None = None) -> Chosen:
    """The chosen trial of a cell.

    Args:
        folder: the experiment's results.
        cell: ``method:source-target``; ``method:source-target@backbone`` where a method ran on several inputs;
            ``method+3:source-target`` of one that had three target labels per class (``+3of15``: of 15 classes;
            ``+3only``: without the source). None: that of the pair's recommendation.
        pair: ``source-target``, of which the recommended cell is wanted.

    Raises:
        LedgerError: there is no ledger.
        SweepError: there is no such cell, or no model is kept of it.
    """
    if cell is not None and pair is not None:
        raise SweepError(f"a cell names its pair: leave --pair {pair} out")
    recommendation = _recommended(folder, pair) if cell is None else None
    name = _long_name(recommendation.cell) if recommendation is not None else str(cell)
    cells = _cells(folder)
    matches = [name in both for both in zip(cells.names, cells.long_names, strict=True)]
    if sum(matches) != 1:
        raise SweepError(f"{folder.name} has no cell {name!r} (there are: {', '.join(dict.fromkeys(cells.names))})")
    record = cells.chosen[matches].iloc[0]
    model = json.loads(record["artefacts"]).get(MODEL)
    if model is None:
        raise SweepError(
            f"no model is kept of {name}: cross-fitted methods have none, and results of earlier versions neither "
            f"(`python -m sweep run {folder.name} --fresh --only method={record['method']}` makes it anew)"
        )
    weights = cells.experiment.get("protocol", {}).get("weights")
    accuracy_found = record["target_accuracy"]
    (trial,) = planned(cells.chosen[matches])
    same = cells.candidates[selection.CELL].eq(record[selection.CELL]).all(axis=1)
    return Chosen(
        cell=name,
        recommended="" if recommendation is None else recommendation.how,
        model=folder / model,
        criterion=selection.criterion_for(cells.criterion, record["family"]),
        candidates=int(same.sum()),
        label_free=record["declared_access"] == "none"
        and trial.protocol.few is None
        and not selection.by_labels(cells.criterion),
        accuracy=math.nan if accuracy_found is None else float(accuracy_found),
        weights=Path(weights) if weights else None,
        checksums={name: text for name, text in cells.checksums.items() if name in trial.pair},
        paths={name: Path(path) for name, path in cells.experiment.get("paths", {}).items()},
        drawn=cells.drawn[trial.pair.target].rows if trial.pair.target in cells.drawn else (),
    )


def _recommended(folder: Path, pair: str | None) -> Recommendation:
    """The recommendation for a pair, which may be None where there is only one.

    Raises:
        LedgerError: there is no ledger.
        SweepError: there is no such pair, or there are several and none is named; or no method is label-free.
    """
    found = {str(each): answer for each, answer in recommend(folder / FILE).items()}
    if not found:
        raise SweepError(f"{folder.name} has no finished trial of a method without target labels: name one by --cell")
    if pair is None and len(found) > 1:
        raise SweepError(f"{folder.name} has several pairs ({', '.join(found)}): say --pair or --cell")
    if pair is not None and pair not in found:
        raise SweepError(f"{folder.name} has no label-free result of {pair!r} (there are: {', '.join(found)})")
    return found[pair] if pair is not None else next(iter(found.values()))


@dataclass(frozen=True)
class _Cells:
    """The cells of an experiment's results.

    Attributes:
        experiment: as the ledger has it.
        checksums: domain → digest.
        criterion: that chooses.
        candidates: finished trials.
        chosen: one of them for each cell.
        names, long_names: of the cells; the long ones with the backbone.
        drawn: target → the labels that were drawn of it.
    """

    experiment: Mapping[str, Any]
    checksums: Mapping[str, str]
    criterion: str
    candidates: pd.DataFrame
    chosen: pd.DataFrame
    names: Sequence[str]
    long_names: Sequence[str]
    drawn: Mapping[str, Drawn]


def _cells(folder: Path) -> _Cells:
    with Ledger(folder / FILE) as ledger:
        experiment = ledger.meta("experiment") or {}
        checksums = ledger.meta("data", {}).get("checksums", {})
        candidates = selection.candidates(ledger)
        drawn = drawn_labels.decode(ledger.meta(drawn_labels.META))
    candidates = candidates[candidates["state"].isin(FINISHED)]
    criterion = experiment.get("criterion", selection.DEFAULT)
    chosen = selection.choose(candidates, criterion)
    cells = [trial.cell for trial in planned(chosen)]
    often = Counter(each.name for each in cells)
    long_names = [_long_name(each) for each in cells]
    names = [long if often[each.name] > 1 else each.name for each, long in zip(cells, long_names, strict=True)]
    return _Cells(experiment, checksums, criterion, candidates, chosen, names, long_names, drawn)


def _long_name(cell: Cell) -> str:
    return f"{cell.name}@{cell.protocol.backbone}"
