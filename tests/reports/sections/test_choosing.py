"""What choosing without target labels costs."""

from pathlib import Path

from tests.support.shown_tables import row
from transfer_sweep.reports import results
from transfer_sweep.reports.sections import choosing


def test_regret_stands_beside_that_of_the_other_criteria_and_of_chance(small: Path) -> None:
    table = choosing.table(results.read(small))
    assert table is not None
    assert row(table, "information maximization (used here)")[1:3] == ["80.00", "2.00"]
    assert row(table, "oracle")[1:3] == ["82.00", "0.00"]
    # The settings of a cell end at 70, 80, 82 and 3.
    assert row(table, "a random trial")[1:3] == ["58.75", "23.25"]
