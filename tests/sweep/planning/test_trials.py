"""Plans: grids, identity, order."""

from pathlib import Path

import pandas as pd
import pytest

from tests.support.experiment_file import METHODS, load_methods
from transfer_sweep.algorithms import registry
from transfer_sweep.datasets.digits import DigitsOptions
from transfer_sweep.reports.ledger.records import FewLabels, Pair, Protocol, Trial
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.planning.data import dataset_of
from transfer_sweep.sweep.planning.filters import Filter
from transfer_sweep.sweep.stopping.rungs import stoppable_cells


def _ids(rows: list[Trial]) -> set[str]:
    return {row.id for row in rows}


def test_grid_is_the_product_and_unnamed_params_keep_their_defaults(tmp_path: Path) -> None:
    rows = plan.search(load_methods(tmp_path))
    tca = [r.params for r in rows if r.method == "tca" and r.pair.source == "uci"]
    assert {(p["n_components"], p["mu"]) for p in tca} == {(n, m) for n in (5, 10) for m in (0.1, 1, 10)}
    assert {p["kernel"] for p in tca} == {"primal"}
    assert len(rows) == 2 * (1 + 6 + 2)


def test_budget_is_one_for_one_shot_methods_and_iterations_for_jda(tmp_path: Path) -> None:
    budgets = {(r.method, r.budget) for r in plan.search(load_methods(tmp_path, "epochs: 30"))}
    assert budgets == {("nearest_neighbor", 1), ("tca", 1), ("jda", 2), ("jda", 4)}


def test_trials_are_interleaved_across_cells(tmp_path: Path) -> None:
    rows = plan.search(load_methods(tmp_path))
    cells = {row.cell for row in rows}
    assert {row.cell for row in rows[: len(cells)]} == cells


def test_a_cell_does_not_run_its_grid_in_the_order_of_the_file(tmp_path: Path) -> None:
    """In ascending order every trial may be the best so far, and nothing is ever stopped."""
    methods = {"tca": "{mu: [1, 2, 3, 4, 5, 6, 7, 8, 9]}"}
    rows = plan.search(load_methods(tmp_path, methods=methods))
    orders = {s: [r.params["mu"] for r in rows if r.pair.source == s] for s in ("rendered", "uci")}
    assert all(sorted(order) == list(range(1, 10)) != order for order in orders.values())
    assert orders["rendered"] != orders["uci"]
    assert plan.search(load_methods(tmp_path, methods=methods)) == rows


def test_identity_is_what_decides_the_result_and_nothing_else(tmp_path: Path) -> None:
    one = _ids(plan.search(load_methods(tmp_path)))
    unimportant = "resources: {cpu: 2}\nearly_stopping: {scheduler: none}\ndescription: other\ncheckpoint_seconds: 1"
    assert _ids(plan.search(load_methods(tmp_path, unimportant, name="other"))) == one
    # A one-shot method's result does not depend on the experiment's epochs; nothing here is deep.
    assert _ids(plan.search(load_methods(tmp_path, "epochs: 7"))) == one
    for change in ("seed: 1", "dataset_options: {size: 32}", "protocol: {holdout: 0.2}"):
        assert not _ids(plan.search(load_methods(tmp_path, change))) & one, change
    explicit = METHODS | {"tca": "{n_components: [5, 10], mu: [0.1, 1, 10], kernel: primal}"}
    assert _ids(plan.search(load_methods(tmp_path, methods=explicit))) == one


def test_a_changed_grid_shares_the_trials_that_stay(tmp_path: Path) -> None:
    before = _ids(plan.search(load_methods(tmp_path)))
    after = _ids(
        plan.search(load_methods(tmp_path, methods=METHODS | {"tca": "{n_components: [10, 20], mu: [0.1, 1, 10]}"}))
    )
    assert len(before & after) == len(before) - 2 * 3
    assert len(after - before) == 2 * 3


def test_draws_are_seeded_inside_their_range_and_independent_of_other_methods(tmp_path: Path) -> None:
    drawn = {"tca": "{mu: {loguniform: [0.01, 100]}, n_components: {randint: [5, 50]}, samples: 12}"}

    def params(methods: dict[str, str], seed: int = 0) -> list[tuple[float, int]]:
        rows = plan.search(load_methods(tmp_path, f"seed: {seed}", methods))
        found = [r.params for r in rows if r.method == "tca" and r.pair.source == "uci"]
        return [(p["mu"], p["n_components"]) for p in found]

    alone = params(drawn)
    assert len(alone) == 12
    assert all(0.01 <= mu <= 100 and 5 <= n < 50 for mu, n in alone)
    assert params({"nearest_neighbor": "{}"} | drawn) == alone
    assert params(drawn, seed=1) != alone


def test_a_pair_named_twice_counts_once_and_a_method_may_have_pairs_of_its_own(tmp_path: Path) -> None:
    methods = {
        "nearest_neighbor": "{}",
        "tca": "{pairs: [photo-uci, photo-uci]}",
        "coral": "{pairs: all}",
    }
    loaded = load_methods(tmp_path, methods=methods)
    pairs = [(r.method, *r.pair) for r in plan.search(loaded)]
    assert len(pairs) == len(set(pairs)) == 2 + 1 + 6
    assert Filter.parse(["pair=photo-uci"], loaded).keeps("tca", Pair("photo", "uci"))
    del methods["coral"]
    with pytest.raises(SweepError, match="no pair photo-rendered"):
        Filter.parse(["pair=photo-rendered"], load_methods(tmp_path, methods=methods))


def test_only_cells_of_six_or_more_may_be_stopped(tmp_path: Path) -> None:
    grid = METHODS | {"jda": "{n_components: [3, 4, 5], mu: [0.1, 1], iterations: 6}"}
    assert {cell.method for cell in stoppable_cells(plan.search(load_methods(tmp_path, methods=grid)))} == {"jda"}
    assert stoppable_cells(plan.search(load_methods(tmp_path))) == set()
    # Before its second stage a trial shows nothing of what its params decide.
    extra = "epochs: 9\nprotocol: {target_labels_per_class: 3}"
    staged = dict.fromkeys(("fine_tune", "dann"), "{lr: [0.001, 0.002, 0.003, 0.004, 0.005, 0.006]}")
    stoppable = stoppable_cells(plan.search(load_methods(tmp_path, extra, staged)))
    assert {cell.method for cell in stoppable} == {"dann"}


def test_two_stages_in_one_epoch_are_refused(tmp_path: Path) -> None:
    loaded = load_methods(tmp_path, "epochs: 1\nprotocol: {target_labels_per_class: 3}", {"fine_tune": "{}"})
    with pytest.raises(SweepError, match="fine_tune trains in two stages: 2 epochs at least, not 1"):
        plan.search(loaded)


@pytest.mark.parametrize(("state", "seeds"), [("done", [1, 2]), ("stopped", [1, 2, 3])])
def test_a_choice_gets_as_many_whole_runs_as_wanted(tmp_path: Path, state: str, seeds: list[int]) -> None:
    """The search's own run counts, unless it was stopped early; a method without chance has nothing to confirm."""
    wanted = load_methods(
        tmp_path,
        "protocol: {holdout: 0}\nconfirm: {seeds: 3}\ncriterion: entropy",
        {"dann": "{lr: 0.01}", "tca": "{mu: 1}"},
    )
    found = pd.DataFrame([row.encode() for row in plan.search(wanted)])
    found = found.assign(position=range(len(found)), state=state, entropy=1.0, predicted_classes=1.0)
    rows = plan.confirmation(wanted, found)
    assert sorted((f"{row.pair}", row.seed) for row in rows) == [
        (p, s) for p in ("rendered-photo", "uci-photo") for s in seeds
    ]
    assert {(row.method, row.role) for row in rows} == {("dann", "confirm")}


def test_a_choice_has_controls_where_batch_norm_sees_the_target_which_methods_share(tmp_path: Path) -> None:
    methods = {
        "source_only": "{lr: 0.01}",
        "dann": "{lr: 0.01, trade_off: 3}",
        "mcc": "{lr: 0.01}",
        "mcd": "{lr: 0.01}",
        "dan": "{lr: 0.01}",
        "jan": "{lr: 0.01, batch_norm_domains: source}",
        "adabn": "{lr: 0.01}",
        "autodial": "{lr: 0.01}",
        "tca": "{}",
    }
    wanted = load_methods(tmp_path, "confirm: {seeds: 2}\ncriterion: information_maximization", methods)

    def controls(wanted: Experiment, state: str = "done") -> dict[str, list[Trial]]:
        found = pd.DataFrame([row.encode() for row in plan.search(wanted)])
        found = found.assign(
            position=range(len(found)),
            state=state,
            family="deep",
            information_maximization=1.0,
            predicted_classes=1.0,
        )
        return {
            chosen.method: own
            for chosen, own in plan.controls(wanted, found).items()
            if chosen.pair == Pair("uci", "photo")
        }

    found = controls(wanted)
    assert set(found) == {"dann", "mcc", "mcd", "dan", "adabn", "autodial"}
    assert [trial.id for trial in found["dann"]] == [trial.id for trial in found["mcc"]]
    assert {trial.method for own in found.values() for trial in own} == {"source_only", "adabn"}
    # What predicts with the target's statistics alone: AdaBN itself, and what starts as AdaBN does.
    assert [trial.id for trial in found["autodial"]] == [trial.id for trial in found["adabn"]]
    (searched,) = (row for row in plan.search(wanted) if row.method == "adabn" and row.pair == Pair("uci", "photo"))
    assert found["adabn"][0].id == searched.id
    assert {trial.role for own in found.values() for trial in own} == {"control"}
    assert [trial.seed for trial in found["mcd"]] == [0, 1]
    assert [found[name][0].params["batch_norm_domains"] for name in ("dann", "dan")] == ["separate", "joint"]
    assert found["dann"][0].params["lr"] == 0.01
    stopped = controls(wanted, "stopped")  # then whole runs have other seeds, and so have their controls
    assert [trial.seed for trial in stopped["mcd"]] == [1, 2]
    without = wanted.model_copy(update={"confirm": wanted.confirm.model_copy(update={"controls": False})})
    assert controls(without) == {}
    plain = load_methods(
        tmp_path,
        "protocol: {backbone: cdan_lenet, training: scratch}\ncriterion: information_maximization",
        {"dann": "{}"},
    )
    assert controls(plain) == {}  # a network without batch norm


def test_pairs_without_data_are_skipped_and_say_what_brings_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("dataset: digits\npairs: [syn_numbers-svhn, svhn-syn_numbers]\nmethods:\n  target_only: {}\n")
    loaded = loader.load(str(file))
    rows, skipped = plan.present(loaded, plan.search(loaded), dataset_of(loaded, tmp_path))
    assert [r.pair for r in rows] == [("syn_numbers", "syn_numbers")]
    assert list(skipped) == ["svhn-svhn"]
    assert "`python -m sweep data fetch digits`" in skipped["svhn-svhn"]
    with pytest.raises(SweepError, match="no pair has its data: svhn lacks"):
        plan.present(loaded, [r for r in plan.search(loaded) if r.pair.target == "svhn"], dataset_of(loaded, tmp_path))


def test_a_method_may_run_under_several_protocols_each_with_cells_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("""
dataset: amazon_reviews
pairs: [dvd-books, books-dvd]
methods:
  logistic_regression:
    - {C: [1, 10]}
    - {C: [10, 100]}
    - {dataset_options: {features: tfidf}}
    - {protocol: {msda: {layers: 3}}, pairs: [books-dvd]}
""")
    rows = plan.search(loader.load(str(file)))
    planned = [(r.protocol.backbone, r.pair.source, r.params["C"]) for r in rows]
    assert sorted(planned) == sorted(
        # C 10, which two entries name, once
        [("bow5000", source, cost) for source in ("books", "dvd") for cost in (1.0, 10.0, 100.0)]
        + [("bow5000_tfidf", source, 10.0) for source in ("books", "dvd")]
        + [("bow5000_msda_layers3", "books", 10.0)]
    )
    assert len({row.cell for row in rows}) == 5
    # Both directions of a pair share one representation; rotation changes no name, other inputs do.
    msda = next(row for row in rows if "msda" in row.protocol.inputs)
    assert msda.protocol.representation(msda.pair) == msda.protocol.representation(Pair(*reversed(msda.pair)))
    assert len({row.representation for row in rows}) == 3


def _few(rows: list[Trial]) -> list[FewLabels | None]:
    return [row.protocol.few for row in rows]


def test_each_number_of_target_labels_makes_cells_of_its_own_and_zero_is_the_unsupervised_trial(tmp_path: Path) -> None:
    methods = {"dann": "{lr: [0.01, 0.1]}"}
    plain = plan.search(load_methods(tmp_path, methods=methods))
    rows = plan.search(load_methods(tmp_path, "protocol: {target_labels_per_class: [0, 1, 3, 5]}", methods))
    assert len({row.cell for row in rows}) == 4 * len({row.cell for row in plain})
    assert len(_ids(rows)) == len(rows) == 4 * len(plain)
    assert _ids(plain) == {row.id for row, few in zip(rows, _few(rows), strict=True) if few is None}
    assert {few.per_class for few in _few(rows) if few is not None} == {1, 3, 5}
    confirmed = [r for r in rows if r.params["lr"] == 0.01]
    found = pd.DataFrame([row.encode() for row in confirmed])
    found = found.assign(position=range(len(found)), state="done", entropy=1.0, predicted_classes=1.0)
    again = plan.confirmation(load_methods(tmp_path, "confirm: {seeds: 2}\ncriterion: entropy", methods), found)
    assert {row.cell for row in again} == {row.cell for row in rows}


def test_a_deterministic_method_with_drawn_samples_or_labels_has_seeds_to_confirm() -> None:
    nearest = registry.get("nearest_neighbor")
    assert not plan.varies(nearest, Protocol("pixels"))
    assert plan.varies(nearest, Protocol("pixels", few=FewLabels(1)))
    assert plan.varies(nearest, Protocol("pixels", holdout=0.1))
    part = DigitsOptions(train={"mnist": 100})
    assert plan.varies(nearest, Protocol("pixels", options=part.encode()))
    assert not plan.varies(nearest, Protocol("pixels", options=part.model_copy(update={"draw": "fixed"}).encode()))
    assert not plan.varies(nearest, Protocol("pixels", options=DigitsOptions().encode()))


def test_what_learns_without_the_source_runs_once_per_target_and_not_without_labels(tmp_path: Path) -> None:
    methods = {"linear_svm": "{protocol: {source: false, target_labels_per_class: [0, 2]}}", "target_only": "{}"}
    rows = plan.search(load_methods(tmp_path, "protocol: {target_labels_per_class: [0, 2]}", methods))
    assert [(r.method, *r.pair) for r in rows] == [
        ("linear_svm", "photo", "photo"),
        ("target_only", "photo", "photo"),
    ]
    assert _few(rows) == [FewLabels(2, None, False), None]


def test_with_labelled_classes_no_labels_at_all_is_a_setting_too_for_others_are_scored(tmp_path: Path) -> None:
    extra = "protocol: {target_labels_per_class: [0, 3], target_labelled_classes: 4}"
    rows = plan.search(load_methods(tmp_path, extra, {"nearest_neighbor": "{pairs: [uci-photo]}"}))
    assert _few(rows) == [FewLabels(n, 4) for n in (0, 3)]
