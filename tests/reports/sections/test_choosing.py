"""What choosing without target labels costs."""

import dataclasses
from pathlib import Path

import pytest

from tests.support.shown_tables import column, row
from tests.support.small_ledger import RUNS, experiment
from transfer_sweep.reports import results
from transfer_sweep.reports.sections import choosing


def test_regret_stands_beside_that_of_the_other_criteria_and_of_chance(small: Path) -> None:
    table = choosing.table(results.read(small))
    assert table is not None
    assert row(table, "information maximization (used here)")[1:3] == ["80.00", "2.00"]
    assert row(table, "oracle")[1:3] == ["82.00", "0.00"]
    # The settings of a cell end at 70, 80, 82 and 3.
    assert row(table, "a random trial")[1:3] == ["58.75", "23.25"]


@pytest.mark.parametrize(("family", "once"), [("deep", True), ("shallow", False)])
def test_what_chooses_by_family_is_offered_where_it_is_none_of_the_others(
    tmp_path: Path, family: str, once: bool
) -> None:
    runs = [dataclasses.replace(run, predicted=[0, 1, 2]) for run in RUNS]
    families = {"source_only": "deep", "dann": family}
    own = results.read(experiment(tmp_path, runs, family=families, criterion="auto"))
    table = choosing.table(own)
    assert table is not None
    first, *others = column(table, "chosen by")
    assert first == ("information maximization (used here)" if once else "auto (used here)")
    assert own.criteria.count("auto") == (not once)
    assert own.criteria.count("information_maximization") == 1
    assert not any("used here" in each for each in others)
