"""Discriminators that have won."""

import math
from dataclasses import replace
from pathlib import Path

from tests.support.shown_tables import column, row
from tests.support.small_ledger import RUNS, experiment
from transfer_sweep.reports import results
from transfer_sweep.reports.document.elements import Table
from transfer_sweep.reports.sections import discriminators
from transfer_sweep.reports.sections.context import Context


def shown(path: Path) -> list[object]:
    return list(discriminators.blocks(Context.of(results.read(path))))


def test_the_pairs_on_which_a_discriminator_has_won_are_named_with_its_loss(tmp_path: Path) -> None:
    runs = [
        replace(run, losses={"domain": 0.04 if run.source == "dslr" else math.log(2)}) if run.method == "dann" else run
        for run in RUNS
    ]
    text, table = shown(experiment(tmp_path, runs))
    assert "A discriminator has won" in str(text)
    assert isinstance(table, Table)
    assert list(table.headers) == ["method", "backbone", "D→W"]
    assert row(table, "dann")[2:] == ["0.040"]
    assert column(table, "method") == ["dann"]


def test_nothing_is_said_where_none_has_won(tmp_path: Path) -> None:
    assert shown(experiment(tmp_path / "without", RUNS)) == []
    runs = [replace(run, losses={"domain": 0.3}) for run in RUNS]
    assert shown(experiment(tmp_path / "with", runs)) == []
