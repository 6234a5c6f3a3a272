"""Each method beside the published numbers."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.support.shown_tables import column
from tests.support.small_ledger import PROTOCOL, RUNS, Run, experiment
from transfer_sweep.reports import results
from transfer_sweep.reports.document.elements import Table
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.sections import hyperparameters, published
from transfer_sweep.reports.sections.context import Context, References


def comparison(own: Results, method: str) -> tuple[Table, References]:
    """The table of a method, and the sources that it names."""
    context = Context.of(own)
    (group,) = context.groups
    (key,) = {key for key in group.records[results.METHOD].itertuples(index=False, name=None) if key[0] == method}
    params = hyperparameters.param_summaries(own)[key]
    return published.table(context, group, key, params, own.criterion), context.references


def test_paper_replication_and_both_of_ours_stand_side_by_side(small: Path) -> None:
    table, references = comparison(results.read(small), "dann")
    assert column(table, "pair") == ["amazon → webcam", "dslr → webcam", "webcam → dslr", "average"]
    assert column(table, "paper [1]") == ["82.00†", "96.90†", "99.10†", "92.67"]
    assert column(table, "earlier replication [2]") == ["91.40†", "97.90†", "100.00†", "96.43"]
    assert column(table, "ours, by information maximization")[:3] == ["80.00 ± 4.00"] * 3
    assert column(table, "− paper")[0] == "−2.00"
    assert column(table, "ours, by oracle") == ["82.00‖"] * 3 + ["82.00"]
    assert any(note.startswith("‖") for note in table.notes)
    assert column(table, "best over epochs (oracle)") == ["82.00"] * 4
    assert column(table, "seeds")[:3] == ["3"] * 3
    assert column(table, "params by information maximization")[0] == "lr 0.01"
    assert column(table, "params by oracle")[0] == "lr 0.03"
    assert [text.split(";")[0] for text in references.texts] == [
        "Ganin et al. 2016, as tabulated with ResNet-50 in Long et al. 2018 (CDAN)",
        "thuml/Transfer-Learning-Library",
    ]


def test_another_backbone_than_the_papers_is_marked_and_named(small: Path) -> None:
    table, _ = comparison(results.read(small), "source_only")
    assert any("resnet50" in note and note.startswith("†") for note in table.notes)
    assert column(table, "seeds")[0] == "single run"


@pytest.mark.parametrize(("training", "marked"), [("finetune", False), ("frozen", True)])
def test_a_frozen_backbone_is_not_the_papers_fine_tuned_one(tmp_path: Path, training: str, marked: bool) -> None:
    protocol = {**PROTOCOL, "backbone": "resnet50", "training": training}
    runs = [Run("dann", "amazon", "webcam", {}, [(80.0, 1.0, 1.0)], protocol=protocol)]
    table, _ = comparison(results.read(experiment(tmp_path, runs)), "dann")
    assert column(table, "paper [1]") == ["82.00†" if marked else "82.00"]
    assert any(note.startswith("†") for note in table.notes) == marked


def test_the_papers_own_protocol_bears_no_mark_and_its_figure_no_difference(tmp_path: Path) -> None:
    surf = {**PROTOCOL, "backbone": "surf_bow800", "training": "raw", "holdout": 0.0}
    hits = 100 * 227 / 958  # 227 of Amazon's 958 samples: 23.695 %
    run = Run("nearest_neighbor", "caltech", "amazon", {}, [(hits, 1.0, 1.0)], budget=1, protocol=surf)
    run.dataset = "office_caltech10"
    table, _ = comparison(results.read(experiment(tmp_path, [run], name="surf")), "nearest_neighbor")
    assert column(table, "paper [1]") == ["23.70"]
    assert column(table, "ours, by oracle") == ["23.70"]
    assert column(table, "− paper") == ["0.00"]
    assert "best over epochs (oracle)" not in table.headers  # it has one
    assert not any("†" in note for note in table.notes)


def test_best_over_epochs_is_a_column_of_its_own(tmp_path: Path) -> None:
    peak = Run("dann", "amazon", "webcam", {"lr": 1.0}, [(95.0, 1.0, 1.0), (20.0, 1.0, 1.0)], state=TrialState.STOPPED)
    own = results.read(experiment(tmp_path, [*RUNS, peak]))
    table, _ = comparison(own, "dann")
    assert column(table, "best over epochs (oracle)")[0] == "95.00"
    assert column(table, "ours, by oracle")[0] == "82.00‖"


def test_params_that_the_search_did_not_vary_are_said_once(tmp_path: Path) -> None:
    runs = [
        dataclasses.replace(run, params={**run.params, "bottleneck": 256, "nesterov": True, "clip": None})
        for run in RUNS
    ]  # fmt: skip
    table, _ = comparison(results.read(experiment(tmp_path, runs)), "dann")
    assert "The same in every trial: bottleneck 256, clip none, nesterov yes." in table.notes
    assert column(table, "params by oracle")[0] == "lr 0.03"


DIGITS: dict[str, Any] = {**PROTOCOL, "backbone": "mcd_network", "training": "scratch", "transductive": False}
SMALL = {"train": {"mnist": 2000, "usps": 1800}}


def on_digits(folder: Path, method: str, options: dict[str, Any], params: dict[str, Any]) -> Results:
    run = Run(method, "usps", "mnist", params, [(90.0, 1.0, 1.0)], protocol={**DIGITS, "options": options})
    run.dataset = "digits"
    return results.read(experiment(folder, [run], name="digits"))


def test_a_published_number_of_the_same_training_samples_bears_a_mark_of_other_params_alone(tmp_path: Path) -> None:
    for num_k, published_value in ((4, "94.10"), (3, "91.80"), (1, "94.10#")):
        own = on_digits(tmp_path / str(num_k), "mcd", SMALL, {"num_k": num_k})
        table, _ = comparison(own, "mcd")
        assert column(table, "paper [1]") == [published_value]


def test_a_number_on_other_training_samples_is_marked_and_told(tmp_path: Path) -> None:
    table, references = comparison(on_digits(tmp_path, "mcd", {"train": {}}, {"num_k": 4}), "mcd")
    assert column(table, "paper [1]") == ["94.10¶"]
    (note,) = (note for note in table.notes if note.startswith("¶"))
    assert "trained on mnist 2000, usps 1800 images, ours trained on whole sets" in note
    assert "trained on mnist 2000, usps 1800 images" in next(iter(references.texts))


def test_whole_sets_beside_a_small_run_bear_both_marks(tmp_path: Path) -> None:
    table, _ = comparison(on_digits(tmp_path, "cdan", SMALL, {"entropy": True}), "cdan")
    assert column(table, "paper [1]") == ["98.00†¶"]


def test_a_number_of_a_variant_with_other_params_is_marked_and_told(tmp_path: Path) -> None:
    table, _ = comparison(on_digits(tmp_path, "mcd", SMALL, {"num_k": 4, "one_step": True}), "mcd")
    assert column(table, "paper [1]") == ["94.10#"]
    (note,) = (note for note in table.notes if note.startswith("#"))
    assert "(one_step no, ours one_step yes)" in note
    same, _ = comparison(on_digits(tmp_path / "same", "mcd", SMALL, {"num_k": 4, "one_step": False}), "mcd")
    assert column(same, "paper [1]") == ["94.10"]
    assert not any(note.startswith("#") for note in same.notes)
