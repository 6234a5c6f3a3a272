"""From an experiment to its trials: pairs × methods × params × seeds, each with an identity of its own."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from pydantic import ValidationError

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm, Params, TrainingError
from transfer_sweep.algorithms.deep._base import DeepMethod
from transfer_sweep.datasets.base import Dataset
from transfer_sweep.reports.ledger.records import Cell, Pair, Protocol, Role, Trial, TrialState, canonical, planned
from transfer_sweep.sweep.config.schema import Experiment, MethodEntry
from transfer_sweep.sweep.config.validation import domains_of, parse_pair
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning.protocols import protocols_of


def search(experiment: Experiment) -> list[Trial]:
    """The search trials, interleaved across cells: every cell gets its first trial before any gets its second.

    Inside a cell they come in an order drawn from the seed. A grid in its own order often climbs, from a small
    learning rate to a large one, and asynchronous halving stops none of those who arrive as the best so far.

    Raises:
        SweepError: params that do not go together.
    """
    cells: list[list[Trial]] = []
    for name, entry, _ in experiment.entries():
        method, own = method_registry.get(name), experiment.under(entry)
        settings = configurations(name, entry, experiment.seed)
        for protocol in protocols_of(own, method):
            for pair in _scored_pairs(method, protocol, pairs_of(own)):
                cell = Cell(experiment.dataset, name, pair, protocol)
                order = _generator(experiment.seed, f"{name} {pair.source} {pair.target}").permutation(len(settings))
                cells.append([plan_trial(experiment, cell, settings[i], experiment.seed, "search") for i in order])
    rounds = itertools.zip_longest(*cells)
    trials = {trial.id: trial for group in rounds for trial in group if trial is not None}
    return list(trials.values())  # entries of a method that overlap plan a trial once


def present(experiment: Experiment, trials: Sequence[Trial], dataset: Dataset) -> tuple[list[Trial], dict[str, str]]:
    """The trials whose data is there, and what the others lack.

    Args:
        experiment: which names its pairs, or runs on all that can be.
        trials: its search trials.
        dataset: its data.

    Returns:
        ``(trials, skipped)``; ``skipped`` is pair (or method and pair) → why, such as "svhn lacks …: `python -m sweep
        data fetch …`".

    Raises:
        SweepError: no pair's data is there, or a pair that the experiment names cannot be.
        DataError: the user's own data cannot be read.
    """
    skipped: dict[str, str] = {}
    kept: list[Trial] = []
    lacking = {pair: _lacking(dataset, pair) for pair in dict.fromkeys(trial.pair for trial in trials)}
    skipped |= {str(pair): why for pair, why in lacking.items() if why is not None}
    for trial in trials:
        target, method = trial.pair.target, method_registry.get(trial.method)
        if lacking[trial.pair] is not None:
            continue
        by_labels = trial.protocol.few is not None or method.label_access == "target_train"
        if by_labels and not dataset.wholly_labelled(target):
            skipped[f"{trial.method} {trial.pair}"] = f"it learns from labels of {target}, of which some are missing"
        else:
            kept.append(trial)
    if trials and not kept:
        raise SweepError(f"no pair has its data: {'; '.join(dict.fromkeys(skipped.values()))}")
    if dataset.of_user and experiment.pairs != "all" and skipped:
        name, why = next(iter(skipped.items()))
        raise SweepError(f"{name}: {why}")
    return kept, skipped


def _lacking(dataset: Dataset, pair: Pair) -> str | None:
    """Why there is no learning from a source for a target; None where there is."""
    for domain in pair:
        if (why := dataset.lacking(domain)) is not None:
            return why
    if pair.source == pair.target:
        return None
    learned = set(dataset.known_classes(pair.source))
    if len(learned) < 2:
        found = f"only {learned.pop()}" if learned else "no labels"
        return f"{pair.source} cannot be a source: it needs samples of two classes or more, and has {found}"
    if unknown := sorted(set(dataset.known_classes(pair.target)) - learned):
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        return (
            f"{pair.target} has classes that {pair.source} lacks, which nothing can learn from it: "
            f"{', '.join(unknown[:5])}{more}; take them out, or add samples of them to {pair.source}"
        )
    return None


def confirmation(experiment: Experiment, chosen: pd.DataFrame) -> list[Trial]:
    """More seeds for the params of trials.

    As many whole runs as the experiment wants seeds. The search's own counts among them unless it was stopped early,
    for then it is shorter than they are. A method for which :func:`varies` does not hold has one.

    Args:
        experiment: for its seeds.
        chosen: the trials, of cells whose search is complete: rows of
            :func:`transfer_sweep.reports.selection.candidates`.
    """
    if experiment.confirm.seeds == 1 or chosen.empty:
        return []
    trials: list[Trial] = []
    for trial, state in zip(planned(chosen), chosen["state"], strict=True):
        method = method_registry.get(trial.method)
        if not varies(method, trial.protocol):
            continue
        params = method.params_type.decode(trial.params)
        seeds = experiment.confirm.seeds + (state == TrialState.STOPPED)
        trials += [
            plan_trial(experiment, trial.cell, params, seed, "confirm")
            for seed in range(experiment.seed + 1, experiment.seed + seeds)
        ]
    return trials


def controls(experiment: Experiment, chosen: pd.DataFrame) -> dict[Trial, list[Trial]]:
    """The controls of chosen trials, see :meth:`Algorithm.control`: whole runs, with the seeds of its own.

    Args:
        experiment: for its seeds.
        chosen: as for :func:`confirmation`.

    Returns:
        The chosen trial → its controls. None has those whose batch norm sees no target. Methods that differ in their
        loss alone share theirs; those of ``adabn`` are its own runs.
    """
    if not experiment.confirm.controls or chosen.empty or experiment.confirm.settings == "all":
        return {}
    found: dict[Trial, list[Trial]] = {}
    for trial, state in zip(planned(chosen), chosen["state"], strict=True):
        method, protocol = method_registry.get(trial.method), trial.protocol
        control = method.control(method.params_type.decode(trial.params), protocol.backbone, protocol.training)
        if control is None:
            continue
        name, shared = control
        params = method_registry.get(name).params_type.model_validate(shared)
        version = method_registry.get(name).version
        cell = replace(trial.cell, method=name, protocol=replace(protocol, version=version))
        first = experiment.seed + (state == TrialState.STOPPED and experiment.confirm.seeds > 1)
        seeds = range(first, first + experiment.confirm.seeds)
        found[trial] = [plan_trial(experiment, cell, params, seed, "control") for seed in seeds]
    return found


def with_controls(experiment: Experiment) -> list[str]:
    """The methods of an experiment, and those that their controls are trials of."""
    methods = list(experiment.methods)
    if experiment.confirm.controls and experiment.confirm.settings == "chosen":
        classes = map(method_registry.get, experiment.methods)
        methods += [each.controlled_by for each in classes if issubclass(each, DeepMethod)]
    return list(dict.fromkeys(methods))


def varies(method: type[Algorithm], protocol: Protocol) -> bool:
    """Whether seeds differ: not those of a deterministic method on samples of which none are drawn."""
    drawn = bool(protocol.holdout) or protocol.few is not None or protocol.options.get("draw") == "by_seed"
    return drawn or not method.deterministic


def plan_trial(experiment: Experiment, cell: Cell, params: Params, seed: int, role: Role) -> Trial:
    """A trial, its id a hash of everything that decides its result.

    Raises:
        SweepError: the experiment's epochs are too few for the method.
    """
    resolved = params.encode()
    try:
        budget = method_registry.get(cell.method).budget(params, experiment.epochs)
    except TrainingError as error:
        raise SweepError(f"epochs: {error}") from error
    identity = {
        "dataset": cell.dataset,
        "protocol": cell.protocol.identity(),
        "pair": list(cell.pair),
        "method": cell.method,
        "params": resolved,
        "epochs": budget,
        "seed": seed,
    }
    key = hashlib.sha256(canonical(identity).encode()).hexdigest()[:16]
    return Trial(key, role, cell, resolved, seed, budget)


def pairs_of(experiment: Experiment) -> list[Pair]:
    """The pairs of an experiment, each once."""
    domains = domains_of(experiment)
    if experiment.pairs == "all":
        return [Pair(*both) for both in itertools.permutations(domains, 2)]
    return list(dict.fromkeys(parse_pair(written, domains, "pairs") for written in experiment.pairs))


def _scored_pairs(method: type[Algorithm], protocol: Protocol, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of a method; one that trains on the target alone runs once per target, as target → target."""
    if not method.uses_source or (protocol.few is not None and not protocol.few.source):
        return [Pair(target, target) for target in dict.fromkeys(pair.target for pair in pairs)]
    return list(pairs)


def configurations(method: str, entry: MethodEntry, seed: int) -> list[Params]:
    """The params that an entry asks for: the grid of its lists, or ``samples`` draws; equal ones once.

    Draws depend on the seed and the method's name alone, so that adding a method changes no other's.

    Args:
        method: the entry's.
        entry: what the experiment's file says of it.
        seed: the experiment's.

    Raises:
        SweepError: params that do not go together.
    """
    params_type = method_registry.get(method).params_type
    unique: dict[str, Params] = {}
    for point in entry.points(_generator(seed, method)):
        try:
            params = params_type.model_validate(point)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise SweepError(f"methods.{method}: {problem} (params {canonical(point)})") from None
        unique.setdefault(params.model_dump_json(), params)
    return list(unique.values())


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4])])
