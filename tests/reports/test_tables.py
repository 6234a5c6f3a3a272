"""Reports: what a reader must find in them, and what must never be mixed."""

import csv
import dataclasses
import gzip
import io
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ledgers
from tests.support.small_ledger import PAIRS, PROTOCOL, RECORDED, RUNS, Run, experiment
from transfer_sweep.reports import report as document
from transfer_sweep.reports import results, selection
from transfer_sweep.reports.document.elements import Cell, Table, text_of
from transfer_sweep.reports.formats import latex
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.report import Format
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.sections import tables

REQUIRED = {
    "dataset",
    "protocol",
    "backbone",
    "method",
    "source",
    "target",
    "selection",
    "target_accuracy_mean",
    "target_accuracy_std",
    "seeds",
    "trials",
    "params",
    "paper",
    "replication",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return experiment(tmp_path, RUNS)


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(document.render([path], Format.CSV))))


def shown(cell: Cell | str) -> str:
    """A cell's text; the best of its column between stars, the second between underscores."""
    marks = {0: "", 1: "**", 2: "_"}[cell.place if isinstance(cell, Cell) else 0]
    return f"{marks}{text_of(cell)}{marks}"


def row(table: Table, first: str) -> list[str]:
    (found,) = ([shown(cell) for cell in row] for row in table.rows if row[0] == first)
    return found


def only_group(own: Results) -> Any:
    (group,) = own.groups()
    return group


# --- methods × pairs ---


def test_a_matrix_has_a_row_per_method_a_column_per_pair_and_an_average(small: Path) -> None:
    own = results.read(small)
    table = tables.matrix(only_group(own), own.criterion)
    assert table is not None
    assert list(table.headers) == ["method", "backbone", "A→W", "D→W", "W→D", "average"]
    assert row(table, "dann") == ["dann", "efficientnet_lite0, frozen", *["**80.0 ± 4.0**"] * 3, "**80.0**"]
    assert row(table, "source_only") == ["source_only", "efficientnet_lite0, frozen", *["_70.0_"] * 3, "_70.0_"]
    assert "A = amazon, W = webcam, D = dslr." in table.notes


def test_the_oracle_has_a_matrix_of_its_own_that_says_so(small: Path) -> None:
    own = results.read(small)
    table = tables.matrix(only_group(own), "oracle")
    assert table is not None
    assert "oracle" in table.caption
    assert row(table, "dann")[2] == "**82.0**"


def test_domains_that_share_an_initial_keep_their_names() -> None:
    assert tables.initials(["mnist", "usps", "mnist_m"]) == {"mnist": "mnist", "usps": "usps", "mnist_m": "mnist_m"}


def test_an_average_over_some_of_the_pairs_says_over_how_many_and_never_wins(tmp_path: Path) -> None:
    runs = [
        Run("tca", "amazon", "webcam", {"mu": 1.0}, [(60.0, 1.0, 1.0)]),
        Run("tca", "amazon", "dslr", {"mu": 1.0}, [(50.0, 1.0, 1.0)]),
        Run("coral", "amazon", "webcam", {"mu": 1.0}, [(40.0, 1.0, 1.0)]),
        Run("coral", "amazon", "dslr", {"mu": 1.0}, [(30.0, 1.0, 1.0)]),
        Run("jda", "amazon", "webcam", {"mu": 1.0}, [(90.0, 1.0, 1.0)]),
    ]
    own = results.read(experiment(tmp_path, runs))
    table = tables.matrix(only_group(own), own.criterion)
    assert table is not None
    assert row(table, "jda")[2:] == ["**90.0**", "–", "90.0 (1 of 2)"]
    assert row(table, "tca")[2:] == ["_60.0_", "**50.0**", "**55.0**"]


def test_profiles_and_dataset_options_never_share_a_table_but_backbones_do(tmp_path: Path) -> None:
    def run(method: str, accuracy: float, **protocol: Any) -> Run:
        return Run(method, "usps", "mnist", {}, [(accuracy, 1.0, 1.0)], protocol={**PROTOCOL, **protocol})

    runs = [
        run("dann", 1.0, backbone="mcd_network", training="scratch"),
        run("tca", 2.0, backbone="pixels", training="raw"),
        run("dann", 3.0, profile="gpu"),
        run("dann", 4.0, options={"usps": "border"}),
    ]
    own = results.read(experiment(tmp_path, runs))
    shown = []
    for group in own.groups():
        table = tables.matrix(group, own.criterion)
        assert table is not None
        shown.append([(r[0], r[1], text_of(r[-1])) for r in table.rows])
    assert shown == [
        [("dann", "mcd_network, scratch", "1.0"), ("tca", "pixels", "2.0")],
        [("dann", "efficientnet_lite0, frozen", "3.0")],
        [("dann", "efficientnet_lite0, frozen", "4.0")],
    ]


def test_what_each_value_of_the_only_param_gave_stands_by_pair(small: Path) -> None:
    own = results.read(small)
    table = tables.single_params(own, only_group(own))
    assert table is not None
    assert list(table.headers) == ["method", "param", "A→W", "D→W", "W→D", "average"]
    # Of seed 0 alone, though lr 0.01 ran with more; source_only searched nothing.
    assert [list(map(text_of, row)) for row in table.rows] == [
        ["dann", "lr 0.003", *["70.0§"] * 3, "70.0"],
        ["dann", "lr 0.01", *["80.0"] * 3, "80.0"],
        ["dann", "lr 0.03", *["82.0"] * 3, "82.0"],
        ["dann", "lr 1", *["3.0"] * 3, "3.0"],
    ]
    assert any("stopped early" in note for note in table.notes)


# --- label access ---


FEW = {"per_class": 3, "classes": None, "source": True}


def with_bounds(accuracy_of_target_only: float = 90.0) -> list[Run]:
    return [
        *RUNS,
        *(Run("target_only", t, t, {}, [(accuracy_of_target_only, 3.0, 1.0)]) for t in ("webcam", "dslr")),
        *(
            Run("fine_tune", s, t, {}, [(99.0, 3.0, 1.0)], protocol={**PROTOCOL, "few": FEW})
            for s, t in PAIRS
        ),
    ]  # fmt: skip


ACCESS = {"target_only": "target_train", "fine_tune": "few"}


def test_methods_that_see_target_labels_stand_apart_and_are_not_ranked(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, with_bounds(), label_access=ACCESS))
    ranked = tables.matrix(only_group(own), own.criterion)
    apart = tables.matrix(only_group(own), own.criterion, access="target_train")
    assert ranked is not None
    assert apart is not None
    assert [r[0] for r in ranked.rows] == ["source_only", "dann"]
    assert "**" in "".join(row(ranked, "dann"))
    few = tables.matrix(only_group(own), own.criterion, access="few")
    assert few is not None
    assert [r[0] for r in apart.rows] == ["target_only"]
    assert [(r[0], r[2]) for r in few.rows] == [("fine_tune", "3 per class")]
    assert not apart.ranked
    assert not few.ranked
    regrets = tables.regrets(own)
    assert regrets is not None
    assert "over 3 cells" in regrets.caption  # of dann; nothing else had a choice


def test_the_upper_bound_of_a_target_stands_in_the_column_of_every_pair_that_ends_there(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, with_bounds(), label_access=ACCESS))
    apart = tables.matrix(only_group(own), own.criterion, access="target_train")
    assert apart is not None
    assert list(apart.headers[3:6]) == ["A→W", "D→W", "W→D"]
    assert row(apart, "target_only")[2:6] == ["all but those scored (upper bound)", "90.0", "90.0", "90.0"]


def test_the_gap_closed_is_that_of_ganin_2015(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, with_bounds(), label_access=ACCESS))
    table = tables.gains(only_group(own), own.criterion)
    assert table is not None
    # From 70 (source only) to 80 of 90 (target only): ten points, half of the gap.
    assert row(table, "dann")[2:] == ["+10.0 (50 %)"] * 4
    assert [r[0] for r in table.rows] == ["dann"]


def test_there_is_no_gain_over_a_source_only_on_another_backbone(tmp_path: Path) -> None:
    raw = {**PROTOCOL, "backbone": "surf_bow800", "training": "raw"}
    runs = [*RUNS, Run("tca", "amazon", "webcam", {}, [(50.0, 1.0, 1.0)], protocol=raw)]
    rows = csv_rows(experiment(tmp_path, runs))
    gains = {(r["method"], r["source"]): r["gain_over_source_only"] for r in rows if r["selection"] != "oracle"}
    assert gains["dann", "amazon"] == "10.0"
    assert gains["tca", "amazon"] == ""


# --- beside the published numbers ---


def comparison(own: Results, method: str) -> tuple[Table, tables.References]:
    group, references = only_group(own), tables.References()
    (key,) = {key for key in group[results.METHOD].itertuples(index=False, name=None) if key[0] == method}
    return tables.comparison(own, group, key, references, tables.settings_of(own, key)), references


def column(table: Table, header: str) -> list[str]:
    return [row[list(table.headers).index(header)] for row in table.rows]


def test_paper_replication_and_both_of_ours_stand_side_by_side(small: Path) -> None:
    table, references = comparison(results.read(small), "dann")
    assert column(table, "pair") == ["amazon → webcam", "dslr → webcam", "webcam → dslr", "average"]
    assert column(table, "paper [1]") == ["82.00†", "96.90†", "99.10†", "92.67"]
    assert column(table, "earlier replication [2]") == ["91.40†", "97.90†", "100.00†", "96.43"]
    assert column(table, "ours, by information maximization")[:3] == ["80.00 ± 4.00"] * 3
    assert column(table, "− paper")[0] == "−2.00"
    assert column(table, "ours, by oracle") == ["82.00"] * 4
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
    peak = Run("dann", "amazon", "webcam", {"lr": 1.0}, [(95.0, 1.0, 1.0), (20.0, 1.0, 1.0)], state="stopped")
    own = results.read(experiment(tmp_path, [*RUNS, peak]))
    table, _ = comparison(own, "dann")
    assert column(table, "best over epochs (oracle)")[0] == "95.00"
    assert column(table, "ours, by oracle")[0] == "82.00"


# --- cost, failures, what is missing ---


def test_effort_counts_trials_by_state_and_epochs_against_the_full_grid(small: Path) -> None:
    table = tables.effort(results.read(small))
    dann = dict(zip(table.headers, row(table, "dann"), strict=True))
    assert (dann["search trials"], dann["done"], dann["stopped early"]) == ("12", "9", "3")
    assert (dann["epochs of the full grid"], dann["epochs spent"], dann["saved"]) == ("36", "30", "17 %")
    assert dann["confirmation trials"] == "6"
    assert row(table, "all")[1] == "15"


def test_failures_are_listed_with_the_last_line_of_the_error(tmp_path: Path) -> None:
    error = 'Traceback (most recent call last):\n  File "jda.py", line 3\nLinAlgError: a | b is singular\n'
    failed = Run("jda", "amazon", "webcam", {"mu": 0.1}, [], state="failed", error=error)
    path = experiment(tmp_path, [*RUNS, failed])
    table = tables.failures(results.read(path))
    assert table is not None
    assert row(table, "jda") == ["jda", "amazon → webcam", "mu 0.1", "0", "1", "LinAlgError: a | b is singular"]
    assert "LinAlgError: a \\| b is singular" in document.render([path])


def test_an_unfinished_experiment_reports_what_it_has_and_says_what_is_missing(tmp_path: Path) -> None:
    waiting = [
        Run("dann", "amazon", "webcam", {"lr": 0.5}, [], state="pending"),
        Run("jda", "amazon", "webcam", {"mu": 1.0}, [], state="pending"),
    ]
    path = experiment(tmp_path, [*RUNS, *waiting])
    text = document.render([path])
    assert "2 of 23 trials are missing (2 pending)" in text
    assert "1 of 7 cells have no result yet" in text
    own = results.read(path)
    table = tables.matrix(only_group(own), own.criterion)
    assert table is not None
    assert row(table, "dann")[2:4] == ["**80.0 ± 4.0‡**", "**80.0 ± 4.0**"]


def test_an_experiment_that_has_not_begun_has_a_report(tmp_path: Path) -> None:
    path = experiment(tmp_path, [Run("dann", "amazon", "webcam", {}, [], state="pending")])
    for form in Format:
        assert document.render([path], form)
    assert "No trial has reported yet." in document.render([path])


def test_regret_stands_beside_that_of_the_other_criteria_and_of_chance(small: Path) -> None:
    table = tables.regrets(results.read(small))
    assert table is not None
    assert row(table, "information maximization (used here)")[1:3] == ["80.00", "2.00"]
    assert row(table, "oracle")[1:3] == ["82.00", "0.00"]
    # The settings of a cell end at 70, 80, 82 and 3.
    assert row(table, "a random trial")[1:3] == ["58.75", "23.25"]


# --- the whole document ---


def test_a_report_says_what_ran_where_and_how_the_numbers_were_chosen(small: Path) -> None:
    text = document.render([small])
    assert text.startswith("# office31_small\n\nAll 21 trials have ended.")
    for fact in (
        "python -m sweep run office31_small",
        "0123456789ab",
        "2 CPU cores (x86_64), 16 GiB of memory, no GPU",
        "10 % of the source held out",
        "adapts to the unlabelled samples it is scored on",
        "search 0; the chosen params again with 1, 2",
        selection.CRITERIA["information_maximization"],
    ):
        assert fact in text


def test_another_criterion_may_choose_and_is_named(small: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(document.render([small], Format.CSV, "source_validation"))))
    assert {r["selection"] for r in rows} == {"source_validation", "oracle"}


def test_the_experiments_own_criterion_is_the_default(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, RUNS, criterion="bnm"))
    assert own.criterion == "bnm"


def test_csv_has_the_promised_columns_and_a_row_per_cell_and_selection(small: Path) -> None:
    rows = csv_rows(small)
    assert set(rows[0]) >= REQUIRED
    assert len(rows) == 2 * 2 * len(PAIRS)
    (mine,) = (
        r for r in rows
        if (r["method"], r["source"], r["selection"]) == ("dann", "amazon", "information_maximization")
    )  # fmt: skip
    assert (mine["target_accuracy_mean"], mine["target_accuracy_std"], mine["seeds"]) == ("80.0", "4.0", "3")
    assert (mine["trials"], mine["params"], mine["paper"], mine["replication"]) == ("4", '{"lr":0.01}', "82.0", "91.4")
    assert json.loads(mine["protocol"]) == PROTOCOL
    assert mine["paper_backbone"] == "resnet50"


def test_json_holds_the_same_records_and_where_they_come_from(small: Path) -> None:
    (own,) = json.loads(document.render([small], Format.JSON))["experiments"]
    assert own["environments"][0]["commit"] == "0123456789ab"
    assert own["trials"] == {"done": 18, "stopped": 3}
    assert [r["target_accuracy_mean"] for r in own["records"]] == [
        float(r["target_accuracy_mean"]) for r in csv_rows(small)
    ]
    assert own["records"][0]["target_accuracy_std"] is None
    assert own["records"][0]["params"] == {"lr": 0.01}


def test_latex_uses_booktabs_and_escapes_names(small: Path) -> None:
    text = document.render([small], Format.TEX)
    assert "\\toprule" in text
    assert "source\\_only" in text
    assert "\\textbf{80.0 $\\pm$ 4.0}" in text
    assert "\\underline{70.0}" in text
    assert "A$\\to$W" in text
    assert not set("→±†−–") & set(text)
    assert text.count("\\begin{table}") == text.count("\\end{table}") > 5


def test_latex_compiles_whatever_the_ledger_holds(tmp_path: Path) -> None:
    """Needs pdflatex with the packages that the report names."""
    compiler, finder = shutil.which("pdflatex"), shutil.which("kpsewhich")
    if compiler is None or finder is None:
        pytest.skip("there is no pdflatex")
    for package in latex.PACKAGES:
        if not subprocess.run([finder, f"{package}.sty"], capture_output=True, check=False).stdout:
            pytest.skip(f"LaTeX has no {package}")
    hostile = "E: ** & ` 100 % of $x_1^2$ ~ #{} \\input{/etc/passwd} ** <b> 漢字 `"
    failed = Run("jda", "amazon", "webcam", {"kernel": "a_b$"}, [], state="failed", error=hostile)
    paths = [experiment(tmp_path, [*RUNS, failed], name=name) for name in ("one", "two_b")]
    document.write(paths, tmp_path / "tables.tex", Format.TEX)
    packages = ",".join(latex.PACKAGES)
    main = f"\\documentclass{{article}}\\usepackage{{{packages}}}\\begin{{document}}\\input{{tables}}\\end{{document}}"
    (tmp_path / "main.tex").write_text(main)
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "main"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]


def test_several_experiments_make_one_report(tmp_path: Path) -> None:
    paths = [experiment(tmp_path, RUNS[:7], name=name) for name in ("one", "two")]
    text = document.render(paths)
    assert "# one\n" in text
    assert "# two\n" in text
    rows = list(csv.DictReader(io.StringIO(document.render(paths, Format.CSV))))
    assert {r["experiment"] for r in rows} == {"one", "two"}


def test_former_plans_are_shown_on_request_only(tmp_path: Path) -> None:
    path = experiment(tmp_path, RUNS)
    with Ledger(path, write=True) as ledger:
        ledger.set_plan(run.trial for run in RUNS if run.method == "dann")
    assert set(results.read(path).records["method"]) == {"dann"}
    assert set(results.read(path, everything=True).records["method"]) == {"dann", "source_only"}


# --- files ---


def test_a_folder_gets_the_report_its_figures_and_the_trials(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "docs"
    files = document.write([small], out)
    assert {str(file.relative_to(out)) for file in files} == {
        "office31_small.md",
        "office31_small.trials.csv.gz",
        *(
            f"office31_small/{name}.png"
            for name in ("accuracy", "learning_curves", "early_stopping", "hyperparameters")
        ),
    }
    text = (out / "office31_small.md").read_text()
    assert "](office31_small/accuracy.png)" in text
    for file in files:
        assert file.stat().st_size > 0
    assert (out / "office31_small/accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_with_a_suffix_is_one_file(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    assert document.write([small], out, Format.CSV) == [out]
    assert out.read_text() == document.render([small], Format.CSV)


def test_the_archive_of_trials_is_complete_and_the_same_bytes_every_time(small: Path) -> None:
    archive = results.trials_csv(results.read(small))
    assert results.trials_csv(results.read(small)) == archive
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(archive).decode())))
    assert len(rows) == len(RUNS)
    assert {r["state"] for r in rows} == {"done", "stopped"}
    assert set(selection.PER_TRIAL) | set(selection.ENSEMBLES) <= set(rows[0])
    assert all(r[name] for r in rows for name in RECORDED)
    assert (rows[1]["epochs"], rows[1]["budget"], rows[1]["target_accuracy"]) == ("1", "3", "70")


def test_a_failed_trial_without_epochs_is_in_the_archive_and_a_pending_one_is_not(tmp_path: Path) -> None:
    runs = [
        Run("jda", "amazon", "webcam", {"mu": 1.0}, [], state="failed", error="x"),
        Run("jda", "amazon", "webcam", {"mu": 2.0}, [], state="pending"),
    ]
    archive = results.trials_csv(results.read(experiment(tmp_path, runs)))
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(archive).decode())))
    assert [(r["state"], r["epochs"], r["target_accuracy"]) for r in rows] == [("failed", "0", "")]


def test_params_that_the_search_did_not_vary_are_said_once(tmp_path: Path) -> None:
    runs = [
        dataclasses.replace(run, params={**run.params, "bottleneck": 256, "nesterov": True, "clip": None})
        for run in RUNS
    ]  # fmt: skip
    table, _ = comparison(results.read(experiment(tmp_path, runs)), "dann")
    assert "The same in every trial: bottleneck 256, clip none, nesterov yes." in table.notes
    assert column(table, "params by oracle")[0] == "lr 0.03"


def test_reading_asks_a_large_ledger_no_more_often_than_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(trials: int) -> int:
        path = tmp_path / str(trials) / "ledger.sqlite"
        ledgers.make(path, trials)
        statements: list[str] = []

        def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            db = connect(*args, **kwargs)
            db.set_trace_callback(statements.append)
            return db

        with monkeypatch.context() as patched:
            patched.setattr(sqlite3, "connect", traced)
            assert len(results.read(path).trials) == trials
        return len(statements)

    connect = sqlite3.connect
    assert 0 < asked(132) == asked(528)
