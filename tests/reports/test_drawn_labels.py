"""Labels drawn of a target choose trials, and are in no accuracy."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.shown_tables import column, row
from tests.support.small_ledger import Run, experiment
from transfer_sweep import UserError
from transfer_sweep.reports import drawn_labels, recommendation, report, results, selection
from transfer_sweep.reports.document.text import FLATTERS, NOT_SCORED
from transfer_sweep.reports.drawn_labels import ByLabels, Drawn
from transfer_sweep.reports.formats import Format, epoch_logs
from transfer_sweep.reports.ledger.artefacts import predicted_classes, save_predictions
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.sections import choosing
from transfer_sweep.reports.sections import recommendation as section

# Ten target samples of class 0 or 1; those drawn are the 7th, the 2nd, the 5th and the 1st.
TRUTH = [0, 1, 0, 1, 1, 0, 1, 0, 0, 1]
DRAWN = Drawn((6, 1, 4, 0), (1, 1, 1, 0), scored=10)


def _run(method: str, wrong: list[int], im: float, **others: Any) -> Run:
    """A trial that is wrong on these samples; its first epoch was wrong on all of them."""
    predicted = [2 if i in wrong else true for i, true in enumerate(TRUTH)]
    epochs = [(0.0, im, 1.0), (100.0 - 10 * len(wrong), im, 1.0)]
    return Run(method, "amazon", "webcam", {"lr": im}, epochs, predicted=predicted, **others)


RUNS = [
    _run("dann", [6, 2], 3.0),  # wrong on 1 of 4 drawn, 1 of 6 others
    _run("dann", [2, 3, 5, 7, 8], 2.0),  # right on all 4, wrong on 5 of 6
    _run("dann", [3, 5, 7, 8], 1.0),  # right on all 4, wrong on 4 of 6
    _run("mcc", [6, 1, 4], 4.0),  # wrong on 3 of 4, on none of the others
    _run("target_only", [6], 1.0),
    _run("target_only", [2, 3], 2.0),
]
META: dict[str, Any] = {
    "family": {"dann": "deep", "mcc": "deep", "target_only": "deep"},
    "label_access": {"target_only": "target_train"},
}


def _ledger(folder: Path, criterion: str, drawn: Drawn | None = DRAWN, runs: list[Run] = RUNS) -> Path:
    path = experiment(folder, runs, criterion=criterion, **META)
    with Ledger(path, write=True) as ledger:
        ledger.set_meta(drawn_labels.META, {} if drawn is None else {"webcam": drawn.encode()})
    return path


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("labels(50)", ByLabels(50, prior=False)),
        (" labels( 7 ) ", ByLabels(7, prior=False)),
        ("labels(25,prior)", ByLabels(25, prior=True)),
        ("labels (25, prior)", ByLabels(25, prior=True)),
        *((no, None) for no in ("labels", "labels()", "labels(0)", "labels(5, else)", "target_labels", "labels(-1)")),
    ],
)
def test_a_criterion_that_is_by_drawn_labels_says_how_many(written: str, meant: ByLabels | None) -> None:
    assert ByLabels.parse(written) == meant
    if meant is not None:
        assert ByLabels.parse(str(meant)) == meant
        assert str(meant.number) in selection.describe(written)


def test_accuracies_are_on_the_other_samples_alone(tmp_path: Path) -> None:
    with Ledger(_ledger(tmp_path, "labels(4)")) as ledger:
        found = selection.candidates(ledger)
    assert found["target_accuracy"].tolist() == pytest.approx([500 / 6, 100 / 6, 200 / 6, 100, 100, 400 / 6])
    assert found["best_accuracy"].isna().all()  # of the first epoch nobody knows who was right on which
    own = results.read(tmp_path / "office31_small" / "ledger.sqlite")
    assert own.curves["target_accuracy"].isna().all()
    for file in epoch_logs.export([tmp_path / "office31_small" / "ledger.sqlite"], tmp_path / "logs"):
        assert "target_accuracy" not in file.read_text()


def test_they_stay_the_same_by_every_criterion_so_that_all_share_one_test_set(tmp_path: Path) -> None:
    path = _ledger(tmp_path, "labels(4)")
    by = {name: results.read(path, name).candidates["target_accuracy"].tolist() for name in ("labels(2)", "entropy")}
    assert by["labels(2)"] == by["entropy"] == pytest.approx([500 / 6, 100 / 6, 200 / 6, 100, 100, 400 / 6])


def test_a_test_part_is_scored_whole(tmp_path: Path) -> None:
    apart = Drawn(DRAWN.rows, DRAWN.labels, scored=None)
    with Ledger(_ledger(tmp_path, "labels(4)", apart)) as ledger:
        found = selection.candidates(ledger)
    assert found["target_accuracy"].tolist() == [80, 50, 60, 70, 90, 80]
    assert found["best_accuracy"].tolist() == [80, 50, 60, 70, 90, 80]


def test_trials_that_have_other_training_samples_are_not_judged_by_the_drawn_ones(tmp_path: Path) -> None:
    apart = Drawn(DRAWN.rows, DRAWN.labels, scored=None, seed=0)
    other = _run("dann", [], 3.0, role="confirm", seed=1)
    with Ledger(_ledger(tmp_path, "labels(4)", apart, [RUNS[0], other])) as ledger:
        found = selection.candidates(ledger)
    assert [right is None for right in found[drawn_labels.ON_DRAWN]] == [False, True]
    assert found["target_accuracy"].tolist() == [80, 100]


def test_where_predictions_are_not_stored_nothing_is_made_up(tmp_path: Path) -> None:
    bare = [Run("dann", "amazon", "webcam", {"lr": 1}, [(80.0, 1.0, 1.0)]), RUNS[0]]
    with Ledger(_ledger(tmp_path, "labels(4)", runs=bare)) as ledger:
        found = selection.candidates(ledger)
    assert math.isnan(found["target_accuracy"].iloc[0])
    assert selection.choose(found, "labels(4)")["id"].tolist() == [RUNS[0].trial.id]


def test_the_best_on_the_drawn_labels_is_chosen_and_equals_by_the_label_free_score(tmp_path: Path) -> None:
    with Ledger(_ledger(tmp_path, "labels(4)")) as ledger:
        found = selection.candidates(ledger)
    chosen = selection.choose(found, "labels(4)").set_index("method")
    assert chosen.loc["dann", "id"] == RUNS[1].trial.id  # 100 % of 4, and a better score than the other that has it
    assert chosen.loc["dann", "score"] == 100
    assert chosen.loc["target_only", "id"] == RUNS[5].trial.id  # what trained on labels is chosen by the score
    assert selection.choose(found, "labels(1)").set_index("method").loc["mcc", "score"] == 0


def test_no_other_label_changes_a_choice(tmp_path: Path) -> None:
    with Ledger(_ledger(tmp_path, "labels(4)")) as ledger:
        found = selection.candidates(ledger)
    rng = np.random.default_rng(0)
    for criterion in ("labels(4)", "labels(2)", "labels(4, prior)"):
        chosen = selection.choose(found, criterion)["id"].tolist()
        for _ in range(5):
            others = found.assign(target_accuracy=rng.permutation(100 * rng.random(len(found))))
            assert selection.choose(others, criterion)["id"].tolist() == chosen


def test_collapsed_trials_are_chosen_where_all_are_and_not_else(tmp_path: Path) -> None:
    collapsed = _run("dann", [], 9.0)
    collapsed.epochs = [(100.0, 9.0, 0.4)]
    with Ledger(_ledger(tmp_path, "labels(4)", runs=[collapsed, RUNS[0]])) as ledger:
        found = selection.candidates(ledger)
    for criterion in ("labels(4)", "labels(4, prior)"):
        assert selection.choose(found, criterion)["id"].tolist() == [RUNS[0].trial.id]
        assert selection.choose(found[found["id"] == collapsed.trial.id], criterion)["id"].tolist() == [
            collapsed.trial.id
        ]


@pytest.mark.parametrize("criterion", ["labels(5)", "labels(5, prior)"])
@pytest.mark.parametrize("drawn", [None, DRAWN])
def test_more_labels_than_were_drawn_are_refused_in_one_line(
    tmp_path: Path, criterion: str, drawn: Drawn | None
) -> None:
    path = _ledger(tmp_path, "information_maximization", drawn)
    with pytest.raises(UserError, match=re.escape(f"--set criterion='{criterion}'")) as caught:
        results.read(path, criterion)
    assert "\n" not in str(caught.value)


def test_confusions_are_without_the_drawn_samples(tmp_path: Path) -> None:
    own = results.read(_ledger(tmp_path, "labels(4)"))
    counts = np.array([[4, 0, 1], [0, 4, 1], [0, 0, 0]])  # of the first trial: wrong on samples 6 and 2
    rest = own.without_drawn(RUNS[0].trial.id, "webcam", counts)
    assert rest.tolist() == [[3, 0, 1], [0, 2, 0], [0, 0, 0]]
    assert own.without_drawn(RUNS[0].trial.id, "amazon", counts) is counts


def test_rounded_logits_that_tie_are_read_as_the_trial_had_them(tmp_path: Path) -> None:
    logits = np.array([[1.0, 1.0 + 1e-5, 0.0]], dtype=np.float32)  # equal as float16
    name = save_predictions(tmp_path, "abc", logits, None)
    assert Drawn((0,), (1,), None).right(predicted_classes(str(tmp_path / name))) == [True]


@pytest.mark.parametrize("form", [Format.MD, Format.TEX, Format.HTML])
@pytest.mark.parametrize("criterion", ["labels(4)", "labels(4, prior)"])
def test_nothing_that_labels_chose_is_shown_as_label_free(tmp_path: Path, form: Format, criterion: str) -> None:
    text = report.render([_ledger(tmp_path, criterion)], form)
    text = re.sub(r"<(script|style|select)\b.*?</\1>", "", text, flags=re.DOTALL)
    for words in ("chosen without", "no target label takes part", "without target labels costs", FLATTERS):
        assert words not in text
    assert text.count(NOT_SCORED) >= 3
    assert "4 labels of each target chose" in text
    assert "chosen by target labels" in text


def test_by_a_label_free_criterion_the_report_says_only_what_is_not_scored(tmp_path: Path) -> None:
    text = report.render([_ledger(tmp_path, "labels(4)")], criterion="information_maximization")
    assert "Labels to choose trials by were drawn of 4 samples of each target" in text
    assert "labels of each target chose" not in text
    assert "chosen without one" in text


def test_the_recommended_trial_has_an_honest_accuracy_and_regret(tmp_path: Path) -> None:
    own = results.read(_ledger(tmp_path, "labels(4)"))
    (found,) = recommendation.recommend(own).values()
    assert found.trial.id == RUNS[1].trial.id
    assert (found.by_labels, found.labels, found.score) == (True, 4, 100)
    assert found.how == "of the trials of 2 methods the best by accuracy on the 4 labels drawn of webcam"
    assert (found.accuracy, found.regret) == pytest.approx((100 / 6, 500 / 6))
    shown = section.table(own, recommendation.recommend(own))
    assert shown.headers[3] == "accuracy on the drawn labels, %"
    assert row(shown, "amazon → webcam")[-2:] == ["16.7", "83.3"]
    regrets = choosing.table(own)
    assert regrets is not None
    assert column(regrets, "chosen by")[0] == "labels(4) (used here)"
    assert "without" not in str(regrets.caption)


def test_an_expected_accuracy_is_shown_as_no_more_than_all(tmp_path: Path) -> None:
    runs = [_run("dann", [2], 3.0), _run("dann", [2, 3], 1.0), _run("mcc", [5, 7], 2.0)]  # right on all four
    own = results.read(_ledger(tmp_path, "labels(4, prior)", runs=runs))
    found = recommendation.recommend(own)
    (pair,) = found
    assert found[pair].score > 100
    assert column(section.table(own, found), "expected accuracy, %")[0] == "100.0"
    assert column(section.ranking(own, pair), "expected accuracy, %")[0] == "100.0"
