"""What is part of a trial's id, and how that grows without changing the ids that there are."""

from pathlib import Path

import pandas as pd
import pytest
from pydantic import Field

from tests.support.experiment_file import load_methods
from transfer_sweep.algorithms.base import Params
from transfer_sweep.algorithms.shallow.tca import TCA, TCAParams
from transfer_sweep.datasets.base import added_later
from transfer_sweep.reports.ledger.records import canonical, protocols
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.planning import trials

RESULTS = Path(__file__).parents[3] / "docs" / "results"


def ids(folder: Path, tca: str = "{mu: [0.1, 1]}") -> set[tuple[str, str]]:
    """(method, id) of the trials of two methods, of which one has these params."""
    planned = trials.search(load_methods(folder, methods={"tca": tca, "nearest_neighbor": "{}"}))
    return {(trial.method, trial.id) for trial in planned}


def methods(found: set[tuple[str, str]]) -> set[str]:
    return {method for method, _ in found}


class NewDefault(TCAParams):
    """With a param that joins, and from now on is another than what was done."""

    rounds: int = added_later(3, before=1, ge=1, description="of something")


class OldDefault(TCAParams):
    """With a param that joins, and by default is what was done."""

    rounds: int = added_later(1, before=1, ge=1, description="of something")


class Undeclared(TCAParams):
    """With a param that nobody said was joining."""

    rounds: int = Field(1, ge=1, description="of something")


@pytest.mark.parametrize("grown", [NewDefault, OldDefault])
def test_a_param_that_joins_later_is_no_part_of_the_id_at_the_value_that_gives_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grown: type[Params]
) -> None:
    before = ids(tmp_path)
    monkeypatch.setattr(TCA, "params_type", grown)
    assert ids(tmp_path, "{mu: [0.1, 1], rounds: 1}") == before
    assert methods(ids(tmp_path, "{mu: [0.1, 1], rounds: 2}") & before) == {"nearest_neighbor"}
    assert len(ids(tmp_path, "{mu: [0.1, 1], rounds: [1, 2]}") - before) == 2 * 2  # of two pairs
    kept = ids(tmp_path) & before
    assert methods(kept) == ({"nearest_neighbor"} if grown is NewDefault else {"nearest_neighbor", "tca"})


def test_a_param_that_is_not_said_to_join_later_changes_every_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids(tmp_path)
    monkeypatch.setattr(TCA, "params_type", Undeclared)
    assert methods(ids(tmp_path) & before) == {"nearest_neighbor"}


def test_a_raised_version_changes_the_ids_of_its_method_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ids(tmp_path)
    monkeypatch.setattr(TCA, "version", 2)
    second = ids(tmp_path)
    assert methods(second & before) == {"nearest_neighbor"}
    assert len(second) == len(before)
    monkeypatch.setattr(TCA, "version", 3)
    assert methods(ids(tmp_path) & second) == {"nearest_neighbor"}


@pytest.mark.parametrize("name", ["digits_small", "digits_small_table", "mnist_m", "transferability"])
def test_a_fixed_draw_is_recorded_as_it_was_before_there_was_another_and_a_draw_by_seed_changes_ids(name: str) -> None:
    before = {canonical(p.options) for p in protocols(pd.read_csv(RESULTS / f"{name}.trials.csv.gz")["protocol"])}
    options = loader.load(name).dataset_options
    fixed, by_seed = (
        trials.search(loader.load(name, overrides=[f"dataset_options={canonical({**options, 'draw': draw})}"]))
        for draw in ("fixed", "by_seed")
    )
    assert {canonical(trial.protocol.options) for trial in fixed} == before
    assert not {trial.id for trial in fixed} & {trial.id for trial in by_seed}
    assert {trial.id for trial in by_seed} == {trial.id for trial in trials.search(loader.load(name))}  # the default
