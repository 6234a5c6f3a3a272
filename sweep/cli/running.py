"""``run``: plan, run, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer_sweep.sweep.cli import listing
from transfer_sweep.sweep.cli.options import (
    RESULTS,
    DataRoot,
    Overrides,
    Plugins,
    Results,
    err,
    new_table,
    say,
)
from transfer_sweep.sweep.environment import cache_folder, existing_folder

if TYPE_CHECKING:
    from rich.table import Table

    from transfer_sweep.reports.ledger.records import Protocol, Trial
    from transfer_sweep.sweep.config.schema import Experiment
    from transfer_sweep.sweep.planning.forecast import Forecast
    from transfer_sweep.sweep.runner import Outcome, Run


def run(
    name: Annotated[str | None, typer.Argument(help="An experiment; none lists them.")] = None,
    data_root: DataRoot = None,
    results: Results = RESULTS,
    only: Annotated[list[str] | None, typer.Option(help="method=a,b or pair=source-target; may be repeated.")] = None,
    overrides: Overrides = None,
    profile: Annotated[str | None, typer.Option(help="A profile of the experiment; the first run's is kept.")] = None,
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
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave pictures of one's own out that cannot be read; count them.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so long, with the best answer so far; again goes on.")
    ] = None,
    _plugins: Plugins = None,
) -> None:
    """Plan, run, resume: running an experiment again continues where it stopped."""
    if name is None:
        listing.list_()
        return
    from transfer_sweep.algorithms.networks.backbones import BackboneError
    from transfer_sweep.datasets.base import DataError
    from transfer_sweep.reports.document.text import by_reason
    from transfer_sweep.sweep.config import loader
    from transfer_sweep.sweep.engine.cluster import Cluster
    from transfer_sweep.sweep.planning.filters import Filter
    from transfer_sweep.sweep.planning.profiles import choose_profile
    from transfer_sweep.sweep.runner import Run, RunOptions

    cluster = Cluster(err, address, max_concurrent, dashboard)
    chosen, why_profile = choose_profile(name, profile, results, lambda: cluster.gpus() > 0)
    experiment = loader.load(name, chosen, overrides or [])
    options = RunOptions(
        results=results,
        data_root=existing_folder(data_root),
        cache=cache_folder(),
        only=Filter.parse(only or [], experiment),
        fresh=fresh,
        storage=storage,
        tensorboard=tensorboard,
        skip_damaged=skip_damaged,
        minutes=minutes,
    )
    sweep = Run(experiment, options, err, cluster)
    if loader.profiles(name):
        say(f"profile {chosen}: {why_profile}")
    err.print(_plan_table(sweep, sweep.experiment))
    for why_skipped, pairs in by_reason(sweep.skipped).items():
        say(f"skipped {', '.join(pairs)}: {why_skipped}")
    if not dry_run:
        outcome = sweep.execute()
        say(_end_line(name, outcome))
        raise typer.Exit(outcome.exit_code)
    try:
        say(_forecast_line(sweep.forecast()))
    except (DataError, BackboneError) as error:  # the plan stands without them
        say(f"no forecast: {error}")


def _plan_table(sweep: Run, experiment: Experiment) -> Table:
    """The plan: per method its family, pairs, trials, epochs, resources, and what is done already."""
    states = sweep.states()
    trials_of: dict[tuple[str, Protocol], list[Trial]] = {}
    for trial in sweep.wanted():
        trials_of.setdefault((trial.method, trial.protocol), []).append(trial)
    table = new_table(
        *("method", "backbone", "cells", "trials", "epochs", "cpu", "gpu", "done"),
        title=f"{experiment.name}: {experiment.dataset}",
    )
    for column in table.columns[2:]:
        column.justify = "right"

    def add_row(method: str, backbone: str, trials: list[Trial], resources: tuple[str, str], style: str = "") -> None:
        cells = len({trial.cell for trial in trials})
        epochs = sum(trial.budget for trial in trials)
        done = sum(trial.id in states and states[trial.id].finished for trial in trials)
        numbers = (str(cells), str(len(trials)), str(epochs), *resources, str(done))
        table.add_row(method, backbone, *numbers, style=style)

    shares = sweep.shares()
    for (method, protocol), trials in trials_of.items():
        add_row(method + protocol.few_tag, protocol.backbone, trials, shares.shown(trials[0]))
    add_row("all", "", [trial for trials in trials_of.values() for trial in trials], ("", ""), "bold")
    confirm = experiment.confirm
    if confirm.seeds > 1:
        which = f"each cell's choice by {experiment.criterion}" if confirm.settings == "chosen" else "every trial"
        table.caption = f"and {confirm.seeds - 1} more seeds of {which}"
    return table


def _forecast_line(forecast: Forecast) -> str:
    from transfer_sweep.sweep.progress.live_view import clock

    if not forecast.core_seconds:
        return "forecast: every trial of the search has run"
    total = sum(forecast.core_seconds.values())
    slowest = sorted(forecast.core_seconds.items(), key=lambda item: -item[1])[:3]
    return (
        f"forecast: {clock(forecast.seconds)} with {forecast.slots} at a time, {clock(total)} of trials "
        f"(most for {', '.join(f'{method} {clock(seconds)}' for method, seconds in slowest)}); a little of each method "
        "was timed here and now"
    )


def _end_line(name: str, outcome: Outcome) -> str:
    counts = ", ".join(f"{n} {state}" for state, n in sorted(outcome.states.items()))
    if outcome.out_of_time:
        return f"the time is over ({counts}); `python -m sweep run {name}` goes on, `report {name}` shows what there is"
    if outcome.interrupted:
        return f"stopped ({counts}); `python -m sweep run {name}` continues"
    if outcome.exit_code:
        return (
            f"ended with failures ({counts}); `python -m sweep report {name}` lists them, "
            f"`python -m sweep run {name}` tries them again"
        )
    return f"done ({counts}); `python -m sweep report {name}` shows the tables"
