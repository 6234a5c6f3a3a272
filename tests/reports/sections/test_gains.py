"""Gains over ``source_only``, and what of them batch norm gives."""

import csv
import io
import json
import math
from pathlib import Path

import pytest

from tests.support.shown_tables import only_group, row
from tests.support.small_ledger import PAIRS, PROTOCOL, RUNS, Run, experiment
from transfer_sweep.reports import recommendation, regret, report, results, selection
from transfer_sweep.reports.document.elements import Table
from transfer_sweep.reports.formats import Format
from transfer_sweep.reports.ledger.records import TrialState
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.sections import effort, gains
from transfer_sweep.reports.sections.context import Context

BOUNDS = [Run("target_only", target, target, {}, [(90.0, 3.0, 1.0)]) for target in ("webcam", "dslr")]


def test_the_gap_closed_is_that_of_ganin_2015(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, [*RUNS, *BOUNDS], label_access={"target_only": "target_train"}))
    table = gains.table(only_group(own), own.criterion)
    assert table is not None
    # From 70 (source only) to 80 of 90 (target only): ten points, half of the gap.
    assert row(table, "dann")[2:] == ["+10.0 (50 %)"] * 4
    assert [r[0] for r in table.rows] == ["dann"]


def test_the_average_has_a_share_of_the_gap_where_all_its_pairs_have_one(tmp_path: Path) -> None:
    own = results.read(experiment(tmp_path, [*RUNS, BOUNDS[0]], label_access={"target_only": "target_train"}))
    table = gains.table(only_group(own), own.criterion)
    assert table is not None
    assert row(table, "dann")[2:] == ["+10.0 (50 %)"] * 2 + ["+10.0"] * 2  # no target_only on dslr
    assert "An average has a share where each of its pairs has one." in table.notes


def test_there_is_no_gain_over_a_source_only_on_another_backbone(tmp_path: Path) -> None:
    raw = {**PROTOCOL, "backbone": "surf_bow800", "training": "raw"}
    runs = [*RUNS, Run("tca", "amazon", "webcam", {}, [(50.0, 1.0, 1.0)], protocol=raw)]
    records = results.read(experiment(tmp_path, runs)).records
    by_criterion = records[(records["selection"] != "oracle") & (records["source"] == "amazon")]
    gained = by_criterion.set_index("method")["gain_over_source_only"]
    assert gained["dann"] == 10.0
    assert math.isnan(gained["tca"])


# --- controls ---


def chosen(source: str, target: str) -> Run:
    """The trial of dann that the criterion chooses: 80, 84 and 76 with its three seeds."""
    return next(
        r for r in RUNS if r.method == "dann" and (r.source, r.target) == (source, target) and r.epochs[-1][0] == 80
    )


def controlled(
    folder: Path, accuracies: tuple[float, ...] = (73.0, 77.0), lr: float = 0.01, state: TrialState = TrialState.DONE
) -> Path:
    """An experiment whose choices of dann have controls with these accuracies, a seed each."""
    controls = {
        pair: [
            Run(
                "source_only", *pair, {"lr": lr, "bn": "joint"}, [(a, 9.0, 1.0)], role="control", seed=seed, state=state
            )
            for seed, a in enumerate(accuracies)
        ]
        for pair in PAIRS
    }
    ids = {chosen(*pair).trial.id: [run.trial.id for run in of_pair] for pair, of_pair in controls.items()}
    runs = [*RUNS, *BOUNDS, *(run for of_pair in controls.values() for run in of_pair)]
    return experiment(folder, runs, controls=ids, label_access={"target_only": "target_train"})


def by_criterion(own: Results, method: str) -> dict[str, float]:
    records = own.records[(own.records["method"] == method) & (own.records["selection"] == own.criterion)]
    return {str(name): value for name, value in records.iloc[0].items()}


def test_a_gain_is_split_at_the_control_with_the_same_batch_norm_statistics(tmp_path: Path) -> None:
    own = results.read(controlled(tmp_path))
    dann = by_criterion(own, "dann")
    # source_only 70, its control (73 + 77) / 2 = 75, dann 80.
    assert (dann["control_accuracy_mean"], dann["control_seeds"]) == (75.0, 2)
    assert dann["control_accuracy_std"] == pytest.approx(math.sqrt(8))
    assert (dann["gain_over_source_only"], dann["gain_by_batch_norm"], dann["gain_by_method"]) == (10.0, 5.0, 5.0)
    assert (dann["gap_closed_percent"], dann["gap_closed_by_method_percent"]) == (50.0, 25.0)
    table = gains.table(only_group(own), own.criterion, gains.OWN)
    assert table is not None
    assert row(table, "dann")[2:] == ["+5.0 (25 %)"] * 4


def test_controls_that_are_adabn_are_told_and_what_controls_do_not_share(tmp_path: Path) -> None:
    def runs(method: str, accuracy: float) -> list[Run]:
        return [Run(method, *pair, {"lr": 0.1}, [(accuracy, 1.0, 1.0)]) for pair in PAIRS]

    own, adabn = runs("autodial", 75.0), runs("adabn", 72.0)
    ids = {run.trial.id: [control.trial.id] for run, control in zip(own, adabn, strict=True)}
    ids |= {run.trial.id: [run.trial.id] for run in adabn}
    read = results.read(experiment(tmp_path, [*RUNS, *own, *adabn], controls=ids))
    table = gains.table(only_group(read), read.criterion, gains.OWN)
    assert table is not None
    assert row(table, "autodial")[2:] == ["+3.0"] * 4
    assert row(table, "adabn")[2:] == ["0.0"] * 4
    told = [note for note in table.notes if "control" in note]
    assert any("of autodial is adabn" in note for note in told)
    assert any("What adabn gains is batch norm's by definition" in note for note in told)
    assert any("augmentation" in note for note in told)
    plain = gains.table(only_group(results.read(controlled(tmp_path / "plain"))), read.criterion, gains.OWN)
    assert plain is not None
    assert not any("adabn" in note for note in plain.notes)


def test_controls_never_compete_nor_count_as_anything_else(tmp_path: Path) -> None:
    plain = results.read(experiment(tmp_path / "plain", [*RUNS, *BOUNDS], label_access={"target_only": "target_train"}))
    own = results.read(controlled(tmp_path / "controlled"))
    same = [
        "method",
        "source",
        "target",
        "selection",
        "params",
        "target_accuracy_mean",
        "seeds",
        "trials",
        "epochs_spent",
    ]
    assert own.records[same].equals(plain.records[same])
    assert len(own.candidates) == len(own.trials) == len(plain.trials)
    assert selection.eligible(own.candidates).shape[0] == selection.eligible(plain.candidates).shape[0]
    assert len(regret.pool(own)) == len(regret.pool(plain))
    assert {pair: r.trial.id for pair, r in recommendation.recommend(own).items()} == {
        pair: r.trial.id for pair, r in recommendation.recommend(plain).items()
    }


def test_a_control_with_the_params_of_source_onlys_choice_is_no_further_seed_of_it(tmp_path: Path) -> None:
    again = [Run("source_only", *pair, {"lr": 0.01}, [(50.0, 1.5, 1)] * 3, role="control", seed=1) for pair in PAIRS]
    ids = {chosen(*pair).trial.id: [run.trial.id] for pair, run in zip(PAIRS, again, strict=True)}
    own = results.read(experiment(tmp_path, [*RUNS, *again], controls=ids))
    source_only = by_criterion(own, "source_only")
    assert (source_only["target_accuracy_mean"], source_only["seeds"]) == (70.0, 1)
    assert by_criterion(own, "dann")["gain_by_batch_norm"] == -20.0


def test_an_ordinary_trial_of_source_only_can_be_a_control(tmp_path: Path) -> None:
    lower = {(r.source, r.target): r.trial.id for r in RUNS if r.method == "source_only"}
    ids = {chosen(*pair).trial.id: [lower[pair]] for pair in PAIRS}
    dann = by_criterion(results.read(experiment(tmp_path, RUNS, controls=ids)), "dann")
    assert (dann["gain_by_batch_norm"], dann["gain_by_method"]) == (0.0, 10.0)


def test_without_a_control_all_is_the_methods_where_controls_were_planned_and_unknown_where_not(tmp_path: Path) -> None:
    tca = [Run("tca", *pair, {}, [(72.0, 1.0, 1.0)]) for pair in PAIRS]
    ids: dict[str, list[str]] = {chosen(*pair).trial.id: [] for pair in PAIRS}
    waiting = Run("jda", *PAIRS[0], {"mu": 1.0}, [], state=TrialState.PENDING)
    jda = Run("jda", *PAIRS[0], {}, [(72.0, 1.0, 1.0)])
    planned = results.read(experiment(tmp_path / "planned", [*RUNS, *tca, jda, waiting], controls=ids))
    assert math.isnan(by_criterion(planned, "jda")["gain_by_method"])  # its search goes on: controls may follow
    assert (by_criterion(planned, "tca")["gain_by_batch_norm"], by_criterion(planned, "tca")["gain_by_method"]) == (
        0.0,
        2.0,
    )
    former = results.read(experiment(tmp_path / "former", [*RUNS, *tca]))
    for method in ("tca", "dann"):
        assert math.isnan(by_criterion(former, method)["gain_by_method"])
        assert math.isnan(by_criterion(former, method)["control_accuracy_mean"])
        assert by_criterion(former, method)["control_seeds"] == 0
    assert not any("batch-norm" in str(block) for block in report.blocks(former))


def test_a_control_that_has_not_ended_leaves_the_split_open(tmp_path: Path) -> None:
    dann = by_criterion(results.read(controlled(tmp_path, state=TrialState.FAILED)), "dann")
    assert dann["gain_over_source_only"] == 10.0
    assert math.isnan(dann["gain_by_method"])


def test_a_method_below_its_control_is_pointed_out_with_its_interval_and_its_discriminator(tmp_path: Path) -> None:
    own = results.read(controlled(tmp_path, accuracies=(82.0, 83.0)))
    context = Context.of(own)
    (group,) = context.groups
    text = gains.below_control(context, group)
    assert "**dann** −2.5 (95 % interval over pairs −2.5 to −2.5; A→W −2.5, D→W −2.5, W→D −2.5)" in text
    fine = Context.of(results.read(controlled(tmp_path / "fine")))
    assert gains.below_control(fine, fine.groups[0]) == ""


def test_every_format_has_the_split(tmp_path: Path) -> None:
    path = controlled(tmp_path)
    rows = list(csv.DictReader(io.StringIO(report.render([path], Format.CSV))))
    mine = next(r for r in rows if r["method"] == "dann" and r["selection"] != "oracle")
    assert (mine["control_accuracy_mean"], mine["control_seeds"]) == ("75.0", "2")
    assert (mine["gain_by_batch_norm"], mine["gain_by_method"]) == ("5.0", "5.0")
    (shown,) = json.loads(report.render([path], Format.JSON))["experiments"]
    record = next(r for r in shown["records"] if r["method"] == "dann" and r["selection"] != "oracle")
    assert (record["gain_by_batch_norm"], record["gain_by_method"]) == (5.0, 5.0)
    for form in (Format.MD, Format.TEX, Format.HTML):
        text = report.render([path], form)
        assert "Gain of the method itself" in text
        assert "by batch norm" in text


def test_controls_are_counted_as_trials_and_as_effort(tmp_path: Path) -> None:
    own = results.read(controlled(tmp_path))
    assert sum(own.states.values()) == len(own.trials) + 6
    table: Table = effort.table(own)
    shown = dict(zip(table.headers, row(table, "source_only"), strict=True))
    assert (shown["search trials"], shown["confirmation trials"], shown["controls"]) == ("3", "0", "6")
