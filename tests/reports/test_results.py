"""What is read of a ledger."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ledgers
from tests.support.small_ledger import PAIRS, RUNS, Run, experiment
from transfer_sweep.reports import results
from transfer_sweep.reports.ledger.ledger import Ledger


def test_former_plans_are_shown_on_request_only(tmp_path: Path) -> None:
    path = experiment(tmp_path, RUNS)
    with Ledger(path, write=True) as ledger:
        ledger.set_plan(run.trial for run in RUNS if run.method == "dann")
    assert set(results.read(path).records["method"]) == {"dann"}
    assert set(results.read(path, everything=True).records["method"]) == {"dann", "source_only"}


def test_best_over_epochs_is_never_below_the_mean_over_seeds_beside_it(tmp_path: Path) -> None:
    seeds = [
        Run("dann", *PAIRS[0], {}, [(accuracy, 1.0, 1.0)], role="confirm" if seed else "search", seed=seed)
        for seed, accuracy in enumerate((80.0, 90.0, 88.0))
    ]
    records = results.read(experiment(tmp_path, seeds)).records
    (oracle,) = results.dicts(records[records["selection"] == "oracle"])
    assert (oracle["target_accuracy_mean"], oracle["best_over_epochs"]) == (86.0, 86.0)


def test_the_experiments_own_criterion_is_the_default(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, RUNS, criterion="bnm"))
    assert own.criterion == "bnm"


def test_reading_asks_a_large_ledger_no_more_often_than_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(trials: int) -> int:
        path = tmp_path / str(trials) / "ledger.sqlite"
        ledgers.make(path, trials)
        statements: list[str] = []

        def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            db: sqlite3.Connection = connect(*args, **kwargs)
            db.set_trace_callback(statements.append)
            return db

        with monkeypatch.context() as patched:
            patched.setattr(sqlite3, "connect", traced)
            assert len(results.read(path).trials) == trials
        return len(statements)

    connect = sqlite3.connect
    assert 0 < asked(132) == asked(528)
