"""The ledger: one SQLite file per experiment, the single source of truth of what ran.

Only the driver writes, under an OS lock that dies with it; anyone reads at any time (WAL). Every reported
epoch is one committed transaction, so a SIGKILL at any moment loses none. An epoch repeated after a
checkpoint overwrites its row and keeps its sequence number, so that it counts once, where it first arrived.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
from filelock import FileLock, Timeout

from transfer_sweep import UserError
from transfer_sweep.reports.ledger.records import EpochReport, Trial, TrialState, canonical
from transfer_sweep.reports.ledger.schema import MIGRATIONS, SCHEMA_VERSION

FILE = "ledger.sqlite"
"""A ledger's name in the folder of its experiment."""

BUSY_SECONDS = 30  # for which one waits while another process has the file locked


class LedgerError(UserError, RuntimeError):
    """A ledger that cannot be read, written or locked. Its text is one line for the user."""


def _numbers(values: Mapping[str, float]) -> str:
    return canonical({k: (float(v) if math.isfinite(v) else None) for k, v in values.items()})


class Ledger:
    """An open ledger. Use it as a context manager.

    Args:
        path: the SQLite file (``<results>/<experiment>/ledger.sqlite``).
        write: open for writing: creates it where it is absent, migrates it, and takes the driver's lock.

    Raises:
        LedgerError: it does not exist (reading), is no ledger, comes from a newer version, cannot be
            written, or (writing) another driver holds the lock.
    """

    def __init__(self, path: Path, write: bool = False) -> None:
        self.path = path
        self.write = write
        self._lock: FileLock | None = None
        if write:
            self._take_lock()
        try:
            self._db = self._connect()
            self._check_version()
        except sqlite3.Error as error:
            self._release()
            raise LedgerError(f"cannot open the ledger {path}: {error}") from error
        except LedgerError:
            self._release()
            raise
        if write:
            row = self._db.execute("SELECT coalesce(max(seq), 0) FROM epochs").fetchone()
            self._seq = int(row[0])

    def _take_lock(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path.with_suffix(".lock"))
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise LedgerError(
                f"{self.path.parent.name} is being run by another process (it holds {self.path.with_suffix('.lock')}); "
                f"watch it with `python -m sweep status {self.path.parent.name}`"
            ) from error
        except OSError as error:
            raise LedgerError(f"cannot write to the results folder {self.path.parent}: {error.strerror}") from error

    def _connect(self) -> sqlite3.Connection:
        if self.write:
            db = sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA foreign_keys=ON")
        else:
            if not self.path.exists():
                raise LedgerError(
                    f"no results at {self.path.parent}: `python -m sweep run {self.path.parent.name}` first"
                )
            where = f"{self.path.absolute().as_uri()}?mode=ro"
            if not os.access(self.path.parent, os.W_OK) and not Path(f"{self.path}-wal").exists():
                where += "&immutable=1"  # readers of a WAL file write beside it, unless nobody changes it
            db = sqlite3.connect(where, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
        db.row_factory = sqlite3.Row
        return db

    def _check_version(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"the ledger {self.path} was written by a newer version of sweep (schema {version}, this one reads "
                f"up to {SCHEMA_VERSION}): update sweep, or name another folder with --results"
            )
        if not self.write:
            if version < SCHEMA_VERSION:
                raise LedgerError(f"the ledger {self.path} is of schema {version}: `run` the experiment to migrate it")
            return
        for step in range(version, SCHEMA_VERSION):
            self._db.executescript(f"BEGIN; {MIGRATIONS[step]} PRAGMA user_version={step + 1}; COMMIT;")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release the lock."""
        self._db.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    # --- writing (the driver only) ---

    def set_meta(self, key: str, value: object) -> None:
        """Store a JSON value under ``key`` (``experiment``, ``profile``, ``command`` …)."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, canonical(value)))

    def add_environment(self, record: Mapping[str, object]) -> None:
        """Record where a driver run happens: commit, versions, hardware, command."""
        self._db.execute(
            "INSERT INTO environments (started_at, record) VALUES (?, ?)", (time.time(), canonical(dict(record)))
        )

    def set_plan(self, trials: Iterable[Trial]) -> None:
        """Make ``trials`` the current plan, in this order.

        New trials are added as pending; trials of former plans stay, with their results, outside of the plan.
        What a dead driver left ``running`` is pending again.
        """
        with self._transaction():
            self._db.execute("UPDATE trials SET position = NULL")
            self._db.execute("UPDATE trials SET state = 'pending' WHERE state = 'running'")
            self._db.executemany(
                "INSERT INTO trials (id, position, role, dataset, protocol, method, source, target, params, seed,"
                " budget, state) VALUES (:id, :position, :role, :dataset, :protocol, :method, :source, :target,"
                " :params, :seed, :budget, 'pending')"
                " ON CONFLICT (id) DO UPDATE SET position = excluded.position, role = excluded.role,"
                " protocol = excluded.protocol",
                (trial.encode() | {"position": position} for position, trial in enumerate(trials)),
            )

    def start(self, trial: str, resources: Mapping[str, float]) -> None:
        """A trial starts (or continues) running with these resources."""
        self._db.execute(
            "UPDATE trials SET state = 'running', attempts = attempts + 1, error = NULL, resources = ?,"
            " started_at = coalesce(started_at, ?), finished_at = NULL WHERE id = ?",
            (canonical(dict(resources)), time.time(), trial),
        )

    def wait(self, trial: str) -> None:
        """A running trial lost its process, and waits to continue."""
        self._db.execute("UPDATE trials SET state = 'pending' WHERE id = ?", (trial,))

    def record_epoch(
        self,
        trial: str,
        report: EpochReport,
        artefacts: Mapping[str, str] | None = None,
        state: TrialState | None = None,
    ) -> None:
        """One reported epoch and, with ``state``, the end of the trial, in one transaction.

        Args:
            trial: its id.
            report: what it said.
            artefacts: kind → path relative to the experiment's folder, of what is kept of the trial so far.
            state: how it ended, where this was its last epoch.
        """
        accuracy = report.target_accuracy
        with self._transaction():
            self._seq += 1
            self._db.execute(
                "INSERT INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trial, epoch) DO UPDATE SET"
                " target_accuracy = excluded.target_accuracy, criteria = excluded.criteria,"
                " losses = excluded.losses, seconds = excluded.seconds",
                (
                    trial,
                    report.epoch,
                    self._seq,
                    accuracy if math.isfinite(accuracy) else None,
                    _numbers(report.criteria),
                    _numbers(report.losses),
                    report.seconds,
                ),
            )
            if artefacts:
                self._db.execute("UPDATE trials SET artefacts = ? WHERE id = ?", (canonical(dict(artefacts)), trial))
            if state is not None:
                self.finish(trial, state)

    def finish(self, trial: str, state: TrialState, error: str | None = None) -> None:
        """A trial ended; ``error`` is the traceback of one that failed."""
        self._db.execute(
            "UPDATE trials SET state = ?, error = ?, finished_at = ? WHERE id = ?", (state, error, time.time(), trial)
        )

    def drop_artefacts(self, kinds: Iterable[str], trials: Iterable[str]) -> None:
        """Forget artefacts of these kinds of some trials: their files are gone."""
        paths = [f"$.{kind}" for kind in kinds]
        query = f"UPDATE trials SET artefacts = json_remove(artefacts, {', '.join('?' * len(paths))}) WHERE id = ?"
        with self._transaction():
            self._db.executemany(query, ((*paths, trial) for trial in trials))

    def set_checkpoint(self, trial: str, path: str | None) -> None:
        """The newest checkpoint of a trial, relative to the storage of the run."""
        self._db.execute("UPDATE trials SET checkpoint = ? WHERE id = ?", (path, trial))

    def forget(self, trials: Iterable[str]) -> None:
        """Remove trials with their epochs (``run --fresh``)."""
        with self._transaction():
            self._db.executemany("DELETE FROM trials WHERE id = ?", ((t,) for t in trials))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    # --- reading ---

    def meta(self, key: str, default: Any = None) -> Any:
        """The JSON value stored under ``key``."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def environments(self) -> list[dict[str, Any]]:
        """Every driver run's environment, oldest first; ``started_at`` in seconds since 1970."""
        rows = self._db.execute("SELECT started_at, record FROM environments ORDER BY id")
        return [{"started_at": r["started_at"], **json.loads(r["record"])} for r in rows]

    def trials(self, everything: bool = False) -> pd.DataFrame:
        """The trials of the current plan in its order (``everything``: former plans' too), one row each.

        Columns are the table's; ``params``, ``protocol`` and ``artefacts`` are JSON texts.
        """
        where = "" if everything else "WHERE position IS NOT NULL"
        return pd.read_sql_query(f"SELECT * FROM trials {where} ORDER BY position IS NULL, position, id", self._db)

    def outcomes(self, everything: bool = False) -> pd.DataFrame:
        """The trials that reported at least once, at their last reported epoch, in plan order.

        Columns: those of :meth:`trials`; ``epoch``, ``target_accuracy`` and ``criteria`` (JSON text) of the last
        epoch; over all epochs ``best_accuracy``, ``epochs_spent`` and ``seconds``.
        """
        where = "" if everything else "WHERE t.position IS NOT NULL"
        return pd.read_sql_query(
            "SELECT t.*, last.epoch, last.target_accuracy, last.criteria, spent.best_accuracy, spent.epochs_spent,"
            " spent.seconds FROM trials t JOIN (SELECT trial, max(epoch) AS epoch, count(*) AS epochs_spent,"
            " max(target_accuracy) AS best_accuracy, sum(seconds) AS seconds FROM epochs GROUP BY trial) spent"
            " ON spent.trial = t.id JOIN epochs last ON last.trial = t.id AND last.epoch = spent.epoch"
            f" {where} ORDER BY t.position IS NULL, t.position, t.id",
            self._db,
        )

    def states(self) -> dict[str, TrialState]:
        """Trial id → state, for every trial."""
        return {key: TrialState(state) for key, state in self._db.execute("SELECT id, state FROM trials")}

    def progress_counts(self) -> tuple[int, int]:
        """(number of stored epochs, number of the current plan's trials that have not ended): what a watcher asks."""
        epochs = self._db.execute("SELECT count(*) FROM epochs").fetchone()[0]
        query = "SELECT count(*) FROM trials WHERE position IS NOT NULL AND state IN ('pending', 'running')"
        return int(epochs), int(self._db.execute(query).fetchone()[0])

    def seconds(self) -> float:
        """Time spent in the epochs of the current plan's trials."""
        query = "SELECT coalesce(sum(seconds), 0) FROM epochs JOIN trials ON id = trial WHERE position IS NOT NULL"
        return float(self._db.execute(query).fetchone()[0])

    def checkpoints(self) -> dict[str, str]:
        """Trial id → the checkpoint that an unfinished trial continues from, relative to the storage of the run."""
        query = "SELECT id, checkpoint FROM trials WHERE checkpoint IS NOT NULL AND state NOT IN ('done', 'stopped')"
        return dict(self._db.execute(query).fetchall())

    def out_of_memory(self) -> dict[str, float]:
        """Trial id → the share of a GPU with which it ran out of memory, for those whose last attempt ended so."""
        query = "SELECT id, coalesce(json_extract(resources, '$.gpu'), 0) FROM trials WHERE state = 'oom'"
        return dict(self._db.execute(query).fetchall())

    def arrivals(self) -> Iterator[tuple[str, int, dict[str, float | None]]]:
        """(trial, epoch, criteria) of every stored epoch, in order of first arrival."""
        for row in self._db.execute("SELECT trial, epoch, criteria FROM epochs ORDER BY seq"):
            yield row["trial"], row["epoch"], json.loads(row["criteria"])

    def history(self, trials: Iterable[str]) -> pd.DataFrame:
        """Every reported epoch of some trials, by trial and epoch; JSON columns as text."""
        return pd.read_sql_query(
            "SELECT * FROM epochs WHERE trial IN (SELECT value FROM json_each(?)) ORDER BY trial, epoch",
            self._db,
            params=(json.dumps(list(trials)),),
        )

    def epochs(self, everything: bool = False) -> pd.DataFrame:
        """One row per (trial, epoch), in order of first arrival; JSON columns as text."""
        where = "" if everything else "WHERE trial IN (SELECT id FROM trials WHERE position IS NOT NULL)"
        return pd.read_sql_query(f"SELECT * FROM epochs {where} ORDER BY seq", self._db)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK where an exception passes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
