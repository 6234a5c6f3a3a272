"""Discriminators that have won."""

import math
from dataclasses import replace
from pathlib import Path

from tests.support.shown_tables import column, row
from tests.support.small_ledger import PAIRS, PROTOCOL, RUNS, Run, experiment
from transfer_sweep.algorithms import registry
from transfer_sweep.reports import results
from transfer_sweep.reports.document.elements import Table
from transfer_sweep.reports.sections import discriminators
from transfer_sweep.reports.sections.context import Context

DECLARED = {"dann": {"loss": "domain", "number": 1}, "mada": {"loss": "domain", "number": 31}}


def shown(path: Path) -> list[object]:
    return list(discriminators.blocks(Context.of(results.read(path))))


def test_the_pairs_on_which_a_discriminator_has_won_are_named_with_its_loss(tmp_path: Path) -> None:
    runs = [
        replace(run, losses={"domain": 0.04 if run.source == "dslr" else math.log(2)}) if run.method == "dann" else run
        for run in RUNS
    ]
    text, table = shown(experiment(tmp_path, runs, discriminators=DECLARED))
    assert "A discriminator has won" in str(text)
    assert isinstance(table, Table)
    assert list(table.headers) == ["method", "backbone", "D→W"]
    assert row(table, "dann")[2:] == ["0.040"]
    assert column(table, "method") == ["dann"]


def test_nothing_is_said_where_none_has_won(tmp_path: Path) -> None:
    assert shown(experiment(tmp_path / "without", RUNS, discriminators=DECLARED)) == []
    runs = [replace(run, losses={"domain": 0.3}) for run in RUNS]
    assert shown(experiment(tmp_path / "with", runs, discriminators=DECLARED)) == []


def test_a_sum_over_the_classes_is_judged_by_its_mean(tmp_path: Path) -> None:
    runs = [
        Run("mada", *pair, {}, [(80.0, 1.0, 1.0)], losses={"domain": 31 * each})
        for pair, each in zip(PAIRS, (0.09, 0.11, math.log(2)), strict=True)
    ]
    _, table = shown(experiment(tmp_path, runs, discriminators=DECLARED))
    assert isinstance(table, Table)
    assert row(table, "mada")[2:] == ["0.090"]
    assert list(table.headers) == ["method", "backbone", "A→W"]


def test_nothing_is_said_of_a_loss_that_its_method_has_not_declared(tmp_path: Path) -> None:
    runs = [Run("domain_confusion", *pair, {}, [(80.0, 1.0, 1.0)], losses={"domain": 0.01}) for pair in PAIRS]
    assert shown(experiment(tmp_path, runs, discriminators=DECLARED)) == []


def test_groups_stand_apart(tmp_path: Path) -> None:
    runs = [
        Run(
            "dann",
            *PAIRS[0],
            {},
            [(80.0, 1.0, 1.0)],
            protocol={**PROTOCOL, "profile": profile},
            losses={"domain": loss},
        )
        for profile, loss in (("cpu", 0.04), ("gpu", 0.02))
    ]
    _, *tables = shown(experiment(tmp_path, runs, discriminators=DECLARED))
    assert [row(table, "dann")[2:] for table in tables if isinstance(table, Table)] == [["0.040"], ["0.020"]]


def test_methods_declare_the_loss_of_the_discriminators_whose_gradient_they_reverse() -> None:
    declared = {name: registry.get(name).discriminator for name in registry.names()}
    assert {name: each for name, each in declared.items() if each is not None} == {
        "dann": ("domain", False),
        "cdan": ("domain", False),
        "mada": ("domain", True),
    }
