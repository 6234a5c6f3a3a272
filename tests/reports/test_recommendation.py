"""One trial a pair, over all methods, without target labels."""

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_ledger import PROTOCOL, RUNS, Run, experiment, without_labels
from transfer_sweep.reports import results
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.reports.recommendation import recommend

AW = Pair("amazon", "webcam")
FAMILIES = {"source_only": "deep", "dann": "deep", "cdan": "deep", "coral": "shallow", "linear_svm": "shallow"}


def one(
    method: str, accuracy: float, score: float, cluster: float, seen: float = 1.0, predicted: list[int] | None = None
) -> Run:
    """A trial of one epoch on amazon → webcam."""
    return Run(
        method, *AW, {"lr": score}, [(accuracy, score, seen)], also={"class_cluster": cluster}, predicted=predicted
    )


def recommended(folder: Path, runs: list[Run]) -> tuple[str, str]:
    """The method on amazon → webcam, and the criterion that compared it with others."""
    found = recommend(results.read(experiment(folder, runs, family=FAMILIES)))[AW]
    return found.trial.method, found.compared_by


def test_deep_methods_are_compared_by_information_maximisation_and_classical_ones_are_not(tmp_path: Path) -> None:
    runs = [one("source_only", 60, 1.0, 0.9), one("dann", 70, 1.5, 0.1), one("coral", 90, 3.0, 0.95)]
    assert recommended(tmp_path, runs) == ("dann", "information_maximization")


def test_classical_methods_are_compared_by_clusters(tmp_path: Path) -> None:
    runs = [one("coral", 60, 1.0, 0.9), one("linear_svm", 70, 1.5, 0.1)]
    assert recommended(tmp_path, runs) == ("coral", "class_cluster")


def test_one_deep_method_is_compared_with_classical_ones_by_clusters(tmp_path: Path) -> None:
    runs = [one("source_only", 60, 5.0, 0.2), one("coral", 70, 1.0, 0.3)]
    assert recommended(tmp_path, runs) == ("coral", "class_cluster")


def test_classical_methods_without_clusters_are_compared_by_what_there_is(tmp_path: Path) -> None:
    runs = [one("coral", 60, 1.0, math.nan), one("linear_svm", 70, 1.5, math.nan)]
    assert recommended(tmp_path, runs) == ("linear_svm", "information_maximization")


def test_each_cell_chooses_first_by_the_criterion_of_the_experiment(tmp_path: Path) -> None:
    # By clusters coral's second trial would win; information maximisation chooses coral's first.
    runs = [one("coral", 60, 2.0, 0.1), one("coral", 70, 1.0, 0.9), one("linear_svm", 50, 1.0, 0.5)]
    assert recommended(tmp_path, runs) == ("linear_svm", "class_cluster")


def test_a_collapsed_trial_is_recommended_only_where_all_are(tmp_path: Path) -> None:
    collapsed, sound = one("dann", 10, 9.0, 0.5, seen=0.5), one("cdan", 60, 1.0, 0.5)
    assert recommended(tmp_path / "a", [collapsed, sound])[0] == "cdan"
    found = recommend(experiment(tmp_path / "b", [collapsed, one("cdan", 60, 1.0, 0.5, seen=0.1)]))[AW]
    assert (found.trial.method, found.collapsed) == ("dann", True)
    assert found.score == pytest.approx(9.0)


def test_methods_that_see_target_labels_are_not_recommended(tmp_path: Path) -> None:
    few = {**PROTOCOL, "few": {"per_class": 3, "classes": None, "source": True}}
    runs = [
        one("source_only", 60, 1.0, 0.5),
        one("cdan", 60, 1.5, 0.5),
        dataclasses.replace(one("dann", 99, 9.0, 0.9), protocol=few),
        Run("target_only", "webcam", "webcam", {}, [(99, 9.0, 1.0)]),
    ]
    found = recommend(experiment(tmp_path, runs, label_access={"target_only": "target_train"}))
    assert {pair: each.trial.method for pair, each in found.items()} == {AW: "cdan"}


def test_regret_is_to_the_best_trial_of_any_method_even_one_that_was_not_chosen(tmp_path: Path) -> None:
    runs = [one("dann", 70, 1.5, 0.5), one("dann", 84, 1.0, 0.5), one("cdan", 60, 1.0, 0.5), one("coral", 80, 0, 0)]
    found = recommend(experiment(tmp_path, runs, family=FAMILIES))[AW]
    assert (found.accuracy, found.regret) == (70.0, 14.0)
    assert (found.methods, found.of_all) == (2, False)


def test_where_labels_of_the_target_choose_all_methods_compete_by_accuracy_on_them(tmp_path: Path) -> None:
    runs = [
        one("dann", 70, 1.5, 0.9),
        one("dann", 84, 1.0, 0.5),
        one("cdan", 60, 2.0, 0.5),
        one("coral", 90, 0, 0),
        one("linear_svm", 99, 9.0, 0.9, seen=0.1),  # all in one class, which most labels may be of
    ]
    given = {"webcam": {"total": 500, "by_class": [60, 60, 0]}}
    path = experiment(tmp_path, runs, samples=given, family=FAMILIES, criterion="target_labels")
    found = recommend(path)[AW]
    assert (found.trial.method, found.chosen_by, found.compared_by) == ("coral", "target_labels", "target_labels")
    assert (found.score, found.accuracy, found.methods, found.of_all) == (90.0, 90.0, 4, True)
    assert math.isnan(found.regret)
    assert found.how == "of the trials of 4 methods the best by accuracy on the 120 labels given of webcam"


def test_among_methods_equal_on_the_labels_given_the_rule_without_labels_decides(tmp_path: Path) -> None:
    runs = [one("source_only", 90, 1.0, 0.9), one("coral", 90, 9.0, 0.9), one("dann", 90, 1.5, 0.5)]
    path = experiment(tmp_path, runs, family=FAMILIES, criterion="target_labels")
    assert recommend(path)[AW].trial.method == "dann"


def test_labels_that_chose_are_not_counted_where_their_number_is_not_recorded(tmp_path: Path) -> None:
    path = experiment(tmp_path, [one("dann", 70, 1.5, 0.9)], criterion="target_labels")
    assert recommend(path)[AW].how == "the trial of the only method by accuracy on the labels given of webcam"


def test_agreement_is_with_the_choices_of_the_other_methods(tmp_path: Path) -> None:
    runs = [
        one("dann", 70, 1.5, 0.5, predicted=[0, 1, 2, 2]),
        one("cdan", 60, 1.0, 0.5, predicted=[0, 1, 2, 0]),  # 3 of 4
        one("source_only", 50, 0.5, 0.5, predicted=[0, 0, 0, 0]),  # 1 of 4
        one("source_only", 50, 0.1, 0.5, predicted=[0, 1, 2, 2]),  # not chosen
    ]
    found = recommend(experiment(tmp_path, runs))[AW]
    assert found.agreement == pytest.approx((75 + 25) / 2)
    assert found.predicted is not None
    assert found.predicted.tolist() == [0.25, 0.25, 0.5]


@pytest.mark.parametrize("change", [{"seed": 1}, {"protocol": {**PROTOCOL, "options": {"train": {"webcam": 2}}}}])
def test_choices_on_other_target_samples_have_no_agreement(tmp_path: Path, change: dict[str, Any]) -> None:
    runs = [one("dann", 70, 1.5, 0.5, predicted=[0, 1]), one("cdan", 60, 1.0, 0.5, predicted=[0, 0])]
    other = dataclasses.replace(one("source_only", 50, 0.5, 0.5, predicted=[1, 1]), **change)
    assert recommend(experiment(tmp_path, [*runs, other]))[AW].agreement == 50
    assert math.isnan(recommend(experiment(tmp_path, [runs[0], other], "two"))[AW].agreement)


def test_shares_of_predicted_classes_are_compared_with_those_of_the_source(tmp_path: Path) -> None:
    runs = [one("dann", 70, 1.5, 0.5, predicted=[0, 0, 0, 1]), one("cdan", 60, 1.0, 0.5, predicted=[0, 1, 2, 0])]
    samples = {"amazon": {"total": 5, "by_class": [1, 1, 2]}}  # one has no label
    found = recommend(experiment(tmp_path, runs, samples=samples))[AW]
    assert found.shift_of_classes == pytest.approx((0.5 + 0.0 + 0.5) / 2)
    assert math.isnan(recommend(experiment(tmp_path, runs, "not_recorded"))[AW].shift_of_classes)


def test_target_labels_change_no_recommendation(tmp_path: Path) -> None:
    rng = random.Random(0)
    runs = [
        Run(method, source, target, {"lr": lr}, [(0, rng.random(), rng.random())], also={"class_cluster": rng.random()})
        for source, target in (AW, ("webcam", "dslr"))
        for method in ("source_only", "dann", "coral", "linear_svm")
        for lr in range(4)
    ]
    found = []
    for name in ("one", "two", "three"):
        labelled = [dataclasses.replace(run, epochs=[(rng.random(), *run.epochs[0][1:])]) for run in runs]
        trials = recommend(experiment(tmp_path, labelled, name, family=FAMILIES))
        found.append({pair: each.trial.id for pair, each in trials.items()})
    unlabelled = recommend(experiment(tmp_path, without_labels(runs, "webcam", "dslr"), "four", family=FAMILIES))
    assert found == [{pair: each.trial.id for pair, each in unlabelled.items()}] * 3
    assert all(math.isnan(each.accuracy) and math.isnan(each.regret) for each in unlabelled.values())


def test_nothing_is_recommended_before_a_trial_has_reported(tmp_path: Path) -> None:
    assert recommend(experiment(tmp_path, [Run("dann", *AW, {}, [], state=None)])) == {}


def test_the_recommended_trial_is_one_of_the_search_with_its_params(small: Path) -> None:
    found = recommend(small)
    assert list(found) == [Pair(run.source, run.target) for run in RUNS[::7]]
    assert (found[AW].trial.params, found[AW].trial.seed, found[AW].cell.name) == (
        {"lr": 0.01},
        0,
        "dann:amazon-webcam",
    )
