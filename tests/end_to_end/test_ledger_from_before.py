"""A ledger of the version before the nouns had types is continued: no trial that had finished runs again.

``before/ledger.sqlite`` is what commit f071763 left of :data:`tests.support.whole_run.EXPERIMENT` when its driver was
killed after 18 epochs, with one trial at a time: seven trials had finished, one was running.
"""

import shutil
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from tests.support.whole_run import one_at_a_time, read, report, run
from transfer_sweep.reports.ledger.ledger import Ledger

BEFORE = Path(__file__).parent / "before" / "ledger.sqlite"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A results folder that holds the ledger."""
    (tmp_path / "small").mkdir()
    shutil.copy(BEFORE, tmp_path / "small")
    return tmp_path


def _measured(epochs: pd.DataFrame) -> list[tuple[str, int, float, str, str]]:
    columns = ["trial", "epoch", "target_accuracy", "criteria", "losses"]
    return list(epochs[columns].itertuples(index=False, name=None))


def test_its_rows_are_read_as_they_were_written(folder: Path) -> None:
    trials, epochs = read(folder)
    assert trials["state"].value_counts().to_dict() == {"stopped": 5, "done": 2, "running": 1, "pending": 1}
    with closing(sqlite3.connect(folder / "small" / "ledger.sqlite")) as database:
        stored = database.execute("SELECT id, protocol, params FROM trials ORDER BY position").fetchall()
    assert list(trials[["id", "protocol", "params"]].itertuples(index=False, name=None)) == stored
    assert len(epochs) == 18
    shown = report(folder)
    assert "jda" in shown
    assert "nearest_neighbor" in shown


@pytest.mark.ray
def test_a_run_continues_it_to_the_end(folder: Path) -> None:
    before, epochs = read(folder)
    finished = before[before["state"].isin(["done", "stopped"])]
    done = one_at_a_time(folder)
    if "is not what it was" in done.stderr:
        pytest.skip("the packages that draw the digits are of other versions here")
    assert done.returncode == 0, done.stderr
    trials, after = read(folder)
    assert trials["id"].tolist() == before["id"].tolist()  # the same experiment plans the same ids, in the same order
    kept = trials.set_index("id").loc[finished["id"]].reset_index()
    assert kept[["id", "state", "attempts", "started_at"]].equals(
        finished.reset_index(drop=True)[["id", "state", "attempts", "started_at"]]
    )
    assert set(trials["state"]) == {"done", "stopped"}
    ran = set(finished["id"])
    assert _measured(after[after["trial"].isin(ran)]) == _measured(epochs[epochs["trial"].isin(ran)])
    assert (after.groupby("trial")["epoch"].agg(["max", "count"]).pipe(lambda e: e["max"] == e["count"])).all()
    again = run(folder)
    assert again.returncode == 0, again.stderr
    assert read(folder)[0].equals(trials)  # nothing is left to run
    rows = pd.read_csv(StringIO(report(folder, "--format", "csv")))
    with Ledger(folder / "small" / "ledger.sqlite") as ledger:
        outcomes = ledger.outcomes().set_index("id")
    assert rows["trials"].sum() == 2 * len(trials)  # by the criterion, and by the oracle
    for row in rows.to_dict("records"):
        assert row["target_accuracy_mean"] == pytest.approx(outcomes.loc[row["trial"], "target_accuracy"], abs=1e-3)
