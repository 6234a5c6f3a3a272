"""The live view of a run, and the same picture of a ledger at rest."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger import few_labels
from transfer_sweep.reports.ledger.records import Trial

PLAIN_EVERY = 15.0  # seconds between lines where there is no terminal
ENDED = ("done", "stopped", "failed", "oom")
Event = Mapping[str, Any]


class Board:
    """Counts per cell: what is done, running, stopped, failed, and the best so far.

    Args:
        rows: the plan.
        states: trial id → state in the ledger.
        bests: trial id → (guarded score, target accuracy) of trials that reported before.
        criterion: what "best" means; the accuracy shown is of the trial it prefers, not the oracle's.
    """

    def __init__(
        self,
        rows: Iterable[Trial],
        states: Mapping[str, str],
        bests: Mapping[str, tuple[float, float]],
        criterion: str = selection.DEFAULT,
    ) -> None:
        self.rows = {row.id: row for row in rows}
        tags = {
            text: few_labels.tag(json.loads(text).get("few")) for text in {row.protocol for row in self.rows.values()}
        }
        self._names = {key: row.method + tags[row.protocol] for key, row in self.rows.items()}
        self.states = {key: states.get(key, "pending") for key in self.rows}
        self.criterion = criterion
        self.last_error = ""
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._running_since: dict[str, float] = {}
        self._best: dict[tuple[str, str, str], tuple[float, float]] = {}
        self.started = time.monotonic()
        self.finished_here = 0
        for key, best in bests.items():
            if key in self.rows:
                self._note(self.rows[key], *best)

    def event(self, key: str, event: str, result: Event) -> None:
        """Take in what the recorder says."""
        now = time.monotonic()
        row = self.rows[key]
        if event == "started":
            self.states[key] = "running"
            self._running_since[key] = now
            return
        if event == "lost":
            self.states[key] = "pending"
            return
        if result.get("epochs") and "error" not in result:
            self._note(row, result["score"], result["epochs"][-1]["target_accuracy"])
        if event in ENDED:
            self.states[key] = event
            self.finished_here += 1
            self._seconds[row.method].append(now - self._running_since.pop(key, now))
            if event in ("failed", "oom") and result.get("error"):
                last = str(result["error"]).strip().splitlines()[-1]
                self.last_error = f"{row.method} {row.source}-{row.target}: {last}"

    def _note(self, row: Trial, score: float, accuracy: float) -> None:
        cell = (self._names[row.id], row.source, row.target)
        if score > self._best.get(cell, (float("-inf"), 0.0))[0]:
            self._best[cell] = (score, accuracy)

    def counts(self) -> Counter[str]:
        """Trials by state."""
        return Counter(self.states.values())

    def best_scores(self) -> dict[tuple[str, str, str], float]:
        """(method, source, target) → the best score so far."""
        return {cell: score for cell, (score, _) in self._best.items()}

    def seconds_left(self, slots: int) -> float | None:
        """An estimate from the mean time of each method's trials in this run; None before any has ended."""
        known = [s for times in self._seconds.values() for s in times]
        if not known:
            return None
        mean = sum(known) / len(known)
        waiting = [self.rows[k].method for k, state in self.states.items() if state in ("pending", "running")]
        per_method = {m: sum(t) / len(t) for m, t in self._seconds.items() if t}
        return sum(per_method.get(m, mean) for m in waiting) / max(1, slots)

    def line(self, slots: int) -> str:
        """The state of the run in one line."""
        counts = self.counts()
        elapsed = time.monotonic() - self.started
        left = self.seconds_left(slots)
        ended = sum(counts[s] for s in ENDED)
        parts = [
            f"{ended}/{len(self.rows)} trials",
            *(f"{counts[s]} {s}" for s in ("running", "stopped", "failed", "oom") if counts[s]),
            f"{self.finished_here / elapsed:.1f} trials/s" if elapsed > 0 else "",
            f"{clock(left)} left" if left is not None else "",
        ]
        return f"[{clock(elapsed)}] " + ", ".join(p for p in parts if p)

    def table(self) -> Table:
        """Methods × pairs: trials ended of all, stopped ones, failures, and the accuracy of the best so far."""
        pairs = list(dict.fromkeys((r.source, r.target) for r in self.rows.values()))
        methods = list(dict.fromkeys(self._names.values()))
        cells: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
        for key, row in self.rows.items():
            cells[self._names[key], row.source, row.target][self.states[key]] += 1
        table = Table(
            title=None,
            caption=f"ended/all, target accuracy of the choice by {self.criterion} so far",
            pad_edge=False,
            padding=(0, 1, 0, 0),
            box=None,
        )
        table.add_column("method", no_wrap=True)
        for source, target in pairs:
            short = f"{source[:1].upper()}→{target[:1].upper()}"
            table.add_column(short if len(pairs) > 3 else f"{source}→{target}", justify="right", no_wrap=True)
        compact = len(pairs) > 6
        for method in methods:
            shown = (self._cell(cells.get((method, *pair)), (method, *pair), compact) for pair in pairs)
            table.add_row(method, *shown)
        return table

    def _cell(self, counts: Counter[str] | None, cell: tuple[str, str, str], compact: bool) -> Text:
        """``5/21 47.6``; with many pairs, ``5/21`` until all have ended, then ``47.6``."""
        if counts is None:
            return Text("")
        ended = sum(counts[s] for s in ENDED)
        best = f"{self._best[cell][1]:.1f}" if cell in self._best else ""
        over = ended == counts.total() and bool(best)
        text = Text("" if compact and over else f"{ended}/{counts.total()}")
        if best and (over or not compact):
            text.append(f"{' ' * bool(text.plain)}{best}", style="bold")
        if counts["failed"] or counts["oom"]:
            text.append(f" {counts['failed'] + counts['oom']}✗", style="red")
        if counts["running"]:
            text.stylize("cyan")
        return text


class View:
    """Shows a board while a run goes on: a live table on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._board: Board | None = None
        self._slots = 1
        self._live: Live | None = None
        self._printed = 0.0

    def start(self, board: Board, slots: int) -> None:
        """A pass begins."""
        self._board, self._slots = board, slots
        if self.console.is_terminal:
            self._live = Live(self, console=self.console, refresh_per_second=2, transient=True)
            self._live.start()

    def event(self, key: str, event: str, result: Event) -> None:
        """Something happened to a trial."""
        assert self._board is not None
        before = self._board.last_error
        self._board.event(key, event, result)
        if event == "lost":
            row = self._board.rows[key]
            text = f"lost: {row.method} {row.source}-{row.target}: its process or node is gone, it continues elsewhere"
            self.console.print(text, markup=False, highlight=False)
        now = time.monotonic()
        if self._board.last_error != before and self._live is None:
            self.console.print(f"failed: {self._board.last_error}", markup=False, highlight=False)
        if self._live is None and now - self._printed >= PLAIN_EVERY:
            self._printed = now
            self.console.print(self._board.line(self._slots), markup=False, highlight=False)

    def stop(self) -> None:
        """The pass ended: leave its last state on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            self.console.print(self)
        elif self._board is not None:
            self.console.print(self._board.line(self._slots), markup=False, highlight=False)

    def __rich__(self) -> Group:
        assert self._board is not None
        counts = self._board.counts()
        bar = Progress(BarColumn(bar_width=40), MofNCompleteColumn(), TextColumn("{task.description}"))
        ended = sum(counts[s] for s in ENDED)
        bar.add_task(self._board.line(self._slots), total=len(self._board.rows), completed=ended)
        parts: list[Any] = [self._board.table(), bar]
        if self._board.last_error:
            parts.append(
                Text(f"last failure: {self._board.last_error}", style="red", overflow="ellipsis", no_wrap=True)
            )
        return Group(*parts)


class Announcer:
    """Says how work before the trials (features, decoding) goes on: bars on a terminal, else a line at each tenth."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, int] = {}
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` units of ``what`` are there."""
        if self._console.is_terminal:
            self._draw(what, done, total)
            return
        tenth = 10 * done // total if total else 0
        if self._said.get(what) != tenth:
            self._said[what] = tenth
            self._console.print(f"{what}: {done}/{total or '?'}", markup=False, highlight=False)

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


def best_of(found: pd.DataFrame, criterion: str) -> dict[str, tuple[float, float]]:
    """Trial id → (guarded score, target accuracy), from ``selection.candidates``: what a board starts with."""
    names = [name for name in (*selection.OWN, "predicted_classes") if name in found]
    return {
        str(row["id"]): (
            selection.guarded_score({n: row[n] for n in names}, criterion),
            float(row["target_accuracy"]) if pd.notna(row["target_accuracy"]) else 0.0,
        )
        for row in found.to_dict("records")
    }


def clock(seconds: float) -> str:
    """``75`` → ``1:15``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
