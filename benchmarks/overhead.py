"""What a trial costs beyond its own work: no-op trials through the whole run, against a plain loop and Tune's defaults.

``python -m benchmarks.overhead [--trials 1000]``
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from ray import tune
from rich.console import Console
from tabulate import tabulate

from transfer_sweep.algorithms.base import Algorithm, DomainRole, Params, Prediction, StateDict
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.engine import tuner
from transfer_sweep.sweep.engine.trainable import TransferTrial
from transfer_sweep.sweep.runner import Run, RunOptions
from transfer_sweep.sweep.trial import inputs
from transfer_sweep.sweep.trial.scoring import Scored
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

CELLS = 10
EXPERIMENT = """
dataset: offline_digits
dataset_options: {train: 100, test: 50}
pairs: [rendered-photo]
early_stopping: {scheduler: none}
methods:
  nearest_neighbor: {}
"""


class NoOp(Algorithm):
    """Learns nothing, predicts at random: what is left is the cost of being a trial."""

    name = "noop"
    family = "shallow"
    source = "none"

    def fit_epoch(self) -> dict[str, float]:
        """Nothing."""
        return {}

    def predict(self, inputs: Any, domain: DomainRole = "target") -> Prediction:
        """Random logits."""
        rng = np.random.default_rng(self.seed)
        logits = rng.normal(size=(len(inputs), self.task.num_classes)).astype(np.float32)
        return Prediction(logits, logits)

    def state_dict(self) -> StateDict:
        """Empty."""
        return {}

    def load_state_dict(self, state: StateDict) -> None:
        """Nothing."""


class NoOpTrial(TransferTrial):
    """The real Trainable around a method that does nothing."""

    def _build(self) -> None:
        # Whatever the method is: the cheapest to build brings the task and the scoring.
        trial = self._spec.trial
        cheapest = dataclasses.replace(
            trial, cell=dataclasses.replace(trial.cell, method="nearest_neighbor"), params={}
        )
        model, self._scoring = self._shared.build(cheapest, self._device, self._domains)
        self._model = NoOp(model.task, Params(), seed=trial.seed)


class QuickTrial(NoOpTrial):
    """Made-up numbers for criteria that need features or further passes: what is left is the driver's part."""

    def _build(self) -> None:
        super()._build()
        scoring, draw = self._scoring, np.random.default_rng(int(self._spec.trial.id, 16))

        def quick(model: Algorithm, **_: bool) -> Scored:
            scored: Scored = scoring(model)
            made_up = {each.key: float(draw.random()) for each in selection.PER_TRIAL.values()}
            return dataclasses.replace(scored, criteria=made_up | scored.criteria)

        self._scoring = quick


def tune_defaults(trials: int) -> float:
    """Seconds per trial of Tune as it comes: a function that reports once."""

    def noop(config: dict[str, Any]) -> None:
        tune.report({"score": config["i"]})

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        tune.Tuner(
            noop,
            param_space={"i": tune.grid_search(list(range(trials)))},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        return (time.perf_counter() - started) / trials


def plain_loop(run: Run, trials: int) -> float:
    """Seconds per trial of the same build and scoring in a bare loop."""
    keys = inputs.wanted(run.search)
    found = inputs.load(run.dataset, keys, run.options.cache, lambda *_: None)
    config = TaskConfig(run.experiment.epochs, len(run.dataset.classes))
    started = time.perf_counter()
    for trial in run.search[:trials]:
        source, target = (found[domain, trial.representation] for domain in trial.pair)
        nearest, scoring = build_trial(trial, source, target, config, "cpu")
        model = NoOp(nearest.task, Params(), seed=trial.seed)
        model.fit_epoch()
        scoring(model)
    return (time.perf_counter() - started) / trials


def arrivals(path: Path) -> list[float]:
    """Times at which trials ended, in order."""
    with Ledger(path) as ledger:
        return sorted(ledger.trials()["finished_at"])


def main() -> None:
    """Print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "noop.yaml"
        file.write_text(EXPERIMENT)
        console = Console(stderr=True)
        run = Run(loader.load(str(file)), RunOptions(folder / "results", None, folder / "cache"), console)
        (trial,) = run.search
        run.search = [dataclasses.replace(trial, id=f"{i:016x}", seed=i) for i in range(trials)]
        loop = plain_loop(run, min(trials, 200))
        started = time.perf_counter()
        with patch.object(tuner, "TransferTrial", NoOpTrial):
            run.execute()
        whole = time.perf_counter() - started
        ends = arrivals(run.folder / FILE)
        half = len(ends) // 2
        first, second = ends[half] - ends[10], ends[-1] - ends[half]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        few = max(10, trials // 25)
        # As it comes: what our run switched off for itself is on again.
        for key in ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "TUNE_GLOBAL_CHECKPOINT_S", "RAY_CHDIR_TO_TRIAL_DIR"):
            os.environ.pop(key, None)
        default = tune_defaults(few)
    steady = (ends[-1] - ends[10]) / (trials - 11)
    rows = [
        ["plain loop (build, no-op, scoring)", loop * 1e3, 1.0],
        [f"sweep run, {trials} trials, once warm", steady * 1e3, steady / loop],
        ["… first half", first / (half - 10) * 1e3, first / (half - 10) / loop],
        ["… second half", second / (len(ends) - half - 1) * 1e3, second / (len(ends) - half - 1) / loop],
        ["… whole run, Ray's start included", whole / trials * 1e3, whole / trials / loop],
        [f"Tune's defaults, {few} trials", default * 1e3, default / loop],
    ]
    print(tabulate(rows, ["no-op trials", "ms per trial", "× plain loop"], "github", floatfmt=".2f"))
    print(f"\ndriver's peak memory: {memory:.2f} GiB")


if __name__ == "__main__":
    main()
