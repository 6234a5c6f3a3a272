"""The recommended trials, and the methods of a pair in the order in which they would be chosen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.shown_tables import column, row
from tests.support.small_ledger import PROTOCOL, RUNS, Run, experiment, without_labels
from transfer_sweep.reports import ensembles, recommendation, report, results
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.reports.sections import recommendation as section

AW = Pair("amazon", "webcam")
RUN = Run("dann", *AW, {"lr": 0.1}, [(70, 1.5, 1.0)], also={"class_cluster": 0.25}, predicted=[0, 1, 2, 2])
RUNS_OF_A_PAIR = [
    RUN,
    replace(RUN, method="cdan", epochs=[(60, 1.0, 1.0)], predicted=[0, 1, 1, 1]),
    replace(RUN, method="coral", epochs=[(90, 3.0, 1.0)], predicted=[0, 0, 0, 0]),
]
FAMILIES = {"dann": "deep", "cdan": "deep", "coral": "shallow"}


def test_the_recommendation_heads_the_results(small: Path) -> None:
    text = report.render([small])
    assert text.index("## Recommended") < text.index("## Results")
    assert text.count("## Recommended") == 1


def test_each_pair_has_its_trial_with_its_regret(small: Path) -> None:
    own = results.read(small)
    table = section.table(own, recommendation.recommend(own))
    assert row(table, "amazon → webcam")[1:] == ["dann", "lr 0.01", "2.000", "–", "80.0", "2.0"]


def test_without_labels_a_recommendation_has_no_accuracy_and_no_regret(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, without_labels(RUNS, "webcam", "dslr")))
    table = section.table(own, recommendation.recommend(own))
    assert table.headers == ["pair", "method", "params", "information maximization", "agreement, %"]


def test_it_is_said_how_the_trial_was_chosen_and_what_it_cost(tmp_path: Path) -> None:
    text = report.render([experiment(tmp_path, RUNS_OF_A_PAIR, family=FAMILIES)])
    assert "of those of 2 deep methods the best by information maximization" in text
    assert "20.0 points below the best trial of these methods on average" in text  # coral's 90


def test_what_a_recommendation_may_cost_is_said_without_labels(tmp_path: Path) -> None:
    runs = without_labels(RUNS_OF_A_PAIR, "webcam")
    own = results.read(experiment(tmp_path, runs, family=FAMILIES, criterion="auto"))
    found = recommendation.recommend(own)
    (text,) = section.expectations(found)
    expected = found[AW].expected  # others predict otherwise for 62.5 % of the samples
    assert f"{expected.mean:.1f} points below the best trial" in text
    assert f"at most {expected.most:.1f}" in text
    table = section.table(own, found)
    assert column(table, "expected regret, points")[0] == f"{expected.mean:.1f} (≤ {expected.most:.1f})"


@pytest.mark.parametrize(
    ("criterion", "known"),
    [("auto", [True, True]), ("information_maximization", [True, False]), ("entropy", [False, False])],
)
def test_what_it_may_cost_is_not_known_of_what_other_criteria_chose(
    tmp_path: Path, criterion: str, known: list[bool]
) -> None:
    for runs, each in zip((RUNS_OF_A_PAIR[:2], RUNS_OF_A_PAIR), known, strict=True):
        path = experiment(tmp_path, runs, f"{len(runs)} methods", family=FAMILIES, criterion=criterion)
        own = results.read(path)
        found = recommendation.recommend(own)
        (text,) = section.expectations(found)
        assert text.startswith("**Expected regret" if each else "Nothing is known of the regret to expect")
        assert ("expected regret, points" in section.table(own, found).headers) == each


def test_what_chose_is_named_once_and_in_a_method_s_table_by_what_it_is_there(tmp_path: Path) -> None:
    path = experiment(tmp_path, RUNS_OF_A_PAIR, family=FAMILIES, criterion="auto")
    text = report.render([path])
    assert "Target accuracy in percent, chosen by auto" in text
    assert text.count("for deep methods; for classical ones") == 1
    assert text.index("for deep methods; for classical ones") > text.index("## How the numbers were chosen")
    table = text[text.index("coral (efficientnet") :]
    assert "ours, by pair ensemble" in table
    assert "ours, by auto" not in text


def test_the_ensemble_of_the_best_quarter_stands_beside_the_recommended_trial(tmp_path: Path) -> None:
    best = [replace(RUN, params={"lr": float(i)}, epochs=[(50, 2.0, 1.0)], predicted=[0, 1, 1, 1]) for i in range(2)]
    others = [replace(RUN, params={"lr": float(i)}, epochs=[(50, 1.0, 1.0)]) for i in range(2, 5)]
    path = experiment(
        tmp_path, [*RUNS_OF_A_PAIR, *best, *others], family=FAMILIES, criterion="auto"
    )  # 7 deep ones: two vote
    with Ledger(path, write=True) as ledger:
        measured = ensembles.Measured([run.trial.id for run in best], 61.0)
        ledger.set_meta(ensembles.META, {"amazon-webcam": measured._asdict()})
    own = results.read(path)
    together = ensembles.of_pairs(own, recommendation.recommend(own))[AW]
    assert together.members == tuple(run.trial.id for run in best)
    assert together.classes.tolist() == [0, 1, 1, 1]
    table = section.table(own, recommendation.recommend(own))
    assert any("best quarter, by information maximization, of the trials" in note for note in table.notes)
    assert table.rows[1] == ["", "ensemble of 2 trials", "–", "–", "100.0", "–", "61.0", "–"]
    with Ledger(path, write=True) as ledger:
        ledger.set_meta(ensembles.META, {"amazon-webcam": {"members": ["another"], "accuracy": 61.0}})
    own = results.read(path)
    assert section.table(own, recommendation.recommend(own)).rows[1][-2] == "–"


def ensemble_of(path: Path) -> ensembles.Ensemble | None:
    own = results.read(path)
    found = recommendation.recommend(own)
    section.table(own, found)
    return ensembles.of_pairs(own, found).get(AW)


@pytest.mark.parametrize("apart", [{"protocol": {**PROTOCOL, "options": {"train": {"webcam": 3}}}}, {"seed": 1}])
def test_only_trials_with_the_same_target_samples_make_up_an_ensemble(tmp_path: Path, apart: dict[str, Any]) -> None:
    # By information maximisation those with other samples, two of which are a quarter, come right after the best.
    others = [
        replace(RUN, method="mcc", params={"lr": float(i)}, epochs=[(50, 1.4, 1.0)], predicted=[0, 1, 2, 1], **apart)
        for i in range(5)
    ]
    together = ensemble_of(experiment(tmp_path, [*RUNS_OF_A_PAIR, *others], family={**FAMILIES, "mcc": "deep"}))
    assert together is not None
    assert together.members == (RUN.trial.id,)


def test_a_quarter_is_of_the_trials_whose_predictions_are_stored(tmp_path: Path) -> None:
    gone = [replace(RUN, params={"lr": float(i)}, epochs=[(50, 2.0, 1.0)], predicted=None) for i in range(2, 6)]
    runs = [replace(RUN, epochs=[(50, 3.0, 1.0)]), *RUNS_OF_A_PAIR[1:], *gone]
    together = ensemble_of(experiment(tmp_path, runs, family=FAMILIES))
    assert together is not None
    assert together.members == (RUN.trial.id,)
    more = [replace(run, predicted=[0, 0, 1, 2]) for run in gone]
    together = ensemble_of(experiment(tmp_path, [*runs[:3], *more], "stored", family=FAMILIES))
    assert together is not None
    assert together.members == (RUN.trial.id, more[0].trial.id)  # of six, rounded up


def test_classical_methods_make_up_no_ensemble(tmp_path: Path) -> None:
    assert ensemble_of(experiment(tmp_path, RUNS_OF_A_PAIR, family=dict.fromkeys(FAMILIES, "shallow"))) is None


def test_methods_are_ranked_and_those_that_cannot_be_compared_come_last(tmp_path: Path) -> None:
    table = section.ranking(results.read(experiment(tmp_path, RUNS_OF_A_PAIR, family=FAMILIES)), AW)
    assert column(table, "method") == ["dann", "cdan", "coral"]
    assert column(table, "place") == ["1", "2", "–"]
    assert column(table, "agreement, %") == ["37.5", "37.5", "25.0"]  # of 2/4 and 1/4; 2/4 and 1/4; 1/4 and 1/4
    assert column(table, "predicted classes") == ["3 of 3", "2 of 3", "1 of 3"]
    assert column(table, "target accuracy, %") == ["70.0", "60.0", "90.0"]
    assert column(table, "seconds") == ["0.5"] * 3


def test_a_ranking_without_labels_has_no_accuracy(tmp_path: Path) -> None:
    runs = without_labels(RUNS_OF_A_PAIR, "webcam")
    table = section.ranking(results.read(experiment(tmp_path, runs, family=FAMILIES)), AW)
    assert column(table, "method") == ["dann", "cdan", "coral"]
    assert "target accuracy, %" not in table.headers


def test_classes_in_other_shares_than_the_source_are_warned_of(tmp_path: Path) -> None:
    near, far = {"total": 8, "by_class": [2, 2, 4]}, {"total": 8, "by_class": [6, 1, 1]}
    texts = [
        report.render([experiment(tmp_path, RUNS_OF_A_PAIR, name, samples={"amazon": counts}, family=FAMILIES)])
        for name, counts in (("near", near), ("far", far))
    ]
    assert "differ much in their shares" not in texts[0]
    assert "The classes of amazon and those predicted of webcam differ much in their shares:** 50 %" in texts[1]
