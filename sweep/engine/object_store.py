"""Arrays and weights in Ray's object store, from where every process on a node reads the same copy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray

from transfer_sweep.algorithms.networks.backbones import load_pretrained
from transfer_sweep.datasets.base import Dataset, Progress
from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep.trial import inputs


class ObjectStore:
    """What the trials of a run need of data, each put once.

    Args:
        dataset: where domains come from.
        cache: folder for features.
        weights: a file of pretrained weights instead of the published ones.
        progress: told of slow work.
    """

    def __init__(self, dataset: Dataset, cache: Path, weights: Path | None, progress: Progress) -> None:
        self._dataset, self._cache, self._weights, self._progress = dataset, cache, weights, progress
        self._samples: dict[tuple[str, str], int] = {}
        self.domains: dict[tuple[str, str], ray.ObjectRef[Any]] = {}
        self.pretrained: dict[str, ray.ObjectRef[Any]] = {}

    def put(self, trials: Iterable[Trial]) -> None:
        """Put what these trials need and is not there yet.

        Raises:
            DataError: a file is missing or damaged.
            BackboneError: a backbone has no weights here.
        """
        trials = list(trials)
        missing = [key for key in inputs.wanted(trials) if key not in self.domains]
        for key, domain in inputs.load(self._dataset, missing, self._cache, self._progress, self._weights).items():
            test = domain.test
            parts = (
                domain.train.inputs,
                domain.train.labels,
                None if test is None else test.inputs,
                None if test is None else test.labels,
                domain.train_size,
            )
            self.domains[key] = ray.put(parts)
            self._samples[key] = domain.trained_on
        for backbone in inputs.fine_tuned(trials):
            if backbone not in self.pretrained:
                self.pretrained[backbone] = ray.put(load_pretrained(backbone, self._weights))

    def samples(self, trial: Trial) -> int:
        """Training samples that a trial has of both domains of its pair."""
        return sum(self._samples.get((domain, trial.representation), 0) for domain in trial.pair)
