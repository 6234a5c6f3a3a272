"""Runs are passes: read the ledger, plan what is missing, one Tuner over it, again, until nothing is missing.

Resume, retries after running out of memory, and confirmation seeds are passes of this one loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

import transfer_sweep
from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.reports import drawn_labels
from transfer_sweep.reports.ledger.artefacts import remove_unfinished
from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.reports.ledger.records import Trial, TrialState, planned
from transfer_sweep.sweep import code_record, environment
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.engine.checkpoint_storage import open_storage, remove_checkpoints
from transfer_sweep.sweep.engine.cluster import Cluster
from transfer_sweep.sweep.engine.passes import Engine, PassEnd, TimeBudget
from transfer_sweep.sweep.engine.tuner import MAX_FAILURES
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import ensembles, strategies, trials
from transfer_sweep.sweep.planning.choosing import draw_labels, with_labels_given
from transfer_sweep.sweep.planning.data import DataRecord, dataset_of
from transfer_sweep.sweep.planning.filters import Filter
from transfer_sweep.sweep.planning.forecast import Forecast, forecast
from transfer_sweep.sweep.progress.live_view import ProgressPrinter
from transfer_sweep.sweep.resources.shares import Shares
from transfer_sweep.sweep.stopping.rungs import Rungs, replay, stoppable_cells

transfer_sweep.refuse_bare(__name__)


@dataclass(frozen=True)
class RunOptions:
    """How to run, none of which decides a result.

    Attributes:
        results: folder of all experiments' results.
        data_root: where the data sets lie; None where none is known.
        cache: folder for decoded images and features.
        only: which trials to run; the plan stays whole.
        fresh: forget what the ledger has of this plan first.
        storage: where trials save themselves, a folder or an address that fsspec knows; None: as in the run before,
            at first the results folder.
        tensorboard: write TensorBoard's files into the experiment's folder.
        skip_damaged: leave damaged pictures of the user's own out, and count them.
        minutes: after which to stop, with the best answer so far (a quarter of them at least is for trials, whatever
            data takes); None: when all is done.
        arguments: the same run as the command line has it, for the record; None: it is how this process was started.
    """

    results: Path
    data_root: Path | None
    cache: Path
    only: Filter = field(default_factory=Filter)
    fresh: bool = False
    storage: str | None = None
    tensorboard: bool = False
    skip_damaged: bool = False
    minutes: float | None = None
    arguments: Sequence[str] | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        states: trials by final state.
        interrupted: whether the user ended it before all was done.
        out_of_time: whether its minutes were over before all was done.
    """

    states: Mapping[TrialState, int]
    interrupted: bool
    out_of_time: bool = False

    @property
    def exit_code(self) -> int:
        """0 all done; 1 some trials failed; 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if any(state.lost for state in self.states) else 0


class Run:
    """One ``sweep run``: holds the ledger's lock while it lasts.

    Args:
        experiment: with its profile applied.
        options: how to run it.
        console: for messages and the live view.
        cluster: where trials run; a Ray on this machine if absent.

    Raises:
        SweepError: nothing is left to run, or no pair has its data.
    """

    def __init__(
        self, experiment: Experiment, options: RunOptions, console: Console, cluster: Cluster | None = None
    ) -> None:
        self.options, self.console = options, console
        self._controls: set[str] = set()
        self.folder = (options.results / experiment.name).absolute()
        self.dataset = dataset_of(
            experiment, options.data_root, options.cache, ProgressPrinter(console), options.skip_damaged
        )
        self.search, self.skipped = trials.present(experiment, trials.search(experiment), self.dataset)
        if not any(self._wanted(trial) for trial in self.search):
            raise SweepError(
                f"--only leaves no trial of {experiment.name}: no such method runs on such a pair, or data is missing"
            )
        self.experiment, self._choosing = with_labels_given(experiment, self.search, self.dataset)
        self.cluster = cluster or Cluster(console)
        self._data = DataRecord(experiment.name, self.dataset)
        self._given_up: set[str] = set()
        self._lost: Counter[str] = Counter()
        self._interrupted = False
        self._out_of_time = False
        self._budget: TimeBudget | None = None

    def execute(self) -> Outcome:
        """Run passes until nothing is missing.

        Raises:
            LedgerError: another driver runs this experiment, or the results folder cannot be written.
            DataError, SweepError: bad input; nothing is lost.
        """
        experiment, options = self.experiment, self.options
        self._budget = None if options.minutes is None else TimeBudget(options.minutes)
        if self._choosing:
            self._say(self._choosing)
        drawn = draw_labels(experiment, self.search, self.dataset)
        with Ledger(self.folder / FILE, write=True) as ledger:
            if options.fresh:
                ledger.forget(self._of_plan(ledger))
            for line in code_record.changed(ledger, trials.with_controls(experiment)):
                self._say(line)
            self._record(ledger)
            self._data.check(ledger, self.wanted())  # data that changed is said before "done", too
            ledger.set_meta(drawn_labels.META, {target: labels.encode() for target, labels in drawn.items()})
            storage = open_storage(ledger, options.storage, options.results, experiment.name, self._say)
            engine = Engine(
                experiment,
                self.dataset,
                ledger,
                storage,
                self.cluster,
                self.console,
                options.cache,
                options.tensorboard,
            )
            while True:
                plan, controls = strategies.grid(experiment, self.search, ledger, self._given_up, self._wanted)
                self._controls = {trial.id for chosen, own in controls.items() if self._wanted(chosen) for trial in own}
                ledger.set_plan(plan)
                ledger.set_meta(
                    "controls", {chosen.id: [trial.id for trial in own] for chosen, own in controls.items()}
                )
                if self._interrupted or self._out_of_time or not self._missing(plan, ledger.states()):
                    break
                self._pass(ledger, engine, plan)
                remove_checkpoints(ledger, storage)
            ledger.set_plan(plan)  # what an interruption left running is pending again
            remove_checkpoints(ledger, storage)
            remove_unfinished(self.folder)
            final = ledger.states()
            if not (self._interrupted or self._out_of_time):
                ensembles.record(ledger, self.dataset)
        counts = Counter(final[trial.id] for trial in plan if self._wanted(trial))
        unfinished = bool(self._missing(plan, final))
        return Outcome(counts, self._interrupted and unfinished, self._out_of_time and unfinished)

    def _pass(self, ledger: Ledger, engine: Engine, plan: Sequence[Trial]) -> None:
        experiment = self.experiment
        rungs = Rungs(experiment.early_stopping, stoppable_cells(self.search))
        replay(ledger, plan, rungs, experiment.stopping_criterion)
        todo = self._missing(plan, ledger.states())
        if todo:
            if self._budget is not None:
                todo = strategies.best_first(todo)
            wanted = [trial for trial in plan if self._wanted(trial)]
            self._learn(ledger, todo, engine.run_pass(wanted, todo, rungs, self._budget))

    def _learn(self, ledger: Ledger, todo: Sequence[Trial], end: PassEnd) -> None:
        """What failed is not tried again by this run; what ran out of memory is, with twice the share.

        What lost its process before it had begun is, too, as often as Tune would.
        """
        self._interrupted, self._out_of_time = end.interrupted, end.out_of_time
        self._lost.update(end.lost)
        for key in (trial.id for trial in todo):
            state = end.ended.get(key)
            if key in end.enlarged:
                continue
            if state is None:
                again = end.interrupted or end.out_of_time or (key in end.lost and self._lost[key] <= MAX_FAILURES)
                if not again:
                    # Or Tune gave the trial up without a word (it never does, as far as we know): do not loop on it.
                    ledger.finish(key, TrialState.FAILED, "the trial ended without a result")
                    self._given_up.add(key)
            elif state.lost:
                self._given_up.add(key)

    def forecast(self) -> Forecast:
        """How long it will take: the data is prepared as for the run, and a little of every method is timed.

        Raises:
            DataError, BackboneError: data or weights are missing or damaged.
        """
        states = self.states()
        todo = [t for t in self.search if self._wanted(t) and not states.get(t.id, TrialState.PENDING).finished]
        shares = self.shares()
        slots = self.cluster.slots({shares.of(trial) for trial in todo})
        return forecast(self.experiment, todo, self.dataset, self.options.cache, ProgressPrinter(self.console), slots)

    def shares(self) -> Shares:
        """What trials take, as far as it is known before they run."""
        wanted, gpus, path = self.experiment.resources, self.cluster.gpus(), self.folder / FILE
        if not path.exists():
            return Shares(wanted, gpus)
        with Ledger(path) as ledger:
            return Shares(wanted, gpus, ledger, self.options.fresh)

    def states(self) -> dict[str, TrialState]:
        """Trial id → state before this run; empty where there is no ledger yet, or it is to be forgotten."""
        path = self.folder / FILE
        if self.options.fresh or not path.exists():
            return {}
        with Ledger(path) as ledger:
            return ledger.states()

    def wanted(self) -> list[Trial]:
        """The search trials that this run is to see finished."""
        return [trial for trial in self.search if self._wanted(trial)]

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def _of_plan(self, ledger: Ledger) -> list[str]:
        """The ids of trials that are part of this run, of former plans too; and of the controls of those."""
        own = [
            trial.id
            for trial in planned(ledger.trials(everything=True))
            if trial.role != "control"
            and trial.method in self.experiment.methods
            and self.options.only.keeps(trial.method, trial.pair)
        ]
        controls = ledger.meta("controls", {})
        return list(dict.fromkeys([*own, *(key for trial in own for key in controls.get(trial, []))]))

    def _wanted(self, trial: Trial) -> bool:
        if trial.id in self._controls:
            return True
        return trial.role != "control" and self.options.only.keeps(trial.method, trial.pair)

    def _missing(self, plan: Sequence[Trial], states: Mapping[str, TrialState]) -> list[Trial]:
        return [t for t in plan if self._wanted(t) and not states[t.id].finished and t.id not in self._given_up]

    def _record(self, ledger: Ledger) -> None:
        methods = {name: method_registry.get(name) for name in self.experiment.methods}
        ledger.set_meta(
            "experiment",
            {
                **self.experiment.model_dump(mode="json"),
                "label_access": {name: method.label_access for name, method in methods.items()},
                "family": {name: method.family for name, method in methods.items()},
                "citations": {name: method.source for name, method in methods.items()},
                "paper_settings": {name: method.paper_settings for name, method in methods.items()},
                "discriminators": {
                    name: {
                        "loss": method.discriminator.loss,
                        "number": len(self.dataset.classes) if method.discriminator.per_class else 1,
                    }
                    for name, method in methods.items()
                    if method.discriminator is not None
                },
                "bounds": {name: method.params_type.bounds() for name, method in methods.items()},
                "dataset_source": self.dataset.source,
                "skipped": self.skipped,
            },
        )
        ledger.set_meta("profile", self.experiment.profile)
        ledger.add_environment(
            environment.record(self.options.arguments) | code_record.code_digests(trials.with_controls(self.experiment))
        )
