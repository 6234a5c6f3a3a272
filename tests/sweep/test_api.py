"""What a notebook calls."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest

import transfer_sweep
from tests.support.small_ledger import PAIRS, RUNS, experiment
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.sweep import api

ROOT = Path(__file__).resolve().parents[2]

EXPERIMENT = {
    "name": "mine",
    "dataset": "offline_digits",
    "dataset_options": {"channels": 1, "train": 120, "test": 60},
    "pairs": ["rendered-photo"],
    "methods": {"nearest_neighbor": {}, "tca": {"n_components": (5, 10)}},
}


def test_importing_the_package_imports_nothing_heavy_until_it_is_asked() -> None:
    code = """
import sys, transfer_sweep
heavy = {"numpy", "pandas", "torch", "ray", "pydantic", "typer", "rich"}
print(sorted(heavy & set(sys.modules)))
transfer_sweep.open
print(sorted({"torch", "ray"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'sweeps'"):
        _ = transfer_sweep.sweeps


def test_trials_are_rows_with_what_they_reported(tmp_path: Path) -> None:
    experiment(tmp_path, RUNS)
    opened = transfer_sweep.open(tmp_path / "office31_small")
    trials = opened.trials
    assert len(trials) == len(RUNS)
    assert trials["params"].tolist() == [run.params for run in RUNS]
    assert trials["target_accuracy"].tolist() == [run.epochs[-1][0] for run in RUNS]
    assert trials["best_accuracy"].tolist() == [max(accuracy for accuracy, _, _ in run.epochs) for run in RUNS]
    assert trials["information_maximization"].tolist() == [run.epochs[-1][1] for run in RUNS]
    assert trials["epoch"].tolist() == [len(run.epochs) for run in RUNS]
    assert set(trials["backbone"]) == {"efficientnet_lite0"}
    assert repr(opened) == ("<office31_small: 21 trials (18 done, 3 stopped), chosen by information_maximization>")


def test_choices_are_those_of_the_report(tmp_path: Path) -> None:
    experiment(tmp_path, RUNS)
    opened = transfer_sweep.open(tmp_path / "office31_small")
    choices = opened.choices
    assert choices["selection"].value_counts().to_dict() == {"information_maximization": 6, "oracle": 6}
    dann = choices[(choices["method"] == "dann") & (choices["selection"] == "information_maximization")]
    assert list(zip(dann["source"], dann["target"], strict=True)) == PAIRS
    assert dann["params"].tolist() == [{"lr": 0.01}] * 3  # the best criterion of a trial that has not collapsed
    assert dann["target_accuracy_mean"].tolist() == [80.0] * 3  # of 80, 84 and 76
    assert dann["seeds"].tolist() == [3] * 3
    best = choices[(choices["method"] == "dann") & (choices["selection"] == "oracle")]
    assert best["params"].tolist() == [{"lr": 0.03}] * 3
    assert set(choices["trial"]) <= set(opened.trials["id"])


def test_another_criterion_chooses_anew(tmp_path: Path) -> None:
    experiment(tmp_path, RUNS)
    opened = transfer_sweep.open(tmp_path / "office31_small", criterion="source_validation")
    assert opened.criterion == "source_validation"
    assert set(opened.choices["selection"]) == {"source_validation", "oracle"}


def test_tables_hold_numbers_where_a_cell_stands_for_one(tmp_path: Path) -> None:
    experiment(tmp_path, RUNS)
    opened = transfer_sweep.open(tmp_path / "office31_small")
    table = opened.tables["Target accuracy in percent, chosen by information maximization"]
    assert table["method"].tolist()[:2] == ["source_only", "dann"]
    assert table.set_index("method").loc["dann", "average"] == 80.0
    text = opened.report()
    assert all(caption in text for caption in opened.tables if not caption.endswith(")") and caption)
    assert json.loads(opened.report("json"))["experiments"][0]["name"] == "office31_small"


def test_what_is_wrong_is_raised_with_the_line_of_the_command(tmp_path: Path) -> None:
    with pytest.raises(transfer_sweep.UserError, match="no results at"):
        transfer_sweep.open(tmp_path / "never_run")
    experiment(tmp_path, RUNS)
    with pytest.raises(transfer_sweep.UserError, match="there is no criterion 'luck'"):
        transfer_sweep.open(tmp_path / "office31_small", criterion="luck")
    with pytest.raises(transfer_sweep.UserError, match="no experiment 'quickstrat'; did you mean 'quickstart'"):
        transfer_sweep.run("quickstrat", results=tmp_path)
    with pytest.raises(transfer_sweep.UserError, match=r"the data root .* does not exist"):
        transfer_sweep.run("quickstart", results=tmp_path, data_root=tmp_path / "none")
    with pytest.raises(transfer_sweep.UserError, match=r"epochs: .*it is 'many'"):
        transfer_sweep.run("quickstart", results=tmp_path, overrides={"epochs": "many"})


@pytest.mark.parametrize("name", [None, "", "a/b", "..", 3])
def test_an_experiment_that_is_no_file_needs_a_name_for_its_folder(tmp_path: Path, name: object) -> None:
    with pytest.raises(transfer_sweep.UserError, match="needs a 'name'"):
        transfer_sweep.run({**EXPERIMENT, "name": name}, results=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(transfer_sweep.UserError, match="mine: a file cannot hold this"):
        transfer_sweep.run({**EXPERIMENT, "description": object()}, results=tmp_path)


def test_a_mistake_in_a_mapping_is_shown_at_the_line_of_the_file_that_is_made_of_it(tmp_path: Path) -> None:
    with pytest.raises(transfer_sweep.UserError, match=r"mine\.yaml, line \d+: .*unknown method 'dan_'"):
        transfer_sweep.run({**EXPERIMENT, "methods": {"dan_": {}}}, results=tmp_path)


def test_the_examples_of_the_docstrings_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(api)
    assert tried > 0
    assert failed == 0


@pytest.mark.ray
def test_two_runs_in_one_process_do_what_the_command_does(tmp_path: Path) -> None:
    done = transfer_sweep.run(EXPERIMENT, results=tmp_path, quiet=True)
    assert done.trials["state"].tolist() == ["done"] * 3
    assert done.folder == tmp_path / "mine"
    file = tmp_path / "mine" / "mine.yaml"
    again = transfer_sweep.run(file, results=tmp_path, overrides={"methods.tca.n_components": [5, 20]}, quiet=True)
    assert {params.get("n_components") for params in again.trials["params"]} == {None, 5, 20}
    with Ledger(tmp_path / "mine" / "ledger.sqlite") as ledger:
        first, second = (environment["command"] for environment in ledger.environments())
        assert len(ledger.trials(everything=True)) == 4  # one was there already
    assert first == "python -m sweep run mine.yaml"
    assert second == "python -m sweep run mine.yaml --set 'methods.tca.n_components=[5, 20]'"
