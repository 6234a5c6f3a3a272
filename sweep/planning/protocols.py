"""From the protocol that an experiment file asks for to those under which a method's cells run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.algorithms.representations.msda import MSDAParams
from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.datasets.base import Dataset
from transfer_sweep.reports.ledger.records import FewLabels, Protocol
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.errors import SweepError


def protocols_of(experiment: Experiment, method: type[Algorithm]) -> Iterator[Protocol]:
    """The protocols under which a method's cells run: one for each few-label setting.

    Shallow methods work on vectors: on the frozen features of a pretrained backbone, or on the dataset's own.

    Raises:
        SweepError: a file of weights cannot be read.
    """
    dataset = dataset_registry.get(experiment.dataset)
    wanted = experiment.protocol
    backbone, training = wanted.backbone or dataset.raw_backbone, wanted.training
    if method.family == "shallow":
        training = "frozen" if training in ("frozen", "finetune") else "raw"
        backbone = backbone if training == "frozen" else dataset.raw_backbone
    options = dataset.options_type.model_validate(experiment.dataset_options).encode()
    # What changes the vectors and nothing else stands beside the backbone: such numbers may share a table.
    inputs = {name: options.pop(name) for name in dataset.input_options} if training == "raw" else {}
    if wanted.msda is not None and training == "raw":
        inputs["msda"] = wanted.msda.encode()
    for few in _few_labels(experiment, method):
        yield Protocol(
            backbone="_".join([backbone, *_changes(dataset, inputs)]),
            training=training,
            weights=_digest(wanted.weights) if wanted.weights and training in ("frozen", "finetune") else None,
            options=options,
            inputs=inputs,
            holdout=dataset.holdout if wanted.holdout is None else wanted.holdout,
            transductive=dataset.transductive,
            profile=experiment.profile,
            few=few,
            version=method.version,
            target_classes=wanted.target_classes,
        )


def _few_labels(experiment: Experiment, method: type[Algorithm]) -> Iterator[FewLabels | None]:
    """The few-label settings of a method; None is the one without labels, and that of all target training labels."""
    wanted = experiment.protocol
    if method.label_access == "target_train":
        yield None
        return
    for count in wanted.label_counts:
        if count or (wanted.source and method.label_access != "few"):
            few = FewLabels(count, wanted.target_labelled_classes, wanted.source)
            yield few if count or few.classes else None


def _changes(dataset: type[Dataset], inputs: Mapping[str, Any]) -> Iterator[str]:
    """What tells inputs from the dataset's usual ones, as names of backbones have it: ``tfidf``, ``msda``."""
    usual = dataset.options_type().model_dump(mode="json")
    yield from (str(value) for name, value in inputs.items() if name in usual and value != usual[name])
    if "msda" in inputs:
        yield "msda"
        standard = MSDAParams().model_dump(mode="json")
        for name, value in inputs["msda"].items():
            if name != "rotate" and value != standard[name]:
                yield f"{name}{value:g}"


def _digest(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise SweepError(f"protocol.weights: {path} cannot be read: {error.strerror}") from None
