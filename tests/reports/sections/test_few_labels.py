"""What a few target labels give, apart from what is reached without any."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.shown_tables import only_group
from tests.support.small_ledger import PROTOCOL, Run, experiment
from transfer_sweep.reports import report, results
from transfer_sweep.reports.document import plotting
from transfer_sweep.reports.document.elements import text_of
from transfer_sweep.reports.ledger.records import Role
from transfer_sweep.reports.sections import accuracy, choosing, few_labels

PAIRS = [("amazon", "webcam"), ("webcam", "amazon")]


def few(per_class: int, classes: int | None = None, source: bool = True) -> dict[str, Any]:
    return {"per_class": per_class, "classes": classes, "source": source}


def run(method: str, pair: tuple[str, str], setting: Any, accuracy: float, seed: int = 0, **params: Any) -> Run:
    role: Role = "search" if seed == 0 else "confirm"
    epochs = [(accuracy, 2.0 if params.get("lr") != 1.0 else 1.0, 1.0)]  # lr 1 has the worse criterion
    return Run(method, *pair, params, epochs, role, seed, budget=1, protocol={**PROTOCOL, "few": setting})


def runs() -> list[Run]:
    found = []
    for i, pair in enumerate(PAIRS):
        found += [run("source_only", pair, None, 60.0 + i)]
        for seed in (0, 1):
            found += [run("dann", pair, None, 70.0 + i + seed, seed, lr=0.1)]
            found += [run("dann", pair, few(3), 80.0 + 2 * i + 4 * seed, seed, lr=0.1)]
        found += [run("dann", pair, few(3), 99.0, lr=1.0)]  # never chosen
        found += [run("mcc", pair, None, 90.0)]
    found += [run("linear_svm", (t, t), few(3, source=False), 50.0) for t in ("amazon", "webcam")]
    found += [run("target_only", (t, t), None, 95.0) for t in ("amazon", "webcam")]
    return found


ACCESS = {"target_only": "target_train"}


@pytest.fixture
def own(tmp_path: Path) -> results.Results:
    return results.read(experiment(tmp_path, runs(), label_access=ACCESS))


def test_what_saw_a_few_labels_is_never_ranked_and_has_no_published_number_beside_it(own: results.Results) -> None:
    group = only_group(own)
    ranked = accuracy.matrix(group, own.criterion)
    apart = accuracy.matrix(group, own.criterion, access="few")
    assert ranked is not None
    assert apart is not None
    assert [text_of(r[0]) for r in ranked.rows] == ["source_only", "dann", "mcc"]
    assert [[text_of(cell) for cell in r] for r in apart.rows] == [
        ["dann", "efficientnet_lite0, frozen", "3 per class", "82.0 ± 2.8", "84.0 ± 2.8", "83.0"],
        ["linear_svm", "efficientnet_lite0, frozen", "3 per class, without source", "50.0", "50.0", "50.0"],
    ]
    with_few = own.records[own.records["few"] != ""]
    assert set(with_few["label_access"]) == {"few"}
    assert with_few[["paper", "replication"]].isna().all(axis=None)
    unsupervised = own.records[(own.records["method"] == "dann") & (own.records["few"] == "")]
    assert unsupervised["paper"].notna().all()
    assert choosing.table(own) is None  # the only choice is among trials with labels


def test_accuracy_over_labels_per_class_is_the_average_over_pairs_of_each_seed(own: results.Results) -> None:
    found = few_labels.curves(own, only_group(own).records)
    (table,) = few_labels.accuracy_tables(found, own.criterion)
    # dann, none: seeds average 70.5 and 71.5; three: 81 and 85. What never has labels (mcc) is not here.
    assert table.headers == ["method", "0", "3"]
    assert table.rows == [["dann", "71.0 ± 0.7", "83.0 ± 2.8"], ["linear_svm", "–", "50.0"]]


def test_classes_of_which_some_have_labels_make_a_table_of_their_own(tmp_path: Path) -> None:
    more = [run("dann", pair, few(k, classes=15), 40.0 + k) for pair in PAIRS for k in (0, 10)]
    own = results.read(experiment(tmp_path, [*runs(), *more], label_access=ACCESS))
    of_all, of_some = few_labels.accuracy_tables(few_labels.curves(own, only_group(own).records), own.criterion)
    assert of_all.headers == ["method", "0", "3"]
    assert "15 classes have labels, the others are scored" in of_some.caption
    assert of_some.rows == [["dann (of 15 classes)", "40.0", "50.0"]]


def test_the_report_has_a_section_and_a_figure_of_them(own: results.Results, tmp_path: Path) -> None:
    path = tmp_path / "office31_small" / "ledger.sqlite"
    text = report.render([path])
    section = text.split("### With a few target labels")[1].split("\n## ")[0]
    assert "| dann" in section
    assert "83.0 ± 2.8" in section
    assert "3 per class, without source" in section
    plotting.save(few_labels.draw(few_labels.curves(own, only_group(own).records)), tmp_path / "few.png")
    assert (tmp_path / "few.png").stat().st_size > 5000
