"""The command line."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.algorithms.networks.backbones import BackboneError
from transfer_sweep.datasets import base
from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.datasets.base import DataError, Dataset
from transfer_sweep.datasets.io import fetch as fetching
from transfer_sweep.reports import report as document
from transfer_sweep.reports.document import plotting as figures
from transfer_sweep.reports.formats import markdown
from transfer_sweep.reports.ledger import few_labels
from transfer_sweep.reports.ledger.ledger import FILE, FINISHED, Ledger, TrialRow
from transfer_sweep.sweep import doctor
from transfer_sweep.sweep.cli import results as reading
from transfer_sweep.sweep.cli.results import Name, Results, err, known_criterion, out
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.config.source import nearest
from transfer_sweep.sweep.engine.cluster import Cluster
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.planning.forecast import Forecast
from transfer_sweep.sweep.progress.run_state import Announcer, clock
from transfer_sweep.sweep.runner import Outcome, Run, Settings, choose_profile, open_states
from transfer_sweep.sweep.stopping.replay import Replay
from transfer_sweep.sweep.trial.saved_model import SavedModel

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which transfer-learning method works on my domain pair, with which hyperparameters, "
    "and do I reproduce the paper?",
)
data_app = typer.Typer(no_args_is_help=True, help="The data sets below the data root.")
app.add_typer(data_app, name="data")

DataRoot = Annotated[
    Path | None, typer.Option("--data-root", envvar="SWEEP_DATA_ROOT", help="Folder that holds the data sets.")
]
Profile = Annotated[str | None, typer.Option(help="A profile of the experiment; the first run's is kept.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Override a value of the file: path.to.value=…")]


class What(StrEnum):
    """What ``list`` lists."""

    EXPERIMENTS = "experiments"
    METHODS = "methods"
    DATASETS = "datasets"


@app.command("list")
def list_(what: Annotated[What, typer.Argument(help="What to list.")] = What.EXPERIMENTS) -> None:
    """List experiments, methods or datasets."""
    table = Table(box=None, pad_edge=False)
    if what is What.EXPERIMENTS:
        table.add_column("experiment", no_wrap=True)
        table.add_column("what it is")
        for name in loader.names():
            table.add_row(name, loader.describe(name))
    elif what is What.METHODS:
        for column in ("method", "family", "target labels", "source"):
            table.add_column(column, no_wrap=column == "method")
        for name in sorted(method_registry.names()):
            cls = method_registry.get(name)
            table.add_row(name, cls.family, _access(cls), cls.source)
    else:
        for column in ("dataset", "domains", "classes", "source"):
            table.add_column(column, no_wrap=column == "dataset")
        for name in dataset_registry.names():
            kind = dataset_registry.get(name)
            table.add_row(name, ", ".join(kind.domains), str(len(kind.classes)), kind.source)
    out.print(table)


def _access(cls: type[Algorithm]) -> str:
    """Which target labels a method learns from."""
    return f"{cls.label_access} or few" if cls.semi_supervised else cls.label_access


@app.command()
def show(method: Annotated[str, typer.Argument(help="A method.")]) -> None:
    """A method's params: default, bounds, and where each comes from."""
    known = method_registry.names()
    if method not in known:
        raise SweepError(f"unknown method {method!r}{nearest(method, known)}")
    cls = method_registry.get(method)
    out.print(f"{method} ({cls.family}; target labels: {_access(cls)})\n{cls.source}\n", markup=False)
    table = Table(box=None, pad_edge=False)
    for column in ("param", "default", "allowed", "what it is"):
        table.add_column(column, no_wrap=column == "param")
    schema = cls.params_type.model_json_schema()["properties"]
    for key, field in cls.params_type.model_fields.items():
        table.add_row(key, str(field.default), _allowed(schema[key]), field.description or "")
    out.print(table)


def _allowed(schema: dict[str, Any]) -> str:
    """The values that a param may take, from its JSON schema."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_allowed(part) for part in schema["anyOf"])
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema)
    return bounds or str(schema.get("const", schema.get("type", "")))


@app.command()
def run(
    name: Annotated[str | None, typer.Argument(help="An experiment; none lists them.")] = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    only: Annotated[list[str] | None, typer.Option(help="method=a,b or pair=source-target; may be repeated.")] = None,
    set_: Set = None,
    profile: Profile = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, forecast how long it takes, and stop.")
    ] = False,
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="Trials at a time.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier results of these trials.")] = False,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster (auto, or host:port).")] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Where trials save themselves: a folder that all nodes share, or an address that fsspec knows; "
            "the results folder if absent, and later runs keep it."
        ),
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Start Ray's dashboard; print its address.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's files beside the ledger.")
    ] = False,
) -> None:
    """Plan, run, resume: running an experiment again continues where it stopped."""
    if name is None:
        list_()
        return
    cluster = Cluster(err, address, max_concurrent, dashboard)
    chosen, why = choose_profile(name, profile, results, lambda: cluster.gpus() > 0)
    loaded = loader.load(name, chosen, set_ or [])
    settings = Settings(
        results=results,
        data_root=_existing(data_root),
        cache=_cache(),
        only=plan.Filter.parse(only or [], loaded),
        fresh=fresh,
        storage=storage,
        tensorboard=tensorboard,
    )
    sweep = Run(loaded, settings, err, cluster)
    if len(loader.profiles(name)) > 0:
        err.print(f"profile {chosen}: {why}")
    err.print(_plan_table(sweep, loaded))
    for why, pairs in document.by_reason(sweep.skipped).items():
        err.print(f"skipped {', '.join(pairs)}: {why}", markup=False)
    if dry_run:
        try:
            err.print(_forecast_line(sweep.forecast()), markup=False)
        except (DataError, BackboneError) as error:  # the plan stands without them
            err.print(f"no forecast: {error}", markup=False)
        return
    _finish(name, sweep.execute())


def _cache() -> Path:
    return Path(os.environ.get("SWEEP_CACHE") or platformdirs.user_cache_path("transfer-sweep"))


def _existing(root: Path | None) -> Path | None:
    if root is not None and not root.is_dir():
        raise SweepError(f"the data root {root} does not exist: name another with --data-root or SWEEP_DATA_ROOT")
    return root


def _plan_table(sweep: Run, loaded: Experiment) -> Table:
    """The plan: per method its family, pairs, trials, epochs, resources, and what is done already."""
    states = open_states(sweep.folder / FILE) if not sweep.settings.fresh else {}
    by_method: dict[tuple[str, str], list[TrialRow]] = {}
    for row in sweep.search:
        if sweep.settings.only.keeps(row.method, row.source, row.target):
            by_method.setdefault((row.method, row.protocol), []).append(row)
    table = Table(title=f"{loaded.name}: {loaded.dataset}", box=None, pad_edge=False, title_justify="left")
    for column in ("method", "backbone", "cells", "trials", "epochs", "cpu", "gpu", "done"):
        table.add_column(column, justify="left" if column in ("method", "backbone") else "right")
    shares = sweep.shares()
    for (method, text), rows in by_method.items():
        protocol = json.loads(text)
        done = sum(states.get(row.id) in FINISHED for row in rows)
        cells = len({row.cell for row in rows})
        epochs = sum(row.budget for row in rows)
        numbers = (cells, len(rows), epochs, *shares.shown(rows[0]), done)
        table.add_row(method + few_labels.tag(protocol["few"]), protocol["backbone"], *map(str, numbers))
    every = [row for rows in by_method.values() for row in rows]
    done = sum(states.get(row.id) in FINISHED for row in every)
    cells = len({row.cell for row in every})
    table.add_row("all", "", *map(str, (cells, len(every), sum(r.budget for r in every), "", "", done)), style="bold")
    if loaded.confirm.seeds > 1:
        which = f"each cell's choice by {loaded.criterion}" if loaded.confirm.settings == "chosen" else "every trial"
        table.caption = f"and {loaded.confirm.seeds - 1} more seeds of {which}"
    return table


def _forecast_line(expected: Forecast) -> str:
    if not expected.core_seconds:
        return "forecast: every trial of the search has run"
    core = sum(expected.core_seconds.values())
    slow = sorted(expected.core_seconds.items(), key=lambda item: -item[1])[:3]
    return (
        f"forecast: {clock(expected.seconds)} with {expected.slots} at a time, {clock(core)} of trials "
        f"(most for {', '.join(f'{method} {clock(seconds)}' for method, seconds in slow)}); a little of each method "
        "was timed here and now"
    )


def _finish(name: str, outcome: Outcome) -> None:
    counts = ", ".join(f"{n} {state}" for state, n in sorted(outcome.states.items()))
    if outcome.interrupted:
        err.print(f"stopped ({counts}); `python -m sweep run {name}` continues", markup=False)
    elif outcome.exit_code:
        err.print(
            f"ended with failures ({counts}); `python -m sweep report {name}` lists them, "
            f"`python -m sweep run {name}` tries them again",
            markup=False,
        )
    else:
        err.print(f"done ({counts}); `python -m sweep report {name}` shows the tables", markup=False)
    raise typer.Exit(outcome.exit_code)


app.registered_commands += reading.app.registered_commands


@app.command()
def stopping(
    name: Name,
    results: Results = Path("results"),
    set_: Set = None,
    criterion: Annotated[str | None, typer.Option(help="Chooses trials; the experiment's own if absent.")] = None,
) -> None:
    """What early stopping would have saved and cost, replayed over a run that had none."""
    loaded = loader.load(name, None, set_ or [])
    rungs = loaded.early_stopping.model_copy(update={"scheduler": "asha"})
    with Ledger(results / loaded.name / FILE) as ledger:
        print(markdown.render(Replay(ledger, rungs).tables(known_criterion(criterion) or loaded.criterion)), end="")


CellName = Annotated[
    str,
    typer.Option(
        "--cell",
        help="method:source-target, of its chosen trial; method:source-target@backbone where there are several.",
    ),
]


@app.command()
def evaluate(
    name: Name,
    cell: CellName,
    data_root: DataRoot = None,
    results: Results = Path("results"),
) -> None:
    """A cell's saved model on its target: accuracy and confusion matrix."""
    model = _saved_model(name, cell, data_root, results)
    found = model.evaluate()
    total = int(found.confusion.sum())
    recorded = f"when it was trained: {found.recorded:.2f} %"
    out.print(f"{cell}: {found.accuracy:.2f} % of {total} samples ({recorded})", markup=False, soft_wrap=True)
    table = Table(title="true class by row, predicted by column", box=None, pad_edge=False, title_justify="left")
    for header in ("", *model.classes, "accuracy"):
        table.add_column(header, justify="left" if not header else "right")
    for true, (label, counts) in enumerate(zip(model.classes, found.confusion.tolist(), strict=True)):
        share = f"{100 * counts[true] / sum(counts):.1f}" if any(counts) else "–"
        table.add_row(label, *(str(count) if count else "·" for count in counts), share)
    out.print(table)


@app.command()
def predict(
    name: Name,
    images: Annotated[list[Path], typer.Argument(help="Pictures of any size and colour, each of one object.")],
    cell: CellName,
    annotate: Annotated[
        Path | None, typer.Option(help="A PNG file: the pictures, what the model saw of them, and its answers.")
    ] = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
) -> None:
    """Classify pictures with a cell's saved model."""
    if annotate is not None and annotate.suffix.lower() != ".png":
        raise SweepError(f"--annotate writes a PNG file, not {annotate.name!r}")
    answers = _saved_model(name, cell, data_root, results).predict(images)
    table = Table(box=None, pad_edge=False)
    for column in ("picture", "label", "confidence"):
        table.add_column(column, justify="left" if column == "picture" else "right")
    for path, answer in zip(images, answers, strict=True):
        table.add_row(str(path), answer.label, f"{answer.confidence:.1f} %")
    out.print(table)
    if annotate is not None:
        figures.save(figures.answers([(a.picture, a.seen, a.label, a.confidence) for a in answers]), annotate)
        err.print(f"wrote {annotate}", markup=False)


def _saved_model(name: str, cell: str, data_root: Path | None, results: Path) -> SavedModel:
    folder = results / Path(name).stem
    return SavedModel(folder, cell, _existing(data_root), _cache(), Announcer(err))


@data_app.command("list")
def data_list() -> None:
    """The data sets and where they come from."""
    list_(What.DATASETS)


Dataset_ = Annotated[str | None, typer.Argument(help="A data set; none: all.")]


@data_app.command("verify")
def data_verify(name: Dataset_ = None, data_root: DataRoot = None) -> None:
    """What is there, what is damaged and what is missing."""
    table = Table(box=None, pad_edge=False)
    for column in ("dataset", "file", "state", "detail"):
        table.add_column(column)
    damaged = False
    for dataset in _datasets(name, _existing(data_root)):
        for check in dataset.verify():
            damaged |= check.state == "damaged" or (check.state == "missing" and name is not None)
            style = {"ok": "green", "missing": "yellow", "damaged": "red"}[check.state]
            table.add_row(dataset.name, check.path, f"[{style}]{check.state}[/]", check.detail)
    out.print(table)
    raise typer.Exit(1 if damaged else 0)


def _datasets(name: str | None, root: Path | None) -> list[Dataset]:
    names = dataset_registry.names()
    if name is not None and name not in names:
        raise SweepError(f"unknown dataset {name!r} (there are: {', '.join(names)})")
    kinds = [dataset_registry.get(n) for n in names if name in (None, n)]
    if root is None:
        kinds = [kind for kind in kinds if not kind.needs_root or name is not None]
    return [kind(root if kind.needs_root else None) for kind in kinds]


@data_app.command("fetch")
def data_fetch(name: Annotated[str, typer.Argument(help="A data set.")], data_root: DataRoot = None) -> None:
    """Bring a data set to the data root: mirrors, resumed downloads, checksums."""
    if data_root is None:
        raise SweepError("name a data root with --data-root or SWEEP_DATA_ROOT")
    (dataset,) = _datasets(name, data_root)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err) as bar:
        checks = fetching.fetch(dataset, _advance(bar))
    for check in checks:
        out.print(f"{check.path}: {check.state} {check.detail}", markup=False)


def _advance(bar: Progress) -> base.Progress:
    tasks: dict[str, TaskID] = {}

    def advance(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)

    return advance


@app.command("doctor")
def doctor_(data_root: DataRoot = None, results: Results = Path("results")) -> None:
    """What is fine here, what is not, and what to do about it."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "found", "what to do"):
        table.add_column(column)
    findings = doctor.examine(data_root, results)
    for finding in findings:
        mark = "[green]ok[/]" if finding.fine else ("[red]no[/]" if finding.needed else "[yellow]–[/]")
        table.add_row(mark, finding.what, finding.found, "" if finding.fine else finding.advice)
    out.print(table)
    raise typer.Exit(1 if any(f.needed and not f.fine for f in findings) else 0)


def run_app() -> None:
    """The command line; bad input ends in one line and exit code 2."""
    reading.refusing(app, DataError, BackboneError)
