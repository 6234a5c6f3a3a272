"""What an experiment took."""

from pathlib import Path

from tests.support.shown_tables import row
from transfer_sweep.reports import results
from transfer_sweep.reports.sections import effort


def test_effort_counts_trials_by_state_and_epochs_against_the_full_grid(small: Path) -> None:
    table = effort.table(results.read(small))
    dann = dict(zip(table.headers, row(table, "dann"), strict=True))
    assert (dann["search trials"], dann["done"], dann["stopped early"]) == ("12", "9", "3")
    assert (dann["epochs of the full grid"], dann["epochs spent"], dann["saved"]) == ("36", "30", "17 %")
    assert dann["confirmation trials"] == "6"
    assert row(table, "all")[1] == "15"
