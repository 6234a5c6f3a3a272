"""What is seen of a run: a live table on a terminal, lines elsewhere, and the same table of a ledger at rest."""

from __future__ import annotations

import math
import time
from collections import Counter

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.sweep.progress.run_state import RunState, Score
from transfer_sweep.sweep.trial.report import TrialEvent

SECONDS_BETWEEN_LINES = 15.0  # where there is no terminal
_SHOWN = (TrialState.RUNNING, TrialState.STOPPED, TrialState.FAILED, TrialState.OOM)
COMPACT_FROM = 7  # pairs from which on a column has no room for counts and accuracy


class LiveView:
    """Shows the state of a run while it goes on: a live table on a terminal, plain lines elsewhere.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._state: RunState | None = None
        self._slots = 1
        self._live: Live | None = None
        self._printed = 0.0

    def start(self, state: RunState, slots: int) -> None:
        """A pass begins.

        Args:
            state: what is shown; :meth:`event` keeps it up to date.
            slots: trials that run at a time.
        """
        self._state, self._slots = state, slots
        if self.console.is_terminal:
            self._live = Live(self, console=self.console, refresh_per_second=2, transient=True)
            self._live.start()

    def event(self, event: TrialEvent) -> None:
        """Take in what happened to a trial."""
        assert self._state is not None
        error_before = self._state.last_error
        self._state.event(event)
        if event.state is TrialState.PENDING:
            trial = self._state.trials[event.trial]
            self._print(f"lost: {trial.method} {trial.pair}: its process or node is gone, it continues elsewhere")
        if self._live is not None:
            return
        if self._state.last_error != error_before:
            self._print(f"failed: {self._state.last_error}")
        now = time.monotonic()
        if now - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = now
            self._print(summary(self._state, self._slots))

    def stop(self) -> None:
        """The pass ended: leave its last state on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            self.console.print(self)
        elif self._state is not None:
            self._print(summary(self._state, self._slots))

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __rich__(self) -> Group:
        assert self._state is not None
        bar = Progress(BarColumn(bar_width=40), MofNCompleteColumn(), TextColumn("{task.description}"))
        bar.add_task(summary(self._state, self._slots), total=len(self._state.trials), completed=self._state.ended())
        parts: list[Table | Progress | Text] = [table(self._state), bar]
        if self._state.last_error:
            parts.append(
                Text(f"last failure: {self._state.last_error}", style="red", overflow="ellipsis", no_wrap=True)
            )
        return Group(*parts)


def summary(state: RunState, slots: int) -> str:
    """The state of a run in one line.

    Args:
        state: of the run.
        slots: trials that run at a time, from which the time left is estimated.
    """
    counts, elapsed, left = state.counts(), state.elapsed(), state.seconds_left(slots)
    parts = [
        f"{state.ended()}/{len(state.trials)} trials",
        *(f"{counts[each]} {each}" for each in _SHOWN if counts[each]),
        f"{state.ended_here / elapsed:.1f} trials/s" if elapsed > 0 else "",
        f"{clock(left)} left" if left is not None else "",
    ]
    return f"[{clock(elapsed)}] " + ", ".join(part for part in parts if part)


def table(state: RunState) -> Table:
    """Methods × pairs: trials ended of all, stopped ones, failures, and the accuracy of the best so far.

    Where the target has no labels, the criterion's value stands in the place of accuracy.
    """
    pairs = list(dict.fromkeys(pair for _, pair in state.places.values()))
    methods = list(dict.fromkeys(method for method, _ in state.places.values()))
    counts, best = state.counts_by_place(), state.best()
    labelled = {score.accuracy is not None for score in best.values()} or {True}
    accuracy = f"target accuracy of the choice by {state.criterion} so far"
    value = f"three decimals: {state.criterion} of the best so far, where the target has no labels"
    caption = ", ".join(["ended/all", *[accuracy] * (True in labelled), *[value] * (False in labelled)])
    drawn = Table(
        caption=caption,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        box=None,
    )
    drawn.add_column("method", no_wrap=True)
    for source, target in pairs:
        short = f"{source[:1].upper()}→{target[:1].upper()}"
        drawn.add_column(short if len(pairs) > 3 else f"{source}→{target}", justify="right", no_wrap=True)
    compact = len(pairs) >= COMPACT_FROM
    for method in methods:
        places = [(method, pair) for pair in pairs]
        drawn.add_row(method, *(_cell(counts.get(place), best.get(place), compact) for place in places))
    return drawn


def _cell(counts: Counter[TrialState] | None, best: Score | None, compact: bool) -> Text:
    """``5/21 47.6``; with many pairs, ``5/21`` until all have ended, then ``47.6``."""
    if counts is None:
        return Text("")
    ended = sum(n for state, n in counts.items() if state.ended)
    over = ended == counts.total() and best is not None
    text = Text("" if compact and over else f"{ended}/{counts.total()}")
    if best is not None and (over or not compact):
        text.append(f"{' ' * bool(text.plain)}{_reached(best)}", style="bold")
    if lost := sum(n for state, n in counts.items() if state.lost):
        text.append(f" {lost}✗", style="red")
    if counts[TrialState.RUNNING]:
        text.stylize("cyan")
    return text


def _reached(best: Score) -> str:
    """The accuracy or, where there is none, the criterion's value, in three decimals; ``collapsed`` of such a trial."""
    if best.accuracy is not None:
        return f"{best.accuracy:.1f}"
    value, collapsed = selection.unguarded(best.criterion)
    return "collapsed" if collapsed else "diverged" if math.isnan(value) else f"{value:.3f}"


class ProgressPrinter:
    """Says how work before the trials (features, decoding) goes on: bars on a terminal, else a line at each tenth.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed_tenth: dict[str, int] = {}
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` units of ``what`` are there."""
        if self._console.is_terminal:
            self._draw(what, done, total)
            return
        tenth = 10 * done // total if total else 0
        if self._printed_tenth.get(what) != tenth:
            self._printed_tenth[what] = tenth
            self._console.print(f"{what}: {done}/{total or '?'}", markup=False, highlight=False, soft_wrap=True)

    def _draw(self, what: str, done: int, total: int | None) -> None:
        if self._bars is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=self._console)
            self._bars.start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)
        if all(task.finished for task in self._bars.tasks):
            self._bars.stop()
            self._bars, self._tasks = None, {}


def clock(seconds: float) -> str:
    """A duration: ``75`` → ``1:15``, ``3675`` → ``1:01:15``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
