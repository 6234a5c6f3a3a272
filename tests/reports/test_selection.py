"""Choosing trials: by criterion, under the guard, behind the label firewall."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.small_ledger import PAIRS, RUNS, Run, experiment, params, write
from transfer_sweep.reports import results, selection
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import EpochReport, TrialState


def read(path: Path, runs: list[Run]) -> pd.DataFrame:
    write(path / "ledger.sqlite", runs)
    return opened(path / "ledger.sqlite")


def opened(path: Path) -> pd.DataFrame:
    with Ledger(path) as ledger:
        return selection.candidates(ledger)


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    return read(tmp_path, RUNS)


def lr(chosen: pd.DataFrame, method: str) -> list[float]:
    return [params(text)["lr"] for text in chosen[chosen["method"] == method]["params"]]


def test_the_default_is_information_maximisation() -> None:
    assert selection.DEFAULT == "information_maximization"
    assert selection.DEFAULT in selection.CRITERIA


def test_candidates_are_all_trials_at_their_last_epoch_stopped_ones_included(table: pd.DataFrame) -> None:
    assert len(table) == len(RUNS)
    stopped = table[table["state"] == "stopped"]
    assert (stopped["epoch"] == 1).all()
    assert (stopped["target_accuracy"] == 70).all()
    confirmed = table[(table["role"] == "confirm") & (table["seed"] == 2)]
    assert (confirmed["epoch"] == 3).all()
    assert (confirmed["target_accuracy"] == 76).all()
    assert (confirmed["best_accuracy"] == 80).all()
    assert (confirmed["epochs_spent"] == 3).all()


def test_each_cell_gets_the_trial_with_the_best_criterion_and_the_oracle_the_most_accurate(table: pd.DataFrame) -> None:
    by_criterion = selection.choose(table)
    assert len(by_criterion) == 2 * len(PAIRS)
    assert lr(by_criterion, "dann") == [0.01] * 3
    assert lr(selection.choose(table, "oracle"), "dann") == [0.03] * 3


def test_labels_that_were_given_choose_the_most_accurate_trial_that_did_not_collapse(tmp_path: Path) -> None:
    runs = [
        Run("dann", *PAIRS[0], {"lr": 0.1}, [(90, 1.0, 1.0)]),
        Run("dann", *PAIRS[0], {"lr": 0.2}, [(80, 2.0, 1.0)]),
        Run("dann", *PAIRS[0], {"lr": 0.3}, [(95, 3.0, 0.1)]),
        Run("dann", *PAIRS[0], {"lr": 0.4}, [(math.nan, 4.0, 1.0)]),
    ]
    rows = read(tmp_path, runs)
    assert lr(selection.choose(rows, selection.TARGET_LABELS), "dann") == [0.1]
    assert selection.regret(rows, selection.TARGET_LABELS)["chosen"].tolist() == [90.0]


def test_among_trials_equal_on_the_labels_given_the_default_criterion_chooses(tmp_path: Path) -> None:
    runs = [
        Run("dann", *PAIRS[0], {"lr": lr}, [(accuracy, score, 1.0)])
        for lr, accuracy, score in ((0.1, 90, 1.0), (0.2, 90, 2.0), (0.3, 90, 1.5), (0.4, 80, 3.0))
    ]
    assert lr(selection.choose(read(tmp_path, runs), selection.TARGET_LABELS), "dann") == [0.2]


def test_labels_that_were_given_are_no_criterion_and_stop_nothing(table: pd.DataFrame) -> None:
    assert selection.TARGET_LABELS not in selection.CRITERIA
    assert selection.TARGET_LABELS not in selection.available(table)
    assert selection.stopping_criterion_for(selection.TARGET_LABELS) == selection.DEFAULT
    assert selection.describe(selection.DEFAULT) == selection.CRITERIA[selection.DEFAULT]
    assert "labels" in selection.describe(selection.TARGET_LABELS)


def auto(method: str, lr: float, score: float, predicted: list[int] | None) -> Run:
    """A trial on the first pair that information maximisation scores so, and that predicts so."""
    return Run(method, *PAIRS[0], {"lr": lr}, [(50, score, 1.0)], predicted=predicted)


FAMILIES = {"dann": "deep", "coral": "shallow"}
MOST = [0, 1, 2, 2]
"""What most trials predict here."""
BOTH = [
    auto("dann", 0.1, 1.0, MOST),
    auto("dann", 0.2, 2.0, [2, 2, 0, 1]),
    auto("coral", 0.1, 1.0, MOST),
    auto("coral", 0.2, 2.0, [2, 2, 0, 0]),
    auto("coral", 0.3, 1.5, [0, 1, 2, 0]),
]


def test_by_family_information_maximisation_chooses_deep_trials_and_agreement_on_the_pair_classical_ones(
    tmp_path: Path,
) -> None:
    rows = opened(experiment(tmp_path, BOTH, family=FAMILIES))
    chosen = selection.choose(rows, selection.AUTO)
    assert (lr(chosen, "dann"), lr(chosen, "coral")) == ([0.2], [0.1])
    assert chosen["score"].tolist() == [2.0, 100.0]
    derived = selection.with_derived(rows)
    assert selection.choose(derived, selection.AUTO)["id"].tolist() == chosen["id"].tolist()
    assert selection.AUTO in selection.available(derived)
    assert selection.regret(derived, selection.AUTO)["regret"].tolist() == [0.0, 0.0]


def test_by_family_classical_trials_without_predictions_are_chosen_as_deep_ones_are(tmp_path: Path) -> None:
    runs = [dataclasses.replace(run, predicted=None) for run in BOTH]
    chosen = selection.choose(opened(experiment(tmp_path, runs, family=FAMILIES)), selection.AUTO)
    assert (lr(chosen, "dann"), lr(chosen, "coral")) == ([0.2], [0.2])


def test_by_family_rungs_compare_by_information_maximisation() -> None:
    assert selection.stopping_criterion_for(selection.AUTO) == "information_maximization"
    assert not selection.compares_trials(selection.AUTO, ["deep"])
    assert selection.compares_trials(selection.AUTO, ["deep", "shallow"])
    assert selection.criterion_for(selection.AUTO, "shallow") == "pair_ensemble"
    assert selection.criterion_for("entropy", "shallow") == "entropy"


def test_confirmation_runs_do_not_compete(table: pd.DataFrame) -> None:
    assert set(selection.choose(table, "oracle")["role"]) == {"search"}
    assert 84 not in set(selection.choose(table, "oracle")["target_accuracy"])


@pytest.mark.parametrize("criterion", selection.CRITERIA)
def test_shuffled_target_accuracies_change_no_choice(table: pd.DataFrame, criterion: str) -> None:
    chosen = selection.choose(table, criterion)["id"].tolist()
    generator = np.random.default_rng(0)
    for _ in range(5):
        shuffled = table.assign(
            target_accuracy=generator.permutation(table["target_accuracy"]),
            best_accuracy=generator.permutation(table["best_accuracy"]),
        )
        assert selection.choose(shuffled, criterion)["id"].tolist() == chosen


def test_a_collapsed_trial_wins_only_among_its_like(tmp_path: Path) -> None:
    collapsed = Run("dann", "amazon", "dslr", {"lr": 1.0}, [(3.0, 3.2, 0.1)])
    sound = Run("dann", "amazon", "dslr", {"lr": 0.1}, [(50.0, 0.1, 0.9)])
    (tmp_path / "both").mkdir()
    assert lr(selection.choose(read(tmp_path / "both", [collapsed, sound])), "dann") == [0.1]
    (tmp_path / "one").mkdir()
    assert lr(selection.choose(read(tmp_path / "one", [collapsed])), "dann") == [1.0]


def test_of_two_classes_seeing_only_one_is_a_collapse() -> None:
    one = selection.guarded_score({"entropy": 0.0, "predicted_classes": 0.5}, "entropy")
    both = selection.guarded_score({"entropy": -0.69, "predicted_classes": 1.0}, "entropy")
    assert one < both


def test_scores_are_ordered_sound_collapsed_undefined_and_all_finite() -> None:
    sound = selection.guarded_score({"source_validation": 0.0, "predicted_classes": 0.6}, "source_validation")
    better = selection.guarded_score({"source_validation": 99.0, "predicted_classes": 0.1}, "source_validation")
    worse = selection.guarded_score({"source_validation": 98.0, "predicted_classes": 0.1}, "source_validation")
    undefined = [
        selection.guarded_score(criteria, "source_validation")
        for criteria in (
            {},
            {"source_validation": None},
            {"source_validation": math.nan, "predicted_classes": 1.0},
            {"source_validation": math.inf},
            {"source_validation": 99.0, "predicted_classes": None},
        )
    ]
    assert sound > better > worse > max(undefined)
    assert np.isfinite([sound, better, worse, *undefined]).all()


def test_percentiles_over_undefined_scores_keep_the_digits_of_the_rest() -> None:
    """ASHA's rungs interpolate between scores of all kinds."""
    scores = [selection.guarded_score({"entropy": value}, "entropy") for value in (math.nan, None)]
    scores += [selection.guarded_score({"entropy": value}, "entropy") for value in (-0.2, -0.1)]
    assert np.nanpercentile(scores, 100) == -0.1
    assert scores[1] < np.nanpercentile(scores, 50) < -0.2


def test_an_unknown_criterion_is_refused_by_name(table: pd.DataFrame) -> None:
    with pytest.raises(KeyError, match=r"no criterion 'luck'.*entropy"):
        selection.choose(table, "luck")


def test_equal_scores_are_decided_by_the_place_in_the_plan(tmp_path: Path) -> None:
    same = [Run("jda", "amazon", "dslr", {"lr": value}, [(40.0, 1.0, 1.0)]) for value in (9.0, 1.0, 5.0)]
    chosen = read(tmp_path, same)
    assert lr(selection.choose(chosen), "jda") == [9.0]
    assert lr(selection.choose(chosen.sample(frac=1, random_state=1)), "jda") == [9.0]


def test_failed_trials_do_not_compete(tmp_path: Path) -> None:
    failed = Run(
        "dann", "amazon", "dslr", {"lr": 9.0}, [(90.0, 3.0, 1.0)], state=TrialState.FAILED, error="loss is nan"
    )
    done = Run("dann", "amazon", "dslr", {"lr": 0.1}, [(50.0, 1.0, 1.0)])
    table = read(tmp_path, [failed, done])
    assert lr(selection.choose(table), "dann") == lr(selection.choose(table, "oracle"), "dann") == [0.1]


def test_settings_compete_inside_a_cell_only_and_protocols_are_part_of_it(tmp_path: Path) -> None:
    fine_tuned = Run("dann", "amazon", "dslr", {"lr": 9.0}, [(90.0, 3.0, 1.0)])
    fine_tuned.protocol = {**fine_tuned.protocol, "backbone": "resnet50", "training": "finetune", "profile": "gpu"}
    frozen = Run("dann", "amazon", "dslr", {"lr": 0.1}, [(50.0, 1.0, 1.0)])
    assert lr(selection.choose(read(tmp_path, [fine_tuned, frozen])), "dann") == [9.0, 0.1]


def test_mean_and_standard_deviation_are_over_the_seeds_of_the_chosen_params(table: pd.DataFrame) -> None:
    summary = selection.summarize(table, selection.choose(table))
    dann = summary[summary["method"] == "dann"]
    assert dann["seeds"].tolist() == [3, 3, 3]
    assert dann["target_accuracy_mean"].tolist() == [80.0] * 3  # of 80, 84 and 76
    assert dann["target_accuracy_std"].tolist() == pytest.approx([4.0] * 3)  # ddof = 1
    assert dann["trials"].tolist() == [4, 4, 4]
    assert dann["epochs_spent_cell"].tolist() == [1 + 3 + 3 + 3] * 3
    single = summary[summary["method"] == "source_only"]
    assert single["seeds"].tolist() == [1, 1, 1]
    assert single["target_accuracy_std"].isna().all()


def test_what_the_oracle_chose_is_a_single_run(table: pd.DataFrame) -> None:
    summary = selection.summarize(table, selection.choose(table, "oracle"))
    assert (summary["seeds"] == 1).all()
    assert summary[summary["method"] == "dann"]["target_accuracy_mean"].tolist() == [82.0] * 3


def test_an_unfinished_confirmation_does_not_enter_the_mean(tmp_path: Path) -> None:
    runs = [
        Run("dann", "amazon", "dslr", {"lr": 0.1}, [(50.0, 1.0, 1.0), (60.0, 1.0, 1.0)]),
        Run("dann", "amazon", "dslr", {"lr": 0.1}, [(10.0, 1.0, 1.0)], role="confirm", seed=1, state=None),
    ]
    table = read(tmp_path, runs)
    assert selection.summarize(table, selection.choose(table))["target_accuracy_mean"].tolist() == [60.0]


def test_a_trial_that_saw_target_labels_has_no_vote_among_those_that_saw_none(tmp_path: Path) -> None:
    runs = [Run(method, "amazon", "dslr", {"lr": 0.1}, [(50.0, 1.0, 1.0)]) for method in ("dann", "transferability")]
    path = experiment(tmp_path, runs, label_access={"dann": "none", "transferability": "target_train"})
    one, other = 9 * np.eye(3)[[0, 1, 2, 0]], 99 * np.eye(3)[[1, 1, 1, 1]]
    with Ledger(path, write=True) as ledger:
        for run, logits in zip(runs, (one, other), strict=True):
            np.savez(path.parent / f"{run.method}.npz", target=logits)
            ledger.record_epoch(run.trial.id, EpochReport(1, 50.0, {}, {}, 1.0), {"logits": f"{run.method}.npz"})
        found = selection.with_derived(selection.candidates(ledger)).set_index("method")
    # Sure as it is, the second would have made three of the first's four predictions wrong.
    assert found.loc["dann", "pair_ensemble"] == 100
    assert found.loc["transferability", "pair_ensemble"] == 100


def test_trials_of_different_seeds_do_not_vote_together(tmp_path: Path) -> None:
    """Their samples are drawn: the same row is another sample. Only ``--all`` brings cells of several seeds."""
    of_seed = {0: [("dann", [0, 1, 2]), ("cdan", [0, 1, 2]), ("dan", [0, 1, 0])], 1: [("jan", [2, 2, 2])]}
    runs = [
        Run(method, "amazon", "dslr", {"lr": 0.1}, [(50.0, 1.0, 1.0)], seed=seed, predicted=predicted)
        for seed, methods in of_seed.items()
        for method, predicted in methods
    ]
    found = selection.with_derived(read(tmp_path, runs)).set_index("method")["pair_ensemble"]
    assert found.to_dict() == pytest.approx({"dann": 100, "cdan": 100, "dan": 200 / 3, "jan": 100})


def test_a_mean_of_ranks_prefers_what_both_criteria_rank_high(tmp_path: Path) -> None:
    """Ranks 3, 2, 1 of three and 1, 3, 2 of three: the second trial has the highest mean."""
    runs = [Run("dann", "amazon", "dslr", {"lr": lr}, [(60.0, 1.0, 1.0)]) for lr in (0.1, 0.2, 0.3)]
    table = read(tmp_path, runs).assign(pair_ensemble=[90.0, 80.0, 70.0], class_cluster=[0.1, 0.3, 0.2])
    assert lr(selection.choose(table, "ensemble_and_cluster"), "dann") == [0.2]
    assert lr(selection.choose(table, "pair_ensemble"), "dann") == [0.1]


def test_a_choice_that_was_stopped_early_is_confirmed_by_whole_runs(tmp_path: Path) -> None:
    """80 after one epoch of two is no estimate of what two epochs give."""
    stopped = Run("dann", "amazon", "dslr", {"lr": 0.1}, [(80.0, 2.0, 1.0)], state=TrialState.STOPPED)
    other = Run("dann", "amazon", "dslr", {"lr": 0.2}, [(50.0, 1.0, 1.0), (60.0, 1.0, 1.0)])
    (alone,) = _summary(read(tmp_path / "before", [stopped, other]))
    assert (alone["target_accuracy_mean"], alone["seeds"]) == (80.0, 1)
    again = [
        Run("dann", "amazon", "dslr", {"lr": 0.1}, [(60.0, 1, 1), (target, 1, 1)], role="confirm", seed=seed)
        for seed, target in ((1, 70.0), (2, 72.0), (3, 74.0))
    ]
    (confirmed,) = _summary(read(tmp_path / "after", [stopped, other, *again]))
    assert (confirmed["target_accuracy_mean"], confirmed["target_accuracy_std"]) == (72.0, 2.0)
    assert confirmed["seeds"] == 3


def _summary(table: pd.DataFrame) -> list[dict[str, float]]:
    return selection.summarize(table, selection.choose(table)).to_dict("records")  # type: ignore[return-value]


def test_regret_is_what_the_choice_costs_against_the_oracle(table: pd.DataFrame) -> None:
    regret = selection.regret(table)
    by_method = regret.groupby("method")["regret"].mean()
    assert by_method["dann"] == pytest.approx(2.0)
    assert by_method["source_only"] == 0.0
    assert (selection.regret(table, "oracle")["regret"] == 0).all()


def test_trials_by_an_earlier_version_of_a_method_are_left_out_and_counted(tmp_path: Path) -> None:
    def run(method: str, version: int, lr: float) -> Run:
        found = Run(method, "amazon", "dslr", {"lr": lr}, [(50.0, 1.0, 1.0)])
        found.protocol = found.protocol if version == 1 else {**found.protocol, "version": version}
        return found

    before = [run("dann", 1, 0.1), run("dann", 1, 0.2), run("mcd", 1, 0.1)]
    now = [run("dann", 2, 0.1), run("mcd", 1, 0.1)]
    path = experiment(tmp_path, before)
    with Ledger(path, write=True) as ledger:
        ledger.set_plan(each.trial for each in now)
        ledger.record_epoch(now[0].trial.id, EpochReport(1, 60.0, {"entropy": -1.0}, {}, 1.0), state=TrialState.DONE)
        assert selection.outdated(ledger) == {each.trial.id for each in before[:2]}
        assert set(selection.candidates(ledger, everything=True)["id"]) == {each.trial.id for each in now}
    every = results.read(path, everything=True)
    assert every.outdated == 2
    assert set(every.trials["id"]) == {each.trial.id for each in now}
    assert results.read(path).outdated == 0


def test_an_empty_ledger_gives_an_empty_choice(tmp_path: Path) -> None:
    table = read(tmp_path, [])
    assert selection.choose(table).empty
    assert selection.choose(table, "oracle").empty
    assert selection.summarize(table, selection.choose(table)).empty
    assert selection.regret(table).empty
