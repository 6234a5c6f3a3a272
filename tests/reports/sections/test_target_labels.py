"""Reports of trials that labels of the target chose: never called label-free, and said to flatter."""

import csv
import io
import math
import re
from pathlib import Path

import pytest

from tests.support.shown_tables import column, only_group, row
from tests.support.small_ledger import RUNS, experiment
from transfer_sweep.reports import recommendation, regret, report, results
from transfer_sweep.reports.document.text import FLATTERS
from transfer_sweep.reports.formats import Format, html
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.reports.sections import accuracy, choosing
from transfer_sweep.reports.sections import recommendation as section

AW = Pair("amazon", "webcam")
PARTLY = {"total": 500, "by_class": [60, 60, 0]}
SAMPLES = {"amazon": {"total": 30, "by_class": [10, 10, 10]}, "webcam": PARTLY, "dslr": PARTLY}


@pytest.fixture
def chosen_by_labels(tmp_path: Path) -> Path:
    """The ledger of an experiment whose trials are chosen by the labels given of webcam and dslr."""
    return experiment(tmp_path, RUNS, "partly", samples=SAMPLES, criterion="target_labels")


@pytest.mark.parametrize("form", [Format.MD, Format.TEX, Format.HTML])
def test_nothing_is_said_to_be_chosen_without_labels_and_accuracy_is_said_to_flatter(
    chosen_by_labels: Path, form: Format
) -> None:
    text = report.render([chosen_by_labels], form)
    # The criteria that the page offers, too, may say so of themselves.
    text = re.sub(r"<(script|style|select)\b.*?</\1>", "", text, flags=re.DOTALL)
    for words in ("chosen without", "no target label takes part", "Choosing without target labels costs", "used here"):
        assert words not in text
    assert not re.search(r"Methods on .* without target labels", text)
    assert text.count(FLATTERS) >= 4  # summary, recommendation, results, how they were chosen
    assert "by accuracy on the 120 labels given of webcam" in text
    assert "best accuracy on the labels that were given of the target is taken" in text


def test_each_cell_shows_its_most_accurate_trial_that_did_not_collapse(chosen_by_labels: Path) -> None:
    own = results.read(chosen_by_labels)
    matrix = accuracy.matrix(only_group(own), own.criterion)
    assert matrix is not None
    assert matrix.caption == "Target accuracy in percent, chosen by target labels"
    assert row(matrix, "dann")[2:] == ["**82.0**"] * 4
    assert FLATTERS in matrix.notes


def test_by_a_criterion_the_same_tables_do_not_speak_of_labels_that_chose(chosen_by_labels: Path) -> None:
    own = results.read(chosen_by_labels, "information_maximization")
    matrix = accuracy.matrix(only_group(own), own.criterion)
    assert matrix is not None
    assert FLATTERS not in matrix.notes
    assert FLATTERS not in report.render([chosen_by_labels], criterion="information_maximization")


def test_what_criteria_would_have_cost_is_shown_and_labels_are_not_among_them(chosen_by_labels: Path) -> None:
    own = results.read(chosen_by_labels)
    table = choosing.table(own)
    assert table is not None
    assert "information maximization" in column(table, "chosen by")
    assert not any("target labels" in name for name in column(table, "chosen by"))
    assert regret.means(own) is None


def test_the_recommended_trial_has_its_accuracy_for_a_score_and_no_regret(chosen_by_labels: Path) -> None:
    own = results.read(chosen_by_labels)
    table = section.table(own, recommendation.recommend(own))
    assert table.headers[3:] == ["accuracy on the labels that chose, %", "agreement, %"]
    assert row(table, "amazon → webcam")[1:4] == ["dann", "lr 0.03", "82.0"]
    ranking = section.ranking(own, AW)
    assert ranking.caption == "Methods on amazon → webcam, by accuracy on the labels given of webcam"
    assert column(ranking, "accuracy on the labels that chose, %") == ["82.0", "70.0"]
    assert FLATTERS in ranking.notes


def test_the_page_offers_labels_where_they_chose_and_nowhere_else(chosen_by_labels: Path, small: Path) -> None:
    (own, *others) = html.choices(results.read(chosen_by_labels))
    assert (own.name, own.description) == ("target_labels", "accuracy on the labels that were given of the target")
    assert "information_maximization" in {choice.name for choice in others}
    assert "target_labels" not in {choice.name for choice in html.choices(results.read(small))}


def test_records_name_what_chose_them(chosen_by_labels: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report.render([chosen_by_labels], Format.CSV))))
    assert {r["selection"] for r in rows} == {"target_labels", "oracle"}
    by_labels = [float(r["target_accuracy_mean"]) for r in rows if r["selection"] == "target_labels"]
    assert sorted(by_labels) == [70.0] * 3 + [82.0] * 3
    assert not any(math.isnan(value) for value in by_labels)
