"""What a large report has done by a second process, while it reads the predictions of thousands of trials itself.

Tests between methods, the importance of hyperparameters and figures rest on libraries that take seconds to import.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from transfer_sweep.reports import statistics
from transfer_sweep.reports.ledger.ledger import Ledger

LARGE = 500
"""Trials from which on a process of its own is worth its start."""

P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """Begins work, and hands out its result when it is called for.

    Args:
        pool: one process, which does the work; None: it is done here, when its result is first called for.
    """

    def __init__(self, pool: Executor | None = None) -> None:
        self._pool = pool
        # The pool is given one thing at a time: what waits there could not be taken back.
        self._turns = None if pool is None else ThreadPoolExecutor(1)

    def begin(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> Callable[[], T]:
        """Begin; calling what is returned waits for the result.

        Where the other process has not begun by then, or was lost, the work is done here.
        """
        here = cache(partial(work, *given, **named))
        if self._pool is None or self._turns is None:
            return here
        pool = self._pool
        turn = self._turns.submit(lambda: pool.submit(work, *given, **named).result())

        def result() -> T:
            if turn.cancel():
                return here()
            try:
                return turn.result()
            except BrokenProcessPool:
                return here()

        return result

    def close(self) -> None:
        """Forget what is not begun, and wait for what is."""
        if self._turns is not None:
            self._turns.shutdown(cancel_futures=True)


HERE = Aside()
"""Without a second process."""


@contextmanager
def second_process(ledgers: Sequence[Path]) -> Iterator[Aside]:
    """A second process for the reports of these ledgers, where they are large and there is a core for it.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
    """
    if cores() < 2 or sum(map(_trials, ledgers)) < LARGE:
        yield HERE
        return
    try:
        # Not forked: what uses a report as a library may hold threads and locks.
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_end_with_the_report)
        pool.submit(statistics.load)
    except (OSError, ImportError, NotImplementedError):  # no semaphores, or no process to be had
        yield HERE
        return
    aside = Aside(pool)
    try:
        yield aside
    finally:
        aside.close()
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _trials(path: Path) -> int:
    with Ledger(path) as ledger:
        return len(ledger.states())


def _end_with_the_report() -> None:
    """However that one ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    report = multiprocessing.parent_process()
    assert report is not None

    def follow() -> None:
        report.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
