"""The commands that only read what is recorded. They load neither torch nor Ray, which take most of a start."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, NoReturn

import pandas as pd
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from transfer_sweep.reports import regret as evidence
from transfer_sweep.reports import report as document
from transfer_sweep.reports import selection
from transfer_sweep.reports.aside import second_process
from transfer_sweep.reports.formats import epoch_logs as logs
from transfer_sweep.reports.formats import markdown
from transfer_sweep.reports.ledger.ledger import FILE, Ledger, LedgerError
from transfer_sweep.reports.ledger.records import planned
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.progress.run_state import Board, best_of, clock

BAD_INPUT = 2
WATCH_SECONDS = 30
STATUS_SECONDS = 5

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Results = Annotated[Path, typer.Option("--results", envvar="SWEEP_RESULTS", help="Folder of results.")]
Name = Annotated[str, typer.Argument(help="An experiment of search_spaces/, or a path to a YAML file.")]
Everything = Annotated[bool, typer.Option("--all", help="Trials of former plans too.")]


@app.command()
def status(
    name: Name,
    results: Results = Path("results"),
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew while trials report.")] = False,
) -> None:
    """What is done, running, stopped and failed, while an experiment runs or after."""
    path = results / Path(name).stem / FILE
    if not watch:
        out.print(_standing(path))
        return
    with Live(console=out, auto_refresh=False) as live:
        for _ in _reports([path], STATUS_SECONDS):
            live.update(_standing(path), refresh=True)


def _standing(path: Path) -> Group:
    """How the current plan of a ledger stands."""
    with Ledger(path) as ledger:
        trials = ledger.trials()
        recorded = ledger.meta("experiment") or {}
        criterion = selection.of_one_trial(recorded.get("criterion", selection.DEFAULT))
        found = selection.candidates(ledger)
        spent = ledger.seconds()
    rows = planned(trials)
    bests = best_of(found, criterion)
    board = Board(rows, dict(zip(trials["id"], trials["state"], strict=True)), bests, criterion)
    counts = Counter(trials["state"])
    lines = [
        ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) + f" of {len(rows)} trials",
        f"{clock(spent)} of trial time spent",
    ]
    for record in trials[trials["state"].isin(["failed", "oom"])].head(5).to_dict("records"):
        last = str(record["error"] or "").strip().splitlines()[-1:] or ["no error recorded"]
        lines.append(f"failed: {record['method']} {record['source']}-{record['target']}: {last[0]}")
    return Group(board.table(), *(Text(line) for line in lines))


@app.command()
def report(
    name: Annotated[str | None, typer.Argument(help="An experiment; none: every one in the results folder.")] = None,
    results: Results = Path("results"),
    format_: Annotated[
        document.Format | None, typer.Option("--format", help="Form of the report: md if absent; html with --watch.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--out", help="A file or folder; figures go beside it. A page goes beside the ledger if absent."),
    ] = None,
    criterion: Annotated[str | None, typer.Option(help="Chooses trials; the experiment's own if absent.")] = None,
    everything: Everything = False,
    export_logs: Annotated[
        Path | None,
        typer.Option(
            help="A folder: write the chosen trials' epochs there, <method>/<source>_to_<target>/<method>.csv."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Write the page anew while trials report.")] = False,
) -> None:
    """Tables beside the published numbers: on stdout, in files, or as a page."""
    if watch and format_ not in (None, document.Format.HTML):
        raise SweepError(f"--watch writes a page: leave --format {format_} out")
    form = format_ or (document.Format.HTML if watch else document.Format.MD)
    if name is None:
        paths = sorted(results.glob(f"*/{FILE}"))
        if not paths:
            raise SweepError(f"no results in {results}: `python -m sweep run NAME` makes some")
    else:
        paths = [results / Path(name).stem / FILE]
    criterion = known_criterion(criterion)
    if export_logs is not None:
        for path in logs.export(paths, export_logs, criterion, everything):
            err.print(f"wrote {path}", markup=False)
        return
    # Rows alone say nothing of what a second process would work on; a page that is watched leaves the core to trials.
    tested = [] if watch or form in (document.Format.CSV, document.Format.JSON) else paths
    if output is None and form is not document.Format.HTML:
        with second_process(tested) as aside:
            print(document.render(paths, form, criterion, everything, aside))
        return

    def write(refresh: int | None = None) -> None:
        # One after another: where a page goes by itself, it goes to the folder of its ledger.
        with second_process(tested) as aside:
            for part in [paths] if output is not None else [[path] for path in paths]:
                where = part[0].with_name("report.html") if output is None else output
                for file in document.write(part, where, form, criterion, everything, refresh, aside):
                    err.print(f"wrote {file}", markup=False)

    if watch:
        _watch(paths, write)
    else:
        write()


def _watch(paths: Sequence[Path], write: Callable[[int | None], None]) -> None:
    """Write whenever trials have reported, until all have ended.

    Args:
        paths: the ledgers.
        write: writes pages that load themselves again after so many seconds; None: that are final.
    """
    for _ in _reports(paths, WATCH_SECONDS):
        write(WATCH_SECONDS)
    write(None)


def _reports(paths: Sequence[Path], seconds: float) -> Iterator[None]:
    """Once now, and whenever trials have reported, until all have ended (and no pass over more seeds has begun since).

    Args:
        paths: the ledgers.
        seconds: between two looks.
    """
    before: list[tuple[int, int]] | None = None
    while True:
        with ExitStack() as stack:
            ledgers = [stack.enter_context(Ledger(path)) for path in paths]
            now = [ledger.standing() for ledger in ledgers]
        if now != before:
            yield
        elif not any(unfinished for _, unfinished in now):
            return
        before = now
        time.sleep(seconds)


def known_criterion(name: str | None) -> str | None:
    """The name of a criterion, or None.

    Raises:
        SweepError: there is no such criterion.
    """
    if name is not None and name not in selection.CRITERIA:
        raise SweepError(f"unknown criterion {name!r} (there are: {', '.join(selection.CRITERIA)})")
    return name


@app.command()
def criteria(
    files: Annotated[list[Path], typer.Argument(help="Trials of runs: the *.trials.csv.gz beside their reports.")],
) -> None:
    """Which criterion to trust: what choosing by each costs against the oracle, over recorded runs."""
    twice = [name for name, n in Counter(path.name for path in files).items() if n > 1]
    if twice:
        raise SweepError(f"two files are named {twice[0]}: rename one, columns are told apart by it")
    try:
        trials = {path.name.removesuffix(evidence.SUFFIX): evidence.read(path) for path in files}
        table = evidence.regret_table(evidence.regrets(trials))
    except ValueError as error:
        raise SweepError(str(error)) from None
    print(markdown.render([table]), end="")


def names() -> list[str]:
    """The commands of this module."""
    return [str(command.callback.__name__) for command in app.registered_commands if command.callback]


def refusing(commands: typer.Typer, *errors: type[Exception]) -> None:
    """Run a command line; bad input ends in one line and exit code 2.

    Args:
        commands: the command line.
        errors: what, besides what a ledger may raise, has a text for the user.
    """
    refused: tuple[type[Exception], ...] = (SweepError, LedgerError, *errors)
    try:
        commands()
    except refused as error:
        _refuse(str(error))
    except (sqlite3.Error, pd.errors.DatabaseError) as error:
        _refuse(f"the ledger cannot be used: {error}")
    except OSError as error:
        _refuse(f"{error.filename or 'a file'}: {error.strerror or error}")


def _refuse(message: str) -> NoReturn:
    err.print(f"error: {message}", style="red", markup=False, soft_wrap=True)
    sys.exit(BAD_INPUT)
