"""A saved model on its test set and on pictures: what the command line says, and what it refuses."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.support import small_ledger
from tests.support.command_line import CommandLine, assert_refused
from transfer_sweep.datasets.offline_digits import OfflineDigits
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.artefacts import FEATURES, MODEL, save_features
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport, TrialState
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.planning.data import dataset_of
from transfer_sweep.sweep.planning.trials import search
from transfer_sweep.sweep.trial import inputs
from transfer_sweep.sweep.trial.model_files import Preparation, save_model
from transfer_sweep.sweep.trial.saved_model import choose
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

EXPERIMENT = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 300, test: 100}
protocol: {backbone: small_cnn, training: scratch}
pairs: [rendered-uci]
epochs: 6
methods:
  nearest_neighbor: {}
  jda: {n_components: 10, iterations: 1}
  source_only: {}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves behind, without its Ray."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "few.yaml").write_text(EXPERIMENT)
    experiment = loader.load(str(folder / "few.yaml"))
    root = folder / "few"
    with Ledger(root / "ledger.sqlite", write=True) as ledger:
        ledger.set_meta("experiment", experiment.model_dump(mode="json"))
        trials = search(experiment)
        ledger.set_plan(trials)
        for trial in trials:
            domains = inputs.load(dataset_of(experiment, None), inputs.wanted([trial]), folder, lambda *_: None)
            source, target = (domains[name, trial.representation] for name in trial.pair)
            model, scoring = build_trial(trial, source, target, TaskConfig(experiment.epochs, 10), "cpu")
            losses = [model.fit_epoch() for _ in range(trial.budget)]
            scored = scoring(model, all_criteria=True)
            assert scored.features is not None
            artefacts = {
                MODEL: save_model(root, trial, experiment.epochs, model, Preparation(OfflineDigits.classes)),
                FEATURES: save_features(root, trial.id, scored.features),
            }
            report = EpochReport(trial.budget, scored.target_accuracy, scored.criteria, losses[-1], seconds=1.0)
            ledger.start(trial.id, {"cpu": 1})
            ledger.record_epoch(trial.id, report, artefacts, TrialState.DONE)
    return folder


@pytest.fixture
def sweep(sweep: CommandLine, monkeypatch: pytest.MonkeyPatch, results: Path) -> CommandLine:
    """Calls the command line on these results, unless it names others."""
    monkeypatch.setenv("SWEEP_RESULTS", str(results))
    monkeypatch.setenv("SWEEP_CACHE", str(results / "cache"))
    return sweep


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Digits in blue on cream, each in its own size and place, as no training image is."""
    folder = tmp_path_factory.mktemp("pictures")
    file = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans-Bold.ttf"
    paths = []
    for digit in range(10):
        picture = Image.new("RGB", (180 + 17 * digit, 230 - 9 * digit), (240, 235, 220))
        font = ImageFont.truetype(str(file), 60 + 9 * digit)
        ImageDraw.Draw(picture).text((30 + 5 * digit, 20 + 3 * digit), str(digit), (20, 40, 130), font)
        paths.append(folder / f"{digit}.png")
        picture.save(paths[-1])
    return paths


@pytest.mark.parametrize("method", ["nearest_neighbor", "jda", "source_only"])
def test_evaluation_repeats_what_was_recorded(sweep: CommandLine, results: Path, method: str) -> None:
    with Ledger(results / "few/ledger.sqlite") as ledger:
        outcomes = ledger.outcomes().set_index("method")
    code, out, err = sweep("evaluate", "few", "--cell", f"{method}:rendered-uci")
    assert code == 0, err
    accuracy = float(outcomes["target_accuracy"][method])
    first, *_, last = out.strip().splitlines()
    assert f"{accuracy:.2f} % of 597 samples (when it was trained: {accuracy:.2f} %)" in first
    nines = [0 if word == "·" else int(word) for word in last.split()[1:-1]]
    assert sum(nines) == 60  # nines in the test part of the 1797 scans
    assert last.split()[-1] == f"{100 * nines[9] / 60:.1f}"


def test_pictures_of_any_size_and_colour_are_classified_and_annotated(
    sweep: CommandLine,
    pictures: list[Path],
    tmp_path: Path,
) -> None:
    picture = tmp_path / "seen" / "answers.png"
    code, out, err = sweep("predict", "few", *pictures, "--cell", "source_only:rendered-uci", "--annotate", picture)
    assert code == 0, err
    lines = [line.split() for line in out.strip().splitlines()[1:]]
    assert sum(Path(name).stem == label for name, label, *_ in lines) >= 8
    assert all(10 <= float(confidence) <= 100 for _, _, confidence, *_ in lines)
    with Image.open(picture) as shown:
        assert shown.width > 1000
        assert len(np.unique(np.asarray(shown.convert("L")))) > 50


@pytest.mark.parametrize("method", ["source_only", "nearest_neighbor"])
def test_a_model_classifies_without_its_training_data(
    sweep: CommandLine, monkeypatch: pytest.MonkeyPatch, pictures: list[Path], method: str
) -> None:
    monkeypatch.setattr(OfflineDigits, "load", lambda *_: pytest.fail("the training data was read"))
    code, out, err = sweep("predict", "few", pictures[0], pictures[7], "--cell", f"{method}:rendered-uci")
    assert code == 0, err
    assert [line.split()[1] for line in out.strip().splitlines()[1:]] == ["0", "7"]


def test_without_a_cell_the_one_that_scores_best_without_labels_answers(
    sweep: CommandLine, results: Path, pictures: list[Path]
) -> None:
    with Ledger(results / "few/ledger.sqlite") as ledger:
        rows = selection.candidates(ledger).set_index("method")["information_maximization"]
    code, _, err = sweep("predict", "few", pictures[0])
    assert code == 0, err
    assert f"recommended: {rows.idxmax()}:rendered-uci@" in err


def test_of_several_pairs_one_must_be_named(sweep: CommandLine, tmp_path: Path, pictures: list[Path]) -> None:
    small_ledger.write(tmp_path / "many" / "ledger.sqlite", small_ledger.RUNS)
    with Ledger(tmp_path / "many" / "ledger.sqlite") as ledger:
        pairs = [f"{row.source}-{row.target}" for row in selection.candidates(ledger).itertuples()]
    assert_refused(sweep("predict", "many", pictures[0], "--results", tmp_path), *set(pairs), "--pair")
    assert_refused(sweep("predict", "many", pictures[0], "--results", tmp_path, "--pair", "a-z"), "a-z", pairs[0])


def test_a_folder_is_written_as_a_table_and_a_damaged_picture_makes_exit_code_1(
    sweep: CommandLine, pictures: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    shutil.copytree(pictures[0].parent, folder)
    (folder / "5.png").write_bytes(pictures[5].read_bytes()[:600])
    (folder / "notes.txt").write_text("")
    file = tmp_path / "predictions.csv"
    call = ("predict", "few", folder, "--cell", "source_only:rendered-uci", "--out", file)
    code, out, err = sweep(*call)
    assert (code, out) == (1, "")
    assert "left out: 1 .txt" in err
    assert "9 of 10 pictures" in err
    assert "1 of 10 could not be read; the first:" in err
    assert "5.png cannot be read as a picture" in err
    found = pd.read_csv(file, dtype={"label": str})
    assert found["path"].tolist() == [str(folder / f"{digit}.png") for digit in range(10)]
    assert found["error"].notna().tolist() == [digit == 5 for digit in range(10)]
    assert (found["label"] == [str(digit) for digit in range(10)]).sum() >= 7
    before = file.read_bytes()
    assert_refused(sweep(*call), "predictions.csv is there already", "--overwrite")
    assert file.read_bytes() == before
    assert sweep(*call, "--overwrite").code == 1


def test_where_no_picture_can_be_read_nothing_is_written(sweep: CommandLine, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")
    file = tmp_path / "p.csv"
    said = sweep("predict", "few", tmp_path, "--cell", "source_only:rendered-uci", "--out", file)
    assert_refused(said, "a.png cannot be read as a picture", "1 more")
    assert not file.exists()
    assert not list(tmp_path.glob("*.part"))


def test_an_export_says_what_it_is_and_repeats_the_predictions(
    sweep: CommandLine, results: Path, tmp_path: Path
) -> None:
    call = ("export", "few", "--cell", "source_only:rendered-uci", "--format", "torchscript", "--out", tmp_path / "out")
    code, out, err = sweep(*call)
    assert (code, out) == (0, ""), err
    assert "inputs compared with predict" in err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "classes.json", "model.pt"]
    assert json.loads((tmp_path / "out/classes.json").read_text()) == [str(digit) for digit in range(10)]
    with Ledger(results / "few/ledger.sqlite") as ledger:
        accuracy = ledger.outcomes().set_index("method")["target_accuracy"]["source_only"]
    card = (tmp_path / "out/README.md").read_text()
    for part in (
        "rendered → uci",
        "torch.jit.trace",
        "inputs compared with predict",
        "270",  # of 300 source samples, a tenth is held out
        "information_maximization",
        "No target label was used",
        f"{float(accuracy):.2f} %",
        "small_cnn",
        "What it is good for",
        "Terms",
        f"torch {metadata.version('torch')}",
    ):
        assert part in card
    assert_refused(sweep(*call), "holds model.pt already", "--overwrite")
    assert sweep(*call, "--overwrite").code == 0


def test_a_model_that_target_labels_chose_says_so(sweep: CommandLine, results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "few", tmp_path / "few")
    with Ledger(tmp_path / "few" / "ledger.sqlite", write=True) as ledger:
        ledger.set_meta("experiment", {**(ledger.meta("experiment") or {}), "criterion": "target_labels"})
        accuracies = ledger.outcomes().set_index("method")["target_accuracy"].astype(float)
    out = tmp_path / "out"
    code, _, err = sweep("export", "few", "--results", tmp_path, "--format", "safetensors", "--out", out)
    assert code == 0, err
    (card,) = out.glob("*.md")
    text = card.read_text()
    assert f"On these labels it is right in {accuracies.max():.2f} %, which flatters: they chose it." in text
    assert "Target labels were used to choose: it is no unsupervised result." in text
    assert "No target label was used" not in text
    assert not choose(tmp_path / "few").label_free
    assert choose(results / "few").label_free


def test_what_cannot_be_used_gets_one_line(sweep: CommandLine, pictures: list[Path], tmp_path: Path) -> None:
    text = tmp_path / "note.png"
    text.write_text("no picture at all")
    blank = tmp_path / "blank.png"
    Image.new("L", (40, 40), 255).save(blank)
    cut = tmp_path / "cut.png"
    cut.write_bytes(pictures[3].read_bytes()[:600])
    empty = tmp_path / "empty"
    empty.mkdir()
    cell = ("--cell", "source_only:rendered-uci")
    for arguments, part in (
        (("predict", "few", text, *cell), "note.png cannot be read as a picture"),
        (("predict", "few", tmp_path / "none.png", *cell), "none.png does not exist"),
        (("predict", "few", blank, *cell), "blank.png: it shows no strokes"),
        (("predict", "few", cut, *cell), "cut.png cannot be read as a picture"),
        (("predict", "few", pictures[0], *cell, "--annotate", "a.txt"), "PNG"),
        (("predict", "few", pictures[0], *cell, "--out", "a.xlsx"), ".csv, .jsonl, .parquet"),
        (("predict", "few", pictures[0], *cell, "--pair", "rendered-uci"), "leave --pair rendered-uci out"),
        (("predict", "few", empty, *cell), "no pictures to predict"),
        (("evaluate", "few", "--cell", "dann:rendered-uci"), "source_only:rendered-uci"),
        (("evaluate", "many", *cell), "many"),
    ):
        code, out, err = sweep(*arguments)
        assert (code, out) == (2, "")
        (line,) = err.strip().splitlines()
        assert part in line


def test_a_damaged_model_and_one_of_other_code_get_one_line(sweep: CommandLine, results: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(results / "few", copied / "few")
    for model in copied.glob("few/models/*/*.safetensors"):
        model.write_bytes(model.read_bytes()[:-50])
    code, _, err = sweep("evaluate", "few", "--cell", "source_only:rendered-uci", "--results", copied)
    assert code == 2
    assert "cannot be read" in err
    shutil.rmtree(copied / "few/models")
    code, _, err = sweep("evaluate", "few", "--cell", "source_only:rendered-uci", "--results", copied)
    assert code == 2
    assert "no model at" in err


def test_logs_of_chosen_trials_are_written_where_earlier_work_had_them(sweep: CommandLine, tmp_path: Path) -> None:
    code, _, err = sweep("report", "few", "--export-logs", tmp_path / "logs")
    assert code == 0, err
    files = sorted(path.relative_to(tmp_path / "logs").as_posix() for path in tmp_path.glob("logs/**/*.csv"))
    assert files == [f"{m}/rendered_to_uci/{m}.csv" for m in ("jda", "nearest_neighbor", "source_only")]
    header, *lines = (tmp_path / "logs" / files[2]).read_text().splitlines()
    assert header.startswith("epoch,target_accuracy,")
    assert "loss_classification" in header
    assert header.endswith("seconds,backbone,seed,params,trial")
    assert len(lines) == 1
    assert lines[0].startswith("6,")
