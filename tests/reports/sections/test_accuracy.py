"""Methods × pairs: what is ranked, what stands apart, and what must never be mixed."""

from pathlib import Path
from typing import Any

from tests.support.shown_tables import only_group, row
from tests.support.small_ledger import PAIRS, PROTOCOL, RUNS, Run, experiment
from transfer_sweep.reports import results
from transfer_sweep.reports.document.elements import text_of
from transfer_sweep.reports.sections import accuracy, choosing
from transfer_sweep.reports.sections.context import Context


def test_a_matrix_has_a_row_per_method_a_column_per_pair_and_an_average(small: Path) -> None:
    own = results.read(small)
    table = accuracy.matrix(only_group(own), own.criterion)
    assert table is not None
    assert list(table.headers) == ["method", "backbone", "A→W", "D→W", "W→D", "average"]
    assert row(table, "dann") == ["dann", "efficientnet_lite0, frozen", *["**80.0 ± 4.0**"] * 3, "**80.0**"]
    assert row(table, "source_only") == ["source_only", "efficientnet_lite0, frozen", *["_70.0_"] * 3, "_70.0_"]
    assert "A = amazon, W = webcam, D = dslr." in table.notes


def test_the_oracle_has_a_matrix_of_its_own_that_says_so(small: Path) -> None:
    own = results.read(small)
    table = accuracy.matrix(only_group(own), "oracle")
    assert table is not None
    assert "oracle" in table.caption


def test_a_single_run_of_the_oracle_is_marked_and_not_ranked_among_means_over_seeds(small: Path) -> None:
    own = results.read(small)
    table = accuracy.matrix(only_group(own), "oracle")
    assert table is not None
    # Of dann's three seeds the oracle has one: 82 is the best of four runs, not better than 80 ± 4 of three seeds.
    assert row(table, "dann")[2:] == ["82.0‖"] * 3 + ["82.0‖"]
    assert row(table, "source_only")[2] == "70.0"
    assert any(note.startswith("‖ A single run") for note in table.notes)


def test_the_oracles_choice_is_ranked_where_it_ran_with_the_seeds_of_the_criterions(tmp_path: Path) -> None:
    confirmed = [
        Run("dann", s, t, {"lr": 0.03}, [(accuracy, 1.0, 1.0)] * 3, role="confirm", seed=seed)
        for s, t in PAIRS
        for seed, accuracy in ((1, 84.0), (2, 86.0))
    ]
    table = accuracy.matrix(only_group(results.read(experiment(tmp_path, [*RUNS, *confirmed]))), "oracle")
    assert table is not None
    assert row(table, "dann")[2:] == ["**84.0 ± 2.0**"] * 3 + ["**84.0**"]


def test_an_average_over_some_of_the_pairs_says_over_how_many_and_never_wins(tmp_path: Path) -> None:
    runs = [
        Run("tca", "amazon", "webcam", {"mu": 1.0}, [(60.0, 1.0, 1.0)]),
        Run("tca", "amazon", "dslr", {"mu": 1.0}, [(50.0, 1.0, 1.0)]),
        Run("coral", "amazon", "webcam", {"mu": 1.0}, [(40.0, 1.0, 1.0)]),
        Run("coral", "amazon", "dslr", {"mu": 1.0}, [(30.0, 1.0, 1.0)]),
        Run("jda", "amazon", "webcam", {"mu": 1.0}, [(90.0, 1.0, 1.0)]),
    ]
    own = results.read(experiment(tmp_path, runs))
    table = accuracy.matrix(only_group(own), own.criterion)
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
    seen = []
    for group in Context.of(own).groups:
        table = accuracy.matrix(group, own.criterion)
        assert table is not None
        seen.append([(r[0], r[1], text_of(r[-1])) for r in table.rows])
    assert seen == [
        [("dann", "mcd_network, scratch", "1.0"), ("tca", "pixels", "2.0")],
        [("dann", "efficientnet_lite0, frozen", "3.0")],
        [("dann", "efficientnet_lite0, frozen", "4.0")],
    ]


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
    ranked = accuracy.matrix(only_group(own), own.criterion)
    apart = accuracy.matrix(only_group(own), own.criterion, access="target_train")
    assert ranked is not None
    assert apart is not None
    assert [r[0] for r in ranked.rows] == ["source_only", "dann"]
    assert "**" in "".join(row(ranked, "dann"))
    few = accuracy.matrix(only_group(own), own.criterion, access="few")
    assert few is not None
    assert [r[0] for r in apart.rows] == ["target_only"]
    assert [(r[0], r[2]) for r in few.rows] == [("fine_tune", "3 per class")]
    assert not apart.ranked
    assert not few.ranked
    regrets = choosing.table(own)
    assert regrets is not None
    assert "over 3 cells" in regrets.caption  # of dann; nothing else had a choice


def test_the_upper_bound_of_a_target_stands_in_the_column_of_every_pair_that_ends_there(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, with_bounds(), label_access=ACCESS))
    apart = accuracy.matrix(only_group(own), own.criterion, access="target_train")
    assert apart is not None
    assert list(apart.headers[3:6]) == ["A→W", "D→W", "W→D"]
    assert row(apart, "target_only")[2:6] == ["all but those scored (upper bound)", "90.0", "90.0", "90.0"]
