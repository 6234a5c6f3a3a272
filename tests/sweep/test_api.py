"""What a notebook calls."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

import transfer_sweep
from tests.support import models
from tests.support.no_plugins import no_plugins
from tests.support.small_ledger import PAIRS, RUNS, experiment
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Protocol
from transfer_sweep.sweep import api, environment
from transfer_sweep.sweep.runner import Outcome, Run

ROOT = Path(__file__).resolve().parents[2]

TOY = ROOT / "tests" / "support" / "toy_plugin.py"
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


def test_each_pair_has_the_one_trial_to_use(tmp_path: Path) -> None:
    experiment(tmp_path, RUNS, family={"dann": "deep", "source_only": "deep"})
    found = transfer_sweep.open(tmp_path / "office31_small").recommendations
    assert list(zip(found["source"], found["target"], strict=True)) == PAIRS
    # Information maximisation is 2.0 of dann at 0.01, whose accuracy is 80; the best of any trial is 82.
    assert found["method"].tolist() == ["dann"] * 3
    assert found["params"].tolist() == [{"lr": 0.01}] * 3
    assert found["accuracy"].tolist() == [80.0] * 3
    assert found["regret"].tolist() == [2.0] * 3
    assert found["cell"].iloc[0] == "dann:amazon-webcam@efficientnet_lite0"


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


def test_paths_in_a_mapping_are_relative_to_the_process_and_not_to_the_file_that_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = {"name": "mine", "dataset": {"folders": {"a": "pictures/a", "b": Path("pictures/b")}}, "methods": {}}
    with pytest.raises(transfer_sweep.UserError):
        transfer_sweep.run(mine, results=tmp_path / "results")
    written = (tmp_path / "results" / "mine" / "mine.yaml").read_text()
    assert f"{tmp_path}/pictures/a" in written
    assert f"{tmp_path}/pictures/b" in written


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


def test_the_record_has_all_options_that_the_command_line_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def execute(run: Run) -> Outcome:
        told.append(environment.command(run.options.arguments or ()))
        return Outcome({}, interrupted=True)

    monkeypatch.setattr(Run, "execute", execute)
    given: dict[str, Any] = {"only": ["method=tca"], "overrides": {"epochs": 5}, "minutes": 1.5, "max_concurrent": 2}
    given |= {"storage": "s3://there", "skip_damaged": True, "fresh": True, "plugins": [TOY]}
    with no_plugins():
        for options in ({}, given):
            with pytest.raises(KeyboardInterrupt):
                transfer_sweep.run(EXPERIMENT, results=tmp_path, quiet=True, **options)
    assert told[0] == "python -m sweep run mine.yaml"
    assert told[1] == (
        "python -m sweep run mine.yaml --only method=tca --set epochs=5 --fresh --max-concurrent 2 "
        "--storage s3://there --minutes 1.5 --skip-damaged --plugin toy_plugin.py"
    )


@pytest.mark.ray
def test_two_runs_in_one_process_do_what_the_command_does(tmp_path: Path) -> None:
    done = transfer_sweep.run(EXPERIMENT, results=tmp_path, quiet=True)
    assert done.trials["state"].tolist() == ["done"] * 3
    assert done.folder == tmp_path / "mine"
    answers = done.load_model("nearest_neighbor:rendered-photo").predict(np.zeros((2, 28, 28), np.uint8))
    assert answers["label"].isin(list("0123456789")).all()
    file = tmp_path / "mine" / "mine.yaml"
    again = transfer_sweep.run(file, results=tmp_path, overrides={"methods.tca.n_components": [5, 20]}, quiet=True)
    assert {params.get("n_components") for params in again.trials["params"]} == {None, 5, 20}
    with Ledger(tmp_path / "mine" / "ledger.sqlite") as ledger:
        first, second = (environment["command"] for environment in ledger.environments())
        assert len(ledger.trials(everything=True)) == 4  # one was there already
    assert first == "python -m sweep run mine.yaml"
    assert second == "python -m sweep run mine.yaml --set 'methods.tca.n_components=[5, 20]'"


@pytest.fixture(scope="module")
def of_pictures(tmp_path_factory: pytest.TempPathFactory) -> api.LoadedModel:
    """1-NN on pixels of one grey level a class: level 0, 40, 80 … and noise of up to 40 above it."""
    source = models.images(40, (3, 32, 32), 1)
    trial, model = models.trained("nearest_neighbor", source, source, Protocol("pixels", "raw", options={"size": 32}))
    return api.load_model(models.saved(tmp_path_factory.mktemp("model"), trial, model), device="cpu")


@pytest.fixture(scope="module")
def of_vectors(tmp_path_factory: pytest.TempPathFactory) -> api.LoadedModel:
    source = models.vectors(40, 6, 1)
    trial, model = models.trained("nearest_neighbor", source, source, Protocol("vectors", "raw"))
    return api.load_model(models.saved(tmp_path_factory.mktemp("model"), trial, model), device="cpu")


def test_a_model_says_of_arrays_what_it_says_of_the_files_that_hold_them(
    of_pictures: api.LoadedModel, tmp_path: Path
) -> None:
    assert repr(of_pictures) == "<model of nearest_neighbor:amazon-webcam: pictures to 5 classes>"
    grey = np.full((5, 50, 40), np.arange(5, dtype=np.uint8)[:, None, None] * 40 + 20)
    for number, picture in enumerate(grey):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    (tmp_path / "5.png").write_text("none")
    files = of_pictures.predict(tmp_path)
    arrays = of_pictures.predict(grey)
    assert arrays["label"].tolist() == list(models.CLASSES)
    assert files["label"].tolist()[:5] == list(models.CLASSES)
    assert files["confidence"].tolist()[:5] == arrays["confidence"].tolist()
    assert "cannot be read" in files["error"].iloc[5]
    assert [Path(path).name for path in files["path"]] == [f"{number}.png" for number in range(6)]
    in_colour = np.repeat(grey[..., None], 3, axis=3)
    pd.testing.assert_frame_equal(of_pictures.predict(in_colour), arrays)
    pd.testing.assert_frame_equal(of_pictures.predict([grey[0], in_colour[1, :30], *grey[2:]]), arrays)
    assert of_pictures.predict([str(tmp_path / "0.png")])["label"].tolist() == ["cup"]
    assert list(arrays) == ["label", "confidence", "label_2", "confidence_2", "label_3", "confidence_3"]


def test_a_model_of_vectors_takes_rows_and_tables(of_vectors: api.LoadedModel, tmp_path: Path) -> None:
    vectors = models.vectors(10, 6, 2)
    pd.DataFrame(vectors.inputs).to_csv(tmp_path / "rows.csv", index=False)
    arrays, files = of_vectors.predict(vectors.inputs), of_vectors.predict(tmp_path / "rows.csv")
    assert arrays["label"].tolist() == [models.CLASSES[label] for label in vectors.labels]
    assert files["label"].tolist() == arrays["label"].tolist()
    assert files["row"].notna().all()
    assert of_vectors.takes == "vectors"


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        (np.zeros((2, 8, 8)), "number 0 is float64 (8, 8)"),
        (np.zeros((2, 8, 8, 2), np.uint8), "number 0 is uint8 (8, 8, 2)"),
        ([np.zeros((8, 8), np.uint8), np.zeros(8, np.uint8)], "number 1 is uint8 (8,)"),
        ([], "there are no pictures to predict"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused_in_one_line(
    of_pictures: api.LoadedModel, inputs: list[NDArray[np.uint8]], line: str
) -> None:
    with pytest.raises(transfer_sweep.UserError) as error:
        of_pictures.predict(inputs)
    assert line in str(error.value)


def test_vectors_of_another_width_or_without_a_number_are_refused_in_one_line(of_vectors: api.LoadedModel) -> None:
    with pytest.raises(transfer_sweep.UserError, match=r"takes numbers \(n, 6\), not float64 \(2, 7\)"):
        of_vectors.predict(np.zeros((2, 7)))
    with pytest.raises(transfer_sweep.UserError, match="row 1 holds a number that is not finite"):
        of_vectors.predict(np.array([[0.0] * 6, [np.nan] * 6]))


def test_a_folder_without_pictures_and_a_cell_that_there_is_not_are_refused(
    of_pictures: api.LoadedModel, tmp_path: Path
) -> None:
    with pytest.raises(transfer_sweep.UserError, match="there are no pictures to predict"):
        of_pictures.predict(tmp_path)
    experiment(tmp_path, RUNS)
    with pytest.raises(transfer_sweep.UserError, match="has no cell 'luck:amazon-webcam'"):
        api.load_model(tmp_path / "office31_small", "luck:amazon-webcam")
