"""The data of an experiment: which it is, and whether it is what it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.datasets.base import Dataset, Domain, Progress, checksum
from transfer_sweep.datasets.own_images import OwnImages
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.errors import SweepError


def dataset_of(
    experiment: Experiment,
    root: Path | None,
    cache: Path | None = None,
    progress: Progress | None = None,
    skip_damaged: bool = False,
) -> Dataset:
    """The experiment's dataset, over a data root or at the user's own paths.

    Args:
        experiment: for its dataset, options and paths.
        root: where data sets lie; None where none is known.
        cache: folder in which decoded arrays may be kept.
        progress: told of long work.
        skip_damaged: leave damaged pictures of the user's own out, and count them.

    Raises:
        DataError: the user's own data cannot be read, or is no task.
    """
    cls = dataset_registry.get(experiment.dataset)
    options = cls.options_type.model_validate(experiment.dataset_options)
    paths = {domain: Path(path) for domain, path in experiment.paths.items()}
    if issubclass(cls, OwnImages):
        return cls(None, options, cache, progress, paths, skip_damaged)
    return cls(root if cls.needs_root else None, options, cache, progress, paths)


class DataRecord:
    """Records what the data of trials was, and refuses other data beside the results that there are.

    Args:
        experiment: its name.
        dataset: its data.
    """

    def __init__(self, experiment: str, dataset: Dataset) -> None:
        self._experiment, self._dataset = experiment, dataset
        self._checked: set[str] = set()

    def check(self, ledger: Ledger, trials: Sequence[Trial]) -> None:
        """Look at the domains of these trials, each once in a run.

        Raises:
            SweepError: a domain is not what it was when this ledger's trials ran.
            DataError: a file is missing or damaged.
        """
        options = self._dataset.options.encode()
        known = ledger.meta("data", {})
        if known.get("options") != options or not any(state.finished for state in ledger.states().values()):
            known = {"options": options, "checksums": {}}
        known.setdefault("samples", {})
        for domain in sorted({domain for trial in trials for domain in trial.pair} - self._checked):
            loaded = self._dataset.load(domain)
            found = checksum(loaded)
            if known["checksums"].setdefault(domain, found) != found:
                raise SweepError(
                    f"{self._dataset.name}/{domain} is not what it was when trials of {self._experiment} ran "
                    f"(checksum {found}, then {known['checksums'][domain]}): put it back, or use another --results"
                )
            known["samples"][domain] = self._counts(loaded)
            self._checked.add(domain)
        ledger.set_meta("data", known)

    def _counts(self, domain: Domain) -> dict[str, Any]:
        """How many samples a domain has, and with a label of which class."""
        samples = domain.train
        by_class = np.bincount(samples.labels[samples.labelled], minlength=len(self._dataset.classes))
        return {"total": len(samples), "by_class": by_class.tolist()}
