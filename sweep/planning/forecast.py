"""How long a run will take: a little of every method is timed, and early stopping is played with random scores."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import StateDict
from transfer_sweep.datasets.base import Domain
from transfer_sweep.reports.ledger.ledger import TrialRow
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.engine.scheduler import Rungs
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.trial import task as tasks
from transfer_sweep.sweep.trial.inputs import representation

STEPS = 8  # of an epoch that are timed
CONFIGURATIONS = 3  # of a method that are timed: the first, the middle and the last of its grid
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
    thorough: float


def forecast(
    experiment: Experiment,
    rows: Sequence[TrialRow],
    domains: Mapping[tuple[str, str], Domain],
    num_classes: int,
    slots: int,
    pretrained: Mapping[str, StateDict] | None = None,
    device: str = "cpu",
) -> Forecast:
    """Time every method on its largest pair and add up the plan.

    Early stopping is what :class:`Rungs` decides of random scores, and confirmation takes the whole
    budget. Other pairs are taken to cost in proportion to the samples that a method goes through in an epoch.

    Args:
        experiment: for its budget, early stopping and confirmation.
        rows: the search trials to come.
        domains: (domain, representation) → its arrays, of all rows.
        num_classes: of the dataset.
        slots: trials at a time.
        pretrained: backbone → its weights, for fine-tuning.
        device: of the deep methods.
    """
    by_method: dict[tuple[str, str], list[TrialRow]] = defaultdict(list)
    for row in rows:
        by_method[row.method, row.protocol].append(row)  # inputs of another kind cost something else
    rungs = Rungs(experiment.early_stopping, plan.stoppable_cells(rows))
    chance = random.Random(0)
    spent: dict[str, float] = defaultdict(float)
    for (method, _), trials in by_method.items():
        sizes = {row.id: _size(row, domains) for row in trials}
        largest = max(trials, key=lambda row: sizes[row.id])
        same_pair = [row for row in trials if (row.source, row.target) == (largest.source, largest.target)]
        timed = same_pair[:: max(1, (len(same_pair) - 1) // (CONFIGURATIONS - 1))][:CONFIGURATIONS]
        costs = [_measure(row, experiment, domains, num_classes, pretrained or {}, device) for row in timed]
        build, epoch, thorough = (sum(part) / len(costs) for part in zip(*costs, strict=True))
        confirmed = _confirmed(experiment, trials) if _varies(trials[0]) else ()
        epochs = [(row, _played(row, rungs, chance)) for row in trials]
        epochs += [(row, row.budget) for row in confirmed for _ in range(experiment.confirm.seeds - 1)]
        spent[method] += sum(
            build + TRIAL_SECONDS + (count * epoch + looks * thorough) * sizes[row.id] / sizes[largest.id]
            for row, count in epochs
            for looks in [len({count} | {rung for rung in rungs.epochs_of(row) if rung < count})]
        )
    return Forecast(spent, START_SECONDS + sum(spent.values()) / slots, slots)


def _played(row: TrialRow, rungs: Rungs, chance: random.Random) -> int:
    """Epochs of a trial whose scores are random."""
    for epoch in sorted(rungs.epochs_of(row)):
        if not rungs.keep_going(row, epoch, chance.random()):
            return epoch
    return row.budget


def _confirmed(experiment: Experiment, trials: Sequence[TrialRow]) -> Sequence[TrialRow]:
    """A trial for each that will be run with more seeds."""
    return trials if experiment.confirm.settings == "all" else list({row.cell: row for row in trials}.values())


def _varies(row: TrialRow) -> bool:
    return plan.varies(method_registry.get(row.method), json.loads(row.protocol))


def _size(row: TrialRow, domains: Mapping[tuple[str, str], Domain]) -> int:
    """Samples that an epoch goes through: the larger domain's for a deep method, both domains' for a shallow one."""
    form = representation(row)
    sizes = [len(domains[name, form].train) for name in (row.source, row.target)]
    return max(sizes) if method_registry.get(row.method).family == "deep" else sum(sizes)


def _measure(
    row: TrialRow,
    experiment: Experiment,
    domains: Mapping[tuple[str, str], Domain],
    num_classes: int,
    pretrained: Mapping[str, StateDict],
    device: str,
) -> _Cost:
    protocol = json.loads(row.protocol)
    cls = method_registry.get(row.method)
    weights = pretrained.get(protocol["backbone"]) if protocol["training"] == "finetune" else None
    form = representation(row)
    params = cls.params_type.model_validate_json(row.params)
    with threadpool_limits(1):
        started = time.perf_counter()
        model, scoring = tasks.build(
            cls,
            params,
            domains[row.source, form],
            domains[row.target, form],
            tasks.setting_of(row, experiment.epochs, num_classes, weights, experiment.proxy_a_distance),
            device,
        )
        build = time.perf_counter() - started
        model.skip_to_last_stage()
        share = model.shorten_epoch(STEPS)
        if share < 1:
            model.fit_epoch()  # warms up
        trained = _timed(model.fit_epoch) / share
        scored = _timed(lambda: scoring(model))
        return _Cost(build, trained + scored, _timed(lambda: scoring(model, thorough=True)) - scored)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
