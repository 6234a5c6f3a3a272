"""How long a run will take: a little of every method is timed, and early stopping is played with random scores."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from threadpoolctl import threadpool_limits

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.networks.backbones import load_pretrained
from transfer_sweep.datasets.base import Dataset, Domain, Progress
from transfer_sweep.reports.ledger.records import Cell, Protocol, Trial
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.planning import trials as planning
from transfer_sweep.sweep.stopping.rungs import Rungs, stoppable_cells
from transfer_sweep.sweep.trial import inputs
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

STEPS = 8  # of an epoch that are timed
TRIAL_SECONDS = 0.03  # what Tune and the ledger take for a trial (benchmarks/README.md)
START_SECONDS = 25.0  # of Ray and its workers


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to take.

    Attributes:
        core_seconds: of all trials, by method.
        seconds: of the whole run on ``slots`` trials at a time.
        slots: trials at a time.
    """

    core_seconds: Mapping[str, float]
    seconds: float
    slots: int


class _Cost(NamedTuple):
    """Seconds of one trial: once, per epoch, and where every criterion is computed."""

    build: float
    epoch: float
    all_criteria: float


def forecast(
    experiment: Experiment, trials: Sequence[Trial], dataset: Dataset, cache: Path, progress: Progress, slots: int
) -> Forecast:
    """Time every method on its largest pair (the first, the middle and the last trial there) and add up the plan.

    Early stopping is what :class:`Rungs` decides of random scores, and confirmation takes the whole budget. Other
    pairs are taken to cost in proportion to the samples that a method goes through in an epoch.

    Args:
        experiment: for its budget, early stopping and confirmation.
        trials: the search trials to come.
        dataset: their data, which is prepared as for the run.
        cache: folder for features.
        progress: told of slow work.
        slots: trials at a time.

    Raises:
        DataError, BackboneError: data or weights are missing or damaged.
    """
    stopwatch = _Stopwatch(experiment, trials, dataset, cache, progress)
    by_method: dict[tuple[str, Protocol], list[Trial]] = defaultdict(list)
    for trial in trials:
        by_method[trial.method, trial.protocol].append(trial)  # inputs of another kind cost something else
    rungs = Rungs(experiment.early_stopping, stoppable_cells(trials))
    chance = random.Random(0)
    spent: dict[str, float] = defaultdict(float)
    for (method, protocol), own in by_method.items():
        sizes = {trial.id: stopwatch.size(trial) for trial in own}
        largest = max(own, key=lambda trial: sizes[trial.id])
        same_pair = [trial for trial in own if trial.pair == largest.pair]
        timed = [same_pair[place] for place in dict.fromkeys((0, len(same_pair) // 2, len(same_pair) - 1))]
        costs = [stopwatch.cost(trial) for trial in timed]
        build, epoch, all_criteria = (sum(part) / len(costs) for part in zip(*costs, strict=True))
        confirmed = _confirmed(experiment, own) if planning.varies(method_registry.get(method), protocol) else ()
        epochs = [(trial, _played(trial, rungs, chance)) for trial in own]
        epochs += [(trial, trial.budget) for trial in confirmed for _ in range(experiment.confirm.seeds - 1)]
        spent[method] += sum(
            build + TRIAL_SECONDS + (count * epoch + looks * all_criteria) * sizes[trial.id] / sizes[largest.id]
            for trial, count in epochs
            for looks in [len({count} | {rung for rung in rungs.epochs_of(trial) if rung < count})]
        )
    return Forecast(spent, START_SECONDS + sum(spent.values()) / slots, slots)


def _played(trial: Trial, rungs: Rungs, chance: random.Random) -> int:
    """Epochs of a trial whose scores are random."""
    for epoch in sorted(rungs.epochs_of(trial)):
        if not rungs.keep_going(trial, epoch, chance.random()):
            return epoch
    return trial.budget


def _confirmed(experiment: Experiment, trials: Sequence[Trial]) -> Sequence[Trial]:
    """A trial for each that will be run with more seeds."""
    if experiment.confirm.settings == "all":
        return trials
    one_a_cell: dict[Cell, Trial] = {trial.cell: trial for trial in trials}
    return list(one_a_cell.values())


class _Stopwatch:
    """Times a little of trials, on one core."""

    def __init__(
        self, experiment: Experiment, trials: Sequence[Trial], dataset: Dataset, cache: Path, progress: Progress
    ) -> None:
        weights = experiment.protocol.weights_file
        self._experiment, self._classes = experiment, len(dataset.classes)
        self._domains: Mapping[tuple[str, str], Domain] = inputs.load(
            dataset, inputs.wanted(trials), cache, progress, weights
        )
        self._pretrained = {backbone: load_pretrained(backbone, weights) for backbone in inputs.fine_tuned(trials)}
        self._device = "cuda" if torch.cuda.is_available() else "cpu"

    def size(self, trial: Trial) -> int:
        """Samples that an epoch goes through: the larger domain's of a deep method, both domains' of a shallow one."""
        sizes = [domain.trained_on for domain in self._of(trial)]
        return max(sizes) if method_registry.get(trial.method).family == "deep" else sum(sizes)

    def _of(self, trial: Trial) -> tuple[Domain, Domain]:
        source, target = (self._domains[name, trial.representation] for name in trial.pair)
        return source, target

    def cost(self, trial: Trial) -> _Cost:
        """What a trial takes."""
        fine_tuned = trial.protocol.training == "finetune"
        config = TaskConfig(
            epochs=self._experiment.epochs,
            num_classes=self._classes,
            pretrained=self._pretrained[trial.protocol.backbone] if fine_tuned else None,
            proxy_a_distance=self._experiment.proxy_a_distance,
        )
        with threadpool_limits(1):
            started = time.perf_counter()
            model, scoring = build_trial(trial, *self._of(trial), config, self._device)
            build = time.perf_counter() - started
            model.skip_to_last_stage()
            share = model.shorten_epoch(STEPS)
            if share < 1:
                model.fit_epoch()  # warms up
            trained = _timed(model.fit_epoch) / share
            scored = _timed(lambda: scoring(model))
            return _Cost(build, trained + scored, _timed(lambda: scoring(model, all_criteria=True)) - scored)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
