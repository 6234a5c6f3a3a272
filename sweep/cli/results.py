"""``status``, ``report``, ``criteria`` and ``stopping``: what is recorded. Only the last loads Ray."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transfer_sweep.reports.formats import Format
from transfer_sweep.sweep.cli.options import RESULTS, ChoosingCriterion, Name, Overrides, Plugins, Results, out, say
from transfer_sweep.sweep.errors import SweepError

if TYPE_CHECKING:
    from rich.table import Table

SECONDS_BETWEEN_STATUS = 5
SECONDS_BETWEEN_PAGES = 30

Everything = Annotated[bool, typer.Option("--all", help="Trials of former plans too.")]


def status(
    name: Name,
    results: Results = RESULTS,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew while trials report.")] = False,
    _plugins: Plugins = None,
) -> None:
    """What is done, running, stopped and failed, while an experiment runs or after."""
    path = _ledger_of(name, results)
    if not watch:
        table, lines = _status(path)
        out.print(table)
        for line in lines:
            say(line, out)
        return
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(console=out, auto_refresh=False) as live:
        for _ in _whenever_trials_report([path], SECONDS_BETWEEN_STATUS):
            table, lines = _status(path)
            live.update(Group(table, *(Text(line) for line in lines)), refresh=True)


def _ledger_of(name: str, results: Path) -> Path:
    """The ledger of an experiment, given by its name or file."""
    from transfer_sweep.reports.ledger.ledger import FILE

    return results / Path(name).stem / FILE


def _status(path: Path) -> tuple[Table, list[str]]:
    """How the current plan of a ledger stands: the table of its cells, and what is said below it."""
    from transfer_sweep.reports import selection
    from transfer_sweep.reports.ledger.ledger import Ledger
    from transfer_sweep.reports.ledger.records import LOST, TrialState, planned
    from transfer_sweep.sweep.progress import live_view
    from transfer_sweep.sweep.progress.run_state import RunState, scores_of

    with Ledger(path) as ledger:
        trials = ledger.trials()
        recorded = ledger.meta("experiment") or {}
        criterion = selection.stopping_criterion_for(recorded.get("criterion", selection.DEFAULT))
        candidates = selection.candidates(ledger)
        seconds = ledger.seconds()
    states = {key: TrialState(text) for key, text in zip(trials["id"], trials["state"], strict=True)}
    state = RunState(planned(trials), states, scores_of(candidates, criterion), criterion)
    counts = ", ".join(f"{n} {name}" for name, n in sorted(state.counts().items()))
    lines = [f"{counts} of {len(state.trials)} trials", f"{live_view.clock(seconds)} of trial time spent"]
    for trial in trials[trials["state"].isin(LOST)].head(5).to_dict("records"):
        last_line = str(trial["error"] or "").strip().splitlines()[-1:] or ["no error recorded"]
        lines.append(f"failed: {trial['method']} {trial['source']}-{trial['target']}: {last_line[0]}")
    return live_view.table(state), lines


def report(
    name: Annotated[str | None, typer.Argument(help="An experiment; none: every one in the results folder.")] = None,
    results: Results = RESULTS,
    format_: Annotated[
        Format | None, typer.Option("--format", help="Form of the report: md if absent; html with --watch.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--out", help="A file or folder; figures go beside it. A page goes beside the ledger if absent."),
    ] = None,
    criterion: ChoosingCriterion = None,
    everything: Everything = False,
    export_logs: Annotated[
        Path | None,
        typer.Option(
            help="A folder: write the chosen trials' epochs there, <method>/<source>_to_<target>/<method>.csv."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Write the page anew while trials report.")] = False,
    _plugins: Plugins = None,
) -> None:
    """Tables beside the published numbers: on stdout, in files, or as a page."""
    if watch and format_ not in (None, Format.HTML):
        raise SweepError(f"--watch writes a page: leave --format {format_} out")
    form = format_ or (Format.HTML if watch else Format.MD)
    paths = _ledgers(results) if name is None else [_ledger_of(name, results)]
    _check_criterion(criterion)
    if export_logs is not None:
        from transfer_sweep.reports.formats import epoch_logs

        for file in epoch_logs.export(paths, export_logs, criterion, everything):
            say(f"wrote {file}")
        return
    from transfer_sweep.reports import report as reports

    if output is None and form is not Format.HTML:
        print(reports.render(paths, form, criterion, everything))
        return

    def write(refresh: int | None = None) -> None:
        # One after another: where a page goes by itself, it goes to the folder of its ledger.
        for part in [paths] if output is not None else [[path] for path in paths]:
            where = part[0].with_name("report.html") if output is None else output
            for file in reports.write(part, where, form, criterion, everything, refresh):
                say(f"wrote {file}")

    if watch:
        _watch(paths, write)
    else:
        write()


def _ledgers(results: Path) -> list[Path]:
    """Every ledger in a folder of results."""
    from transfer_sweep.reports.ledger.ledger import FILE

    paths = sorted(results.glob(f"*/{FILE}"))
    if not paths:
        raise SweepError(f"no results in {results}: `python -m sweep run NAME` makes some")
    return paths


def _watch(paths: Sequence[Path], write: Callable[[int | None], None]) -> None:
    """Write whenever trials have reported, until all have ended.

    Args:
        paths: the ledgers.
        write: writes pages that load themselves again after so many seconds; None: that are final.
    """
    for _ in _whenever_trials_report(paths, SECONDS_BETWEEN_PAGES):
        write(SECONDS_BETWEEN_PAGES)
    write(None)


def _whenever_trials_report(paths: Sequence[Path], seconds: float) -> Iterator[None]:
    """Once now, and whenever trials have reported, until all have ended (and no pass over more seeds has begun since).

    Args:
        paths: the ledgers.
        seconds: between two looks.
    """
    from transfer_sweep.reports.ledger.ledger import Ledger

    before: list[tuple[int, int]] | None = None
    while True:
        with ExitStack() as stack:
            now = [stack.enter_context(Ledger(path)).progress_counts() for path in paths]
        if now != before:
            yield
        elif not any(unfinished for _, unfinished in now):
            return
        before = now
        time.sleep(seconds)


def _check_criterion(name: str | None) -> None:
    """Refuse a criterion that there is not."""
    from transfer_sweep.reports.drawn_labels import FORM, ByLabels
    from transfer_sweep.reports.selection import CRITERIA

    if name is not None and name not in CRITERIA and ByLabels.parse(name) is None:
        raise SweepError(f"unknown criterion {name!r} (there are: {', '.join(CRITERIA)}, {FORM})")


def criteria(
    files: Annotated[list[Path], typer.Argument(help="Trials of runs: the *.trials.csv.gz beside their reports.")],
    _plugins: Plugins = None,
) -> None:
    """Which criterion to trust: what choosing by each costs against the oracle, over recorded runs."""
    from transfer_sweep.algorithms import registry
    from transfer_sweep.reports import regret
    from transfer_sweep.reports.formats import markdown
    from transfer_sweep.reports.sections import choosing

    twice = [name for name, n in Counter(path.name for path in files).items() if n > 1]
    if twice:
        raise SweepError(f"two files are named {twice[0]}: rename one, columns are told apart by it")
    try:
        trials = {path.name.removesuffix(regret.SUFFIX): regret.read(path, registry.names()) for path in files}
        table = choosing.across_experiments(regret.regrets(trials))
    except ValueError as error:
        raise SweepError(str(error)) from None
    print(markdown.render([table]), end="")


def stopping(
    name: Name,
    results: Results = RESULTS,
    overrides: Overrides = None,
    criterion: ChoosingCriterion = None,
    _plugins: Plugins = None,
) -> None:
    """What early stopping would have saved and cost, replayed over a run that had none."""
    from transfer_sweep.reports import selection
    from transfer_sweep.reports.formats import markdown
    from transfer_sweep.reports.ledger.ledger import FILE, Ledger
    from transfer_sweep.sweep.config import loader
    from transfer_sweep.sweep.stopping.replay import Replay

    experiment = loader.load(name, None, overrides or [])
    asha = experiment.early_stopping.model_copy(update={"scheduler": "asha"})
    with Ledger(results / experiment.name / FILE) as ledger:
        _check_criterion(criterion)
        chosen_by = criterion or selection.stopping_criterion_for(experiment.criterion)
        print(markdown.render(Replay(ledger, asha).tables(chosen_by)), end="")
