"""What the values of hyperparameters gave."""

from pathlib import Path

import pytest

from tests.support.shown_tables import only_group, row
from tests.support.small_ledger import PAIRS, Run, experiment
from transfer_sweep.algorithms.base import Params
from transfer_sweep.algorithms.deep.mcc import MCC
from transfer_sweep.reports import results
from transfer_sweep.reports.document.elements import text_of
from transfer_sweep.reports.sections import hyperparameters


def test_what_each_value_of_the_only_param_gave_stands_by_pair(small: Path) -> None:
    own = results.read(small)
    table = hyperparameters.single_params(own, only_group(own).records)
    assert table is not None
    assert list(table.headers) == ["method", "param", "A→W", "D→W", "W→D", "average"]
    # Of seed 0 alone, though lr 0.01 ran with more; source_only searched nothing.
    assert [list(map(text_of, row)) for row in table.rows] == [
        ["dann", "lr 0.003", *["70.0§"] * 3, "70.0"],
        ["dann", "lr 0.01", *["80.0"] * 3, "80.0"],
        ["dann", "lr 0.03", *["82.0"] * 3, "82.0"],
        ["dann", "lr 1", *["3.0"] * 3, "3.0"],
    ]
    assert any("stopped early" in note for note in table.notes)


@pytest.mark.parametrize(
    ("edge", "inner", "stated"),
    [
        (0.03, 0.01, 0.09),  # by factors
        (0.001, 0.003, 0.0003),
        (0.1, 1.0, 0.01),
        (4, 2, 8),
        (32, 64, 16),
        (30, 20, 40),  # by steps
        (0.9, 0.7, 1.1),
        (0.0, 0.5, None),  # nothing is below 0
        (1, 2, None),  # half a unit is none
    ],
)
def test_the_next_value_goes_on_by_the_last_step_of_the_grid(edge: float, inner: float, stated: float | None) -> None:
    assert hyperparameters.beyond(edge, inner) == (None if stated is None else pytest.approx(stated))


def test_a_best_value_at_the_edge_is_named_by_its_key_for_criterion_and_oracle(tmp_path: Path) -> None:
    grid = [
        Run("mcc", *pair, {"lr": lr, "trade_off": 1.0}, [(accuracy, score, 1.0)])
        for pair in PAIRS
        for lr, accuracy, score in ((0.001, 70.0, 1.0), (0.003, 85.0, 2.0), (0.01, 80.0, 3.0))
    ]
    own = results.read(experiment(tmp_path, grid, bounds={"mcc": {"lr": {"exclusiveMinimum": 0, "maximum": 1}}}))
    (edge,) = hyperparameters.edges(own)
    assert (edge.key, edge.value, edge.beyond) == ("methods.mcc.lr", 0.01, 0.03)
    assert (edge.by_criterion, edge.by_oracle, edge.pairs) == (3, 0, 3)
    table = hyperparameters.edge_table([edge])
    assert table is not None
    assert row(table, "mcc") == ["mcc", "`methods.mcc.lr`", "0.01", "3 of 3", "0 of 3", "add 0.03"]


def test_the_oracles_best_at_an_edge_is_told_too_and_a_best_inside_is_not(tmp_path: Path) -> None:
    def grid(accuracies: tuple[float, float, float]) -> list[Run]:
        tried = zip((0.001, 0.003, 0.01), accuracies, (1.0, 3.0, 2.0), strict=True)
        return [Run("mcc", *pair, {"lr": lr}, [(a, s, 1.0)]) for lr, a, s in tried for pair in PAIRS]

    (edge,) = hyperparameters.edges(results.read(experiment(tmp_path / "edge", grid((90.0, 80.0, 70.0)))))
    assert (edge.value, edge.by_criterion, edge.by_oracle) == (0.001, 0, 3)
    assert hyperparameters.edges(results.read(experiment(tmp_path / "inside", grid((70.0, 80.0, 75.0))))) == []


def test_nothing_outside_of_a_params_bounds_is_suggested_nor_beyond_two_values(tmp_path: Path) -> None:
    def found(name: str, method: type[Params], values: tuple[float, ...]) -> list[float | None]:
        grid = [
            Run("mcc", *pair, {name: value}, [(50.0 + i, 1.0 + i, 1.0)])
            for pair in PAIRS
            for i, value in enumerate(values)
        ]
        folder = tmp_path / f"{name}{values[-1]}{len(values)}"
        read = results.read(experiment(folder, grid, bounds={"mcc": method.bounds()}))
        return [edge.beyond for edge in hyperparameters.edges(read)]

    assert found("dropout", MCC.params_type, (0.5, 0.7, 0.9)) == [None]  # 1.1, of values below 1
    assert found("lr", MCC.params_type, (0.01, 0.1, 1.0)) == []  # the largest that there is
    assert found("lr", MCC.params_type, (0.001, 0.01, 0.1)) == [1.0]
    assert found("lr", MCC.params_type, (0.01, 0.1)) == []
    assert found("lr", Params, (0.001, 0.01, 0.1)) == [None]  # nothing is known of its bounds


def test_the_bounds_of_params_are_those_that_their_fields_state() -> None:
    bounds = MCC.params_type.bounds()
    assert bounds["lr"] == {"exclusiveMinimum": 0, "maximum": 1}
    assert bounds["dropout"] == {"minimum": 0, "exclusiveMaximum": 1}
    assert bounds["optimizer"] == {}
