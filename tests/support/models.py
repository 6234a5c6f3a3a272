"""Models that are trained in a moment, on drawn samples, and saved as a run saves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.datasets.base import Domain, Samples
from transfer_sweep.reports.ledger.records import Cell, Pair, Protocol, Trial
from transfer_sweep.sweep.trial.model_files import Preparation, save_model
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

CLASSES = ("cup", "bowl", "jug", "pan", "pot")
PAIR = Pair("amazon", "webcam")


def vectors(n: int, width: int, seed: int, shift: float = 0.0, kind: type = np.float32) -> Samples:
    """Samples about a corner for each of :data:`CLASSES`, never negative."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    corners = np.random.default_rng(0).uniform(0, 3, (len(CLASSES), width))
    return Samples(np.abs(corners[labels] + shift + rng.normal(0, 0.3, (n, width))).astype(kind), labels)


def images(n: int, shape: tuple[int, int, int], seed: int) -> Samples:
    """Images of noise about a grey level for each of :data:`CLASSES`."""
    labels = np.arange(n) % len(CLASSES)
    noise = np.random.default_rng(seed).integers(0, 40, (n, *shape))
    return Samples((noise + 40 * labels[:, None, None, None]).astype(np.uint8), labels)


def domains(source: Samples, target: Samples, pair: Pair = PAIR) -> dict[str, Domain]:
    """Samples as the domains of a pair."""
    return {pair.source: Domain(pair.source, source), pair.target: Domain(pair.target, target)}


def trained(
    method: str,
    source: Samples,
    target: Samples,
    protocol: Protocol,
    dataset: str = "office31",
    params: Mapping[str, Any] | None = None,
    epochs: int = 2,
    pair: Pair = PAIR,
) -> tuple[Trial, Algorithm]:
    """A method trained on drawn samples, and the trial that it is."""
    kind = method_registry.get(method).params_type
    resolved = kind.model_validate(dict(params or {})).encode()
    trial = Trial(f"ab{method}", "search", Cell(dataset, method, pair, protocol), resolved, 0, epochs)
    config = TaskConfig(epochs, len(CLASSES))
    by_name = domains(source, target, pair)
    model, _ = build_trial(trial, by_name[pair.source], by_name[pair.target], config, "cpu")
    for _ in range(min(epochs, model.budget(model.params, epochs))):
        model.fit_epoch()
    return trial, model


def saved(folder: Path, trial: Trial, model: Algorithm, preparation: Preparation | None = None) -> Path:
    """The model's file."""
    return folder / save_model(folder, trial, trial.budget, model, preparation or Preparation(CLASSES))


def logits(model: Algorithm, inputs: NDArray[Any]) -> NDArray[np.float32]:
    """Of inputs."""
    return model.predict(inputs).logits
