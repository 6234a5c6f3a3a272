"""Runs are passes: read the ledger, plan what is missing, one Tuner over it, again, until nothing is missing.

Resume, retries after running out of memory, and confirmation seeds are passes of this one loop.
"""

from __future__ import annotations

import json
import os
import posixpath
import signal
import types
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from rich.console import Console

import transfer_sweep
from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.networks.backbones import BackboneError, load_pretrained
from transfer_sweep.datasets.base import Dataset
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.ledger import FILE, FINISHED, Ledger, TrialRow
from transfer_sweep.sweep import environment
from transfer_sweep.sweep.config.loader import load, profiles
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.engine.checkpoint_storage import Storage
from transfer_sweep.sweep.engine.cluster import Cluster
from transfer_sweep.sweep.engine.ledger_callback import Recorder, disk_full
from transfer_sweep.sweep.engine.metrics import Metrics, TensorBoard, hyperparameters
from transfer_sweep.sweep.engine.scheduler import CellASHA, InOrder, Rungs, looked_up_once, trial_id
from transfer_sweep.sweep.engine.trainable import Probe, Shared, TransferTrial, TrialSpec
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.planning.forecast import Forecast, forecast
from transfer_sweep.sweep.progress.run_state import Announcer, Board, View, best_of
from transfer_sweep.sweep.resources import gpu_memory as gpu
from transfer_sweep.sweep.resources import shares as resources
from transfer_sweep.sweep.trial import inputs as features
from transfer_sweep.sweep.trial import model_files as artefacts
from transfer_sweep.sweep.trial.model_files import Keeper

transfer_sweep.refuse_bare(__name__)

CHECKPOINTS = "checkpoints"
MAX_FAILURES = 3  # losses of a trial's process or node, each continued from its checkpoint


@dataclass(frozen=True)
class Settings:
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
    """

    results: Path
    data_root: Path | None
    cache: Path
    only: plan.Filter = field(default_factory=plan.Filter)
    fresh: bool = False
    storage: str | None = None
    tensorboard: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a run ended: trials by final state, and whether it was interrupted."""

    states: Mapping[str, int]
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """0 all done; 1 some trials failed; 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.states.get("failed", 0) + self.states.get("oom", 0) else 0


class Run:
    """One ``sweep run``: holds the ledger's lock while it lasts.

    Args:
        experiment: with its profile applied.
        settings: how to run it.
        console: for messages and the live view.
        cluster: where trials run; a Ray on this machine if absent.
    """

    trainable: type[TransferTrial] = TransferTrial
    memory = gpu.Memory()

    def __init__(
        self, experiment: Experiment, settings: Settings, console: Console, cluster: Cluster | None = None
    ) -> None:
        self.experiment, self.settings, self.console = experiment, settings, console
        self.folder = (settings.results / experiment.name).absolute()
        self.dataset: Dataset = plan.dataset_of(experiment, settings.data_root, settings.cache, Announcer(console))
        self.search, self.skipped = plan.present(plan.search(experiment), self.dataset)
        if not any(self._wanted(row) for row in self.search):
            raise SweepError(
                f"--only leaves no trial of {experiment.name}: no such method runs on such a pair, or data is missing"
            )
        self.cluster = cluster or Cluster(console)
        self._failed: set[str] = set()
        self._checked: set[str] = set()
        self._lost: Counter[str] = Counter()
        self._samples: dict[tuple[str, str], int] = {}
        self._arrays: dict[tuple[str, str], ray.ObjectRef] = {}
        self._pretrained: dict[str, ray.ObjectRef] = {}
        self._interrupted = False

    def execute(self) -> Outcome:
        """Run passes until nothing is missing.

        Raises:
            LedgerError: another driver runs this experiment, or the results folder cannot be written.
            DataError, SweepError: bad input; nothing is lost.
        """
        with Ledger(self.folder / FILE, write=True) as ledger:
            if self.settings.fresh:
                ledger.forget(ledger.ids(self._is_of_plan))
            self._record_run(ledger)
            self._open_storage(ledger)
            while True:
                rows = self._plan(ledger)
                states = ledger.states()
                todo = [r for r in rows if self._is_todo(r, states)]
                if not todo or self._interrupted:
                    break
                self._pass(ledger, rows, todo)
            ledger.set_plan(rows)  # what an interruption left running is pending again
            self._remove_checkpoints(ledger)
            artefacts.remove_unfinished(self.folder)
            final = ledger.states()
        counts: dict[str, int] = {}
        for row in rows:
            if self._wanted(row):
                counts[final[row.id]] = counts.get(final[row.id], 0) + 1
        unfinished = any(self._is_todo(row, final) for row in rows)
        return Outcome(counts, self._interrupted and unfinished)

    def forecast(self) -> Forecast:
        """How long it will take: the data is prepared as for the run, and a little of every method is timed.

        Raises:
            DataError, BackboneError: data or weights are missing or damaged.
        """
        states = {} if self.settings.fresh else open_states(self.folder / FILE)
        todo = [row for row in self.search if self._wanted(row) and states.get(row.id) not in FINISHED]
        weights = self.experiment.protocol.weights
        path = Path(weights) if weights else None
        tuned = {p["backbone"] for p in (json.loads(row.protocol) for row in todo) if p["training"] == "finetune"}
        shares = self.shares()
        return forecast(
            self.experiment,
            todo,
            features.load(self.dataset, _wanted_arrays(todo), self.settings.cache, Announcer(self.console), path),
            len(self.dataset.classes),
            self.cluster.slots({shares.of(row) for row in todo}),
            {backbone: load_pretrained(backbone, path) for backbone in tuned},
            "cuda" if torch.cuda.is_available() else "cpu",
        )

    def shares(self) -> resources.Shares:
        """What trials take, as far as it is known before they run."""
        wanted, gpus, path = self.experiment.resources, self.cluster.gpus(), self.folder / FILE
        if self.settings.fresh or not path.exists():
            return resources.Shares(wanted, gpus)
        with Ledger(path) as ledger:
            return resources.Shares(wanted, gpus, ledger)

    def _is_of_plan(self, method: str, source: str, target: str) -> bool:
        return method in self.experiment.methods and self.settings.only.keeps(method, source, target)

    def _wanted(self, row: TrialRow) -> bool:
        return self.settings.only.keeps(row.method, row.source, row.target)

    def _is_todo(self, row: TrialRow, states: Mapping[str, str]) -> bool:
        return self._wanted(row) and states[row.id] not in FINISHED and row.id not in self._failed

    def _record_run(self, ledger: Ledger) -> None:
        methods = {m: method_registry.get(m) for m in self.experiment.methods}
        ledger.set_meta(
            "experiment",
            {
                **self.experiment.model_dump(mode="json"),
                "label_access": {m: cls.label_access for m, cls in methods.items()},
                "family": {m: cls.family for m, cls in methods.items()},
                "citations": {m: cls.source for m, cls in methods.items()},
                "dataset_source": self.dataset.source,
                "skipped": self.skipped,
            },
        )
        ledger.set_meta("profile", self.experiment.profile)
        ledger.add_environment(environment.record())

    def _open_storage(self, ledger: Ledger) -> None:
        """The storage asked for, or that of the run before, where its checkpoints lie.

        In a storage asked for, each ledger has a folder of its own: others may run an experiment of the same name.
        """
        before = ledger.meta("storage")
        address = self.settings.storage
        if address is not None and "://" not in address:
            address = str(Path(address).absolute())
        if address is None and before is None:
            self._storage = Storage.of(str(self.settings.results.absolute()), self.experiment.name)
            return
        address, folder = address or before["address"], before["folder"] if before else uuid.uuid4().hex[:12]
        self._storage = Storage.of(address, f"{self.experiment.name}-{folder}")
        left = len(ledger.checkpoints())
        if left and (before is None or before["address"] != address):
            where = before["address"] if before else self.folder
            self.console.print(f"{left} trials begin anew: their checkpoints lie in {where}", markup=False)
        ledger.set_meta("storage", {"address": address, "folder": folder})

    def _record_data(self, ledger: Ledger, todo: Sequence[TrialRow]) -> None:
        """Record what the data was, and refuse other data beside the results that there are.

        Raises:
            SweepError: a domain is not what it was when this ledger's trials ran.
        """
        options = self.dataset.options.model_dump(mode="json")
        known = ledger.meta("data", {})
        if known.get("options") != options or not FINISHED & set(ledger.states().values()):
            known = {"options": options, "checksums": {}}
        for domain in sorted({name for row in todo for name in (row.source, row.target)} - self._checked):
            found = self.dataset.checksum(domain)
            if known["checksums"].setdefault(domain, found) != found:
                raise SweepError(
                    f"{self.dataset.name}/{domain} is not what it was when trials of {self.experiment.name} ran "
                    f"(checksum {found}, then {known['checksums'][domain]}): put it back, or use another --results"
                )
            self._checked.add(domain)
        ledger.set_meta("data", known)

    def _plan(self, ledger: Ledger) -> list[TrialRow]:
        """Search trials and, for the cells whose search is complete, more seeds of what it chose."""
        states = ledger.states()
        waiting = {r.cell for r in self.search if states.get(r.id) not in FINISHED and r.id not in self._failed}
        complete = {r.id for r in self.search if r.cell not in waiting}
        found = selection.candidates(ledger, everything=True)
        found = found[found["id"].isin(complete)].assign(role="search")
        rows = self.search + plan.confirmation(self.experiment, found)
        ledger.set_plan(rows)
        return rows

    # --- one pass ---

    def _pass(self, ledger: Ledger, rows: Sequence[TrialRow], todo: Sequence[TrialRow]) -> None:
        rungs = self._replay(ledger, rows)
        states = ledger.states()
        todo = [row for row in todo if states[row.id] not in FINISHED]
        if not todo:
            return
        self._record_data(ledger, todo)  # what is wrong with the data is said before Ray starts
        self.cluster.connect(self.experiment.resources.cpu)
        shares = resources.Shares(self.experiment.resources, self.cluster.gpus(), ledger)
        resources.check({shares.of(row) for row in todo}, ray.nodes())
        self.cluster.check_storage(self._storage)
        shared = Shared(
            specs={},
            domains=self._put_arrays(todo),
            storage=self._storage,
            folder=str(self.folder),
            node=ray.get_runtime_context().get_node_id(),
            pretrained=self._put_pretrained(todo),
            num_classes=len(self.dataset.classes),
            criterion=self.experiment.stopping_criterion,
            checkpoint_seconds=self.experiment.checkpoint_seconds,
            proxy_a_distance=self.experiment.proxy_a_distance,
            memory=self.memory,
        )
        self._measure(ledger, todo, shares, shared)
        specs = self._specs(ledger, todo, rungs, shares)
        shared = replace(shared, specs=specs)
        wanted = [row for row in rows if self._wanted(row)]
        view = View(self.console)
        criterion = self.experiment.stopping_criterion
        board = Board(wanted, states, best_of(selection.candidates(ledger), criterion), criterion)
        requests = {(spec.cpu, spec.gpu) for spec in specs.values()}
        places = {request: self.cluster.places(request) for request in requests}
        scheduler = CellASHA(rungs, {row.id: row for row in todo}, places)
        metrics = Metrics(self.experiment.name, board)

        def listen(key: str, event: str, result: Mapping[str, Any]) -> None:
            view.event(key, event, result)
            metrics.event(event, result)

        recorder = Recorder(ledger, specs, self.folder, self._storage, listen, self._keeper(ledger))
        slots = self.cluster.slots(requests)
        view.start(board, slots)
        try:
            with self._interruptible(scheduler, view), looked_up_once():
                self._tuner(specs, shared, scheduler, recorder).fit()
        except Exception as error:
            recorder.error = recorder.error or disk_full(str(error), self.folder)
            if recorder.error is None:
                raise
        finally:
            view.stop()
            metrics.show()
        if recorder.error is not None:  # Tune logs some errors of callbacks, and goes on
            raise recorder.error
        self._interrupted = scheduler.interrupted
        self._after(ledger, specs, shares, recorder)

    def _replay(self, ledger: Ledger, rows: Sequence[TrialRow]) -> Rungs:
        """Rungs as the stored epochs left them, in order of arrival.

        A trial whose stop was decided but, the driver having died, not recorded is recorded as stopped now.
        """
        by_id = {row.id: row for row in rows}
        rungs = Rungs(self.experiment.early_stopping, plan.stoppable_cells(self.search))
        states = ledger.states()
        for key, epoch, criteria in ledger.arrivals():
            row = by_id.get(key)
            if row is None:
                continue
            score = selection.guarded_score(criteria, self.experiment.stopping_criterion)
            if not rungs.keep_going(row, epoch, score) and states[key] not in FINISHED:
                ledger.finish(key, "stopped")
        return rungs

    def _measure(self, ledger: Ledger, todo: Sequence[TrialRow], shares: resources.Shares, shared: Shared) -> None:
        """Measure what trials take of a GPU where that is not known, each kind on its largest pair."""
        models = resources.models(ray.nodes())
        if not models:
            return
        largest: dict[str, tuple[int, TrialRow]] = {}
        for row in todo:
            form = features.representation(row)
            samples = sum(self._samples.get((domain, form), 0) for domain in (row.source, row.target))
            kind = resources.kind_of(row)
            if kind not in largest or samples > largest[kind][0]:
                largest[kind] = (samples, row)
        missing = [(m, row, n) for m in models for n, row in largest.values() if m in shares.unmeasured(row, models, n)]
        say, probes = Announcer(self.console), dict[str, Any]()
        for done, (model, row, samples) in enumerate(missing):
            say("measuring what trials take of a GPU", done, len(missing))
            spec = TrialSpec(row, self.experiment.epochs, self.experiment.resources.cpu)
            if model not in probes:
                probes = {model: _probe(model, spec.cpu, shared)}  # the one before gives its GPU back
            try:
                found = ray.get(probes[model].measure.remote(spec))
            except ray.exceptions.RayError:  # the process died; should the trial's die too, Tune will say so
                found = None
                del probes[model]
            if found is not None:
                shares.learn(row, model, found, samples)
                shares.remember(ledger)
        if missing:
            say("measuring what trials take of a GPU", len(missing), len(missing))

    def _specs(
        self, ledger: Ledger, todo: Sequence[TrialRow], rungs: Rungs, shares: resources.Shares
    ) -> dict[str, TrialSpec]:
        checkpoints = ledger.checkpoints()
        specs = {}
        for row in todo:
            cpu, share = shares.of(row)
            specs[row.id] = TrialSpec(
                row=row,
                epochs=self.experiment.epochs,
                cpu=cpu,
                gpu=share,
                context=shares.context(row),
                rungs=rungs.epochs_of(row),
                checkpoint=checkpoints.get(row.id),
            )
        return specs

    def _put_arrays(self, todo: Sequence[TrialRow]) -> dict[tuple[str, str], ray.ObjectRef]:
        """Each domain once into the object store, from where every process on a node reads the same copy."""
        missing = [key for key in _wanted_arrays(todo) if key not in self._arrays]
        weights = self.experiment.protocol.weights
        loaded = features.load(
            self.dataset, missing, self.settings.cache, Announcer(self.console), Path(weights) if weights else None
        )
        for key, domain in loaded.items():
            test = domain.test
            parts = (
                domain.train.inputs,
                domain.train.labels,
                None if test is None else test.inputs,
                None if test is None else test.labels,
            )
            self._arrays[key] = ray.put(parts)
            self._samples[key] = len(domain.train)
        return self._arrays

    def _put_pretrained(self, todo: Sequence[TrialRow]) -> dict[str, ray.ObjectRef]:
        weights = self.experiment.protocol.weights
        for row in todo:
            protocol = json.loads(row.protocol)
            if protocol["training"] == "finetune" and protocol["backbone"] not in self._pretrained:
                state = load_pretrained(protocol["backbone"], Path(weights) if weights else None)
                self._pretrained[protocol["backbone"]] = ray.put(state)
        return self._pretrained

    def _tuner(
        self,
        specs: Mapping[str, TrialSpec],
        shared: Shared,
        scheduler: CellASHA,
        recorder: Recorder,
    ) -> tune.Tuner:
        # Tune unpickles this function with the Trainable for every trial: what it needs stands in the config.
        def request(config: dict[str, Any]) -> tune.PlacementGroupFactory:
            cpu, gpu = config["trial"]["cpu"], config["trial"]["gpu"]
            return tune.PlacementGroupFactory([{"CPU": cpu, "GPU": gpu} if gpu else {"CPU": cpu}])

        space: list[dict[str, Any]] = [{"id": key, "cpu": spec.cpu, "gpu": spec.gpu} for key, spec in specs.items()]
        callbacks: list[tune.Callback] = [recorder]
        if self.settings.tensorboard:
            callbacks.append(TensorBoard(self.folder / "tensorboard", specs))
            space = [config | hyperparameters(specs[config["id"]].row) for config in space]
        return tune.Tuner(
            tune.with_resources(tune.with_parameters(self.trainable, shared=shared), request),
            tune_config=tune.TuneConfig(
                search_alg=InOrder(space, self.cluster.places),
                num_samples=len(space),
                scheduler=scheduler,
                reuse_actors=True,
                max_concurrent_trials=self.cluster.limit(),
                trial_name_creator=trial_id,
                trial_dirname_creator=trial_id,
            ),
            run_config=tune.RunConfig(
                name=f"pass-{len(self._storage.folders(CHECKPOINTS)):06}-{os.getpid()}",
                storage_path=posixpath.join(self._storage.root, CHECKPOINTS),
                storage_filesystem=self._storage.filesystem,
                callbacks=callbacks,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=False),
            ),
        )

    def _after(
        self, ledger: Ledger, specs: Mapping[str, TrialSpec], shares: resources.Shares, recorder: Recorder
    ) -> None:
        """What failed is not tried again by this run; what ran out of memory is, with twice the share.

        What lost its process before it had begun is, too, as often as Tune would.
        """
        self._lost.update(recorder.lost)
        for key, spec in specs.items():
            end = recorder.ended.get(key)
            if end == "oom" and 0 < spec.gpu < 1:
                shares.ran_out(spec.row, spec.gpu)
            elif end in ("failed", "oom"):
                self._failed.add(key)
            elif (
                end is None and not self._interrupted and not (key in recorder.lost and self._lost[key] <= MAX_FAILURES)
            ):
                # Or Tune gave the trial up without a word (it never does, as far as we know): do not loop on it.
                ledger.finish(key, "failed", "the trial ended without a result")
                self._failed.add(key)
        shares.remember(ledger)
        self._keeper(ledger).tidy()
        self._remove_checkpoints(ledger)

    def _keeper(self, ledger: Ledger) -> Keeper:
        return Keeper(ledger, self.folder, self.experiment.criterion)

    def _remove_checkpoints(self, ledger: Ledger) -> None:
        """Remove what no unfinished trial continues from."""
        needed = {posixpath.dirname(path) for path in ledger.checkpoints().values()}
        for each in self._storage.folders(CHECKPOINTS):
            trials = self._storage.folders(each)
            for trial in trials:
                if trial not in needed:
                    self._storage.remove(trial)
            if needed.isdisjoint(trials):
                self._storage.remove(each)

    @contextmanager
    def _interruptible(self, scheduler: CellASHA, view: View) -> Iterator[None]:
        """First Ctrl-C: finish the epoch, checkpoint, stop. Second: leave now; what is committed stays."""

        def interrupt(_signal: int, _frame: types.FrameType | None) -> None:
            if scheduler.interrupted:
                os._exit(130)
            scheduler.interrupted = True
            view.console.print(
                "stopping: running trials finish their epoch and save themselves; once more to leave at once",
                markup=False,
            )

        old = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


def _probe(model: str, cpu: float, shared: Shared) -> Any:
    """A process that has a GPU of that model for itself."""
    named = {} if model == resources.UNNAMED else {f"accelerator_type:{model}": 0.001}
    return ray.remote(Probe).options(num_cpus=cpu, num_gpus=1, resources=named).remote(shared)


def _wanted_arrays(rows: Iterable[TrialRow]) -> list[tuple[str, str]]:
    """(domain, representation) of every array that these trials work on, each once."""
    wanted = [(domain, features.representation(row)) for row in rows for domain in (row.source, row.target)]
    return list(dict.fromkeys(wanted))


def open_states(path: Path) -> dict[str, str]:
    """Trial id → state in a ledger; empty where there is none yet."""
    if not path.exists():
        return {}
    with Ledger(path) as ledger:
        return ledger.states()


def choose_profile(name: str, asked: str | None, results: Path, available: Callable[[], bool]) -> tuple[str, str]:
    """The profile to run, and why, for the user.

    Args:
        name: the experiment's.
        asked: by flag; None: what the first run recorded, else by what the cluster has; ``gpu`` only where the
            backbone's weights are to be had.
        results: folder of results.
        available: whether there is a GPU.
    """
    known = profiles(name)
    if asked is not None:
        return asked, "asked for"
    path = results / Path(name).stem / FILE
    if path.exists():
        with Ledger(path) as ledger:
            recorded = ledger.meta("profile")
        if recorded is not None:
            return str(recorded), "as the first run had it"
    without = "cpu" if "cpu" in known else "default"
    if "gpu" in known and available():
        lacking = _lacking_weights(name)
        return ("gpu", "there is a GPU") if lacking is None else (without, f"there is a GPU, but {lacking}")
    return without, "there is no GPU" if without == "cpu" else "the experiment as it stands"


def _lacking_weights(name: str) -> str | None:
    """Why an experiment's ``gpu`` profile has no weights for a backbone; None where it has all it needs."""
    loaded = load(name, "gpu")
    protocols = [loaded.under(entry).protocol for _, entry, _ in loaded.entries()]
    for backbone in dict.fromkeys(p.backbone for p in protocols if p.training in ("frozen", "finetune")):
        try:
            load_pretrained(str(backbone), Path(loaded.protocol.weights) if loaded.protocol.weights else None)
        except BackboneError as error:
            return str(error)
    return None
