"""Reports of experiments with a few target labels, and of what layers transfer."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.small_ledger import PROTOCOL, Run, experiment
from transfer_sweep.reports import regret as evidence
from transfer_sweep.reports import report as document
from transfer_sweep.reports import results
from transfer_sweep.reports.document import plotting as figures
from transfer_sweep.reports.document.elements import text_of
from transfer_sweep.reports.formats import epoch_logs as logs
from transfer_sweep.reports.ledger.records import FewLabels, Protocol
from transfer_sweep.reports.report import Format
from transfer_sweep.reports.sections import few_labels as semi_supervised
from transfer_sweep.reports.sections import tables, transferability

PAIRS = [("amazon", "webcam"), ("webcam", "amazon")]


def few(per_class: int, classes: int | None = None, source: bool = True) -> dict[str, Any]:
    return {"per_class": per_class, "classes": classes, "source": source}


def run(method: str, pair: tuple[str, str], setting: Any, accuracy: float, seed: int = 0, **params: Any) -> Run:
    role = "search" if seed == 0 else "confirm"
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


def test_settings_in_words_and_in_names() -> None:
    settings = [FewLabels(3), FewLabels(0, classes=15), FewLabels(1, source=False)]
    assert [setting.text() for setting in settings] == [
        "3 per class",
        "0 per class, of 15 classes",
        "1 per class, without source",
    ]
    assert [setting.tag for setting in settings] == ["+3", "+0of15", "+1only"]
    assert Protocol("pixels").few_text == Protocol("pixels").few_tag == ""


def test_what_saw_a_few_labels_is_never_ranked_and_has_no_published_number_beside_it(own: results.Results) -> None:
    (group,) = own.groups()
    ranked = tables.matrix(group, own.criterion)
    apart = tables.matrix(group, own.criterion, access="few")
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
    assert tables.regrets(own) is None  # the only choice is among trials with labels


def test_accuracy_over_labels_per_class_is_the_average_over_pairs_of_each_seed(own: results.Results) -> None:
    (group,) = own.groups()
    found = semi_supervised.curves(own, group)
    (table,) = semi_supervised.accuracy_tables(found, own.criterion)
    # dann, none: seeds average 70.5 and 71.5; three: 81 and 85. What never has labels (mcc) is not here.
    assert table.headers == ["method", "0", "3"]
    assert table.rows == [["dann", "71.0 ± 0.7", "83.0 ± 2.8"], ["linear_svm", "–", "50.0"]]


def test_classes_of_which_some_have_labels_make_a_table_of_their_own(tmp_path: Path) -> None:
    more = [run("dann", pair, few(k, classes=15), 40.0 + k) for pair in PAIRS for k in (0, 10)]
    own = results.read(experiment(tmp_path, [*runs(), *more], label_access=ACCESS))
    (group,) = own.groups()
    of_all, of_some = semi_supervised.accuracy_tables(semi_supervised.curves(own, group), own.criterion)
    assert of_all.headers == ["method", "0", "3"]
    assert "15 classes have labels, the others are scored" in of_some.caption
    assert of_some.rows == [["dann (of 15 classes)", "40.0", "50.0"]]


def test_the_report_has_a_section_and_a_figure_of_them(own: results.Results, tmp_path: Path) -> None:
    path = tmp_path / "office31_small" / "ledger.sqlite"
    text = document.render([path], Format.MD)
    section = text.split("### With a few target labels")[1].split("\n## ")[0]
    assert "| dann" in section
    assert "83.0 ± 2.8" in section
    assert "3 per class, without source" in section
    (group,) = own.groups()
    figures.save(semi_supervised.figure(semi_supervised.curves(own, group)), tmp_path / "few.png")
    assert (tmp_path / "few.png").stat().st_size > 5000


# --- transferability ---


def transfer_runs() -> list[Run]:
    found = []
    for i, pair in enumerate(PAIRS):
        for seed in (0, 1):
            base = 90.0 + 2 * i + seed
            found.append(run("transferability", pair, None, base, seed, layers=0, base="source", fine_tune=False))
            for n in (1, 2):
                for origin, plus, change in (("source", False, -n), ("source", True, n), ("target", False, 0.5 * i)):
                    params = {"layers": n, "base": origin, "fine_tune": plus}
                    found.append(run("transferability", pair, None, base + change, seed, **params))
    return found


def test_curves_are_over_all_pairs_and_seeds_and_differences_of_the_same_ones(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, transfer_runs(), label_access={"transferability": "target_train"}))
    found = transferability.curves(own)
    assert len(found) == len(transfer_runs())
    means = found.groupby(["network", "layers"])["difference"].mean()
    assert means.to_dict() == {
        ("B", 0): 0.0,
        **{("AnB", n): -n for n in (1, 2)},
        **{("AnB+", n): n for n in (1, 2)},
        **{("BnB", n): 0.25 for n in (1, 2)},
    }
    table = transferability.table(found)
    assert table.headers == ["network", "n = 1", "n = 2"]
    assert table.rows == [
        ["B", "91.5 ± 1.3", ""],
        ["BnB", "91.8 (+0.2 ± 0.1)", "91.8 (+0.2 ± 0.1)"],
        ["AnB", "90.5 (−1.0 ± 0.0)", "89.5 (−2.0 ± 0.0)"],
        ["AnB+", "92.5 (+1.0 ± 0.0)", "93.5 (+2.0 ± 0.0)"],
    ]


def test_nothing_is_chosen_of_what_is_compared(tmp_path: Path) -> None:
    path = experiment(tmp_path, transfer_runs(), label_access={"transferability": "target_train"})
    text = document.render([path], Format.MD)
    assert "## How transferable layers are" in text
    assert "## How the numbers were chosen" not in text
    assert "chosen by" not in text
    found = transferability.curves(results.read(path))
    assert isinstance(found, pd.DataFrame)
    figures.save(transferability.figure(found), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000


def test_evidence_for_criteria_leaves_out_what_saw_labels(tmp_path: Path) -> None:
    more = [run("dann", PAIRS[0], None, 50.0, lr=1.0), *transfer_runs()]
    path = experiment(tmp_path, [*runs(), *more], label_access=ACCESS)
    (tmp_path / "some.trials.csv.gz").write_bytes(results.trials_csv(results.read(path)))
    found = evidence.read(tmp_path / "some.trials.csv.gz")
    assert set(found["method"]) == {"source_only", "dann", "mcc"}
    assert found["protocol"].str.contains('"few":null').all()


def test_logs_say_how_many_labels_a_run_had(own: results.Results, tmp_path: Path) -> None:
    path = tmp_path / "office31_small" / "ledger.sqlite"
    written = {file.stem: pd.read_csv(file) for file in logs.export([path], tmp_path / "logs")}
    assert own.name == "office31_small"
    assert written["dann"]["few"].fillna("").tolist() == ["", "3 per class"]
    assert "few" not in written["mcc"]
