"""What a pass of an experiment is to run: the whole grid and, of cells whose search is complete, more seeds."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

import pandas as pd

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Cell, Trial, TrialState
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.planning import trials


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """Trials in an order that leaves the best answer so far wherever it is cut off.

    Every cell gets a trial before any gets its second one, and its method's own defaults, where they are among its
    params, before other values.
    """
    cells: dict[Cell, list[Trial]] = defaultdict(list)
    for trial in trials:
        cells[trial.cell].append(trial)
    defaults = {cell.method: method_registry.get(cell.method).params_type().encode() for cell in cells}
    ordered = [sorted(own, key=lambda trial: trial.params != defaults[trial.method]) for own in cells.values()]
    return [trial for turn in itertools.zip_longest(*ordered) for trial in turn if trial is not None]


class Plan(NamedTuple):
    """What an experiment is to run as far as that is known.

    Attributes:
        trials: each once.
        controls: of a chosen trial, which of them are its controls.
    """

    trials: list[Trial]
    controls: dict[Trial, list[Trial]]


def grid(
    experiment: Experiment,
    search: Sequence[Trial],
    ledger: Ledger,
    given_up: Container[str],
    wanted: Callable[[Trial], bool] = lambda _: True,
) -> Plan:
    """The search trials and, for the cells whose search is complete, more seeds of what it chose, and its controls.

    Where what chooses compares the trials of a pair, that search is complete with the whole pair's.

    Args:
        experiment: for its confirmation and its criterion.
        search: its search trials.
        ledger: what ran so far.
        given_up: trials that failed in this run, which does not try them again.
        wanted: which of the search this run is to see finished; the others hold up no choice among a pair's trials.
    """
    states = ledger.states()
    waiting = {
        trial.cell
        for trial in search
        if not states.get(trial.id, TrialState.PENDING).finished and trial.id not in given_up
    }
    complete = {trial.id for trial in search if trial.cell not in waiting}
    if experiment.confirm.settings == "chosen":
        pairs = {trial.pair for trial in search if trial.cell in waiting and wanted(trial)}
        complete -= {trial.id for trial in search if trial.pair in pairs and _compares_over_pair(experiment, trial)}
    found = selection.reported(ledger, everything=True)  # a control of a former plan may be of the search now
    found = found[found["id"].isin(complete)].assign(role="search")
    chosen = _chosen(experiment, found)
    controls = trials.controls(experiment, chosen)
    planned = [*search, *trials.confirmation(experiment, chosen), *itertools.chain.from_iterable(controls.values())]
    once: dict[str, Trial] = {}
    for trial in planned:  # methods share controls, and one may be a trial of the search
        once.setdefault(trial.id, trial)
    return Plan(list(once.values()), controls)


def _compares_over_pair(experiment: Experiment, trial: Trial) -> bool:
    return selection.compares_over_pair(experiment.criterion, method_registry.get(trial.method).family)


def _chosen(experiment: Experiment, candidates: pd.DataFrame) -> pd.DataFrame:
    """Of which trials there are to be more seeds and controls: the chosen ones, or all, as the experiment says."""
    confirm = experiment.confirm
    if candidates.empty or (confirm.seeds == 1 and not confirm.controls):
        return candidates.iloc[:0]
    if confirm.settings == "all":
        return selection.eligible(candidates)
    return selection.choose(candidates, experiment.criterion)
