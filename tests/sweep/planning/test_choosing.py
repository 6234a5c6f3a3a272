"""Labels of a part of the target choose the trials of the user's own data, unless they are not to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.support import plans
from tests.sweep.planning.test_data import Own
from transfer_sweep.datasets import splits
from transfer_sweep.datasets.base import Dataset, Domain, Samples
from transfer_sweep.datasets.offline_digits import OfflineDigits
from transfer_sweep.reports.ledger.records import Trial
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning.choosing import draw_labels, with_labels_given
from transfer_sweep.sweep.runner import Run, RunOptions

DEFAULT = "auto"


def _experiment(**others: Any) -> Experiment:
    return Experiment.model_validate({"name": "mine", "dataset": "own", "methods": {"dann": {}}, **others})


def _trials(*targets: str) -> list[Trial]:
    return [plans.trial(target, "dann", "shop", target) for target in targets]


def test_labels_of_a_part_of_each_target_choose_and_a_line_says_so() -> None:
    experiment, line = with_labels_given(_experiment(), _trials("half"), Own())
    assert experiment.criterion == "target_labels"
    assert experiment.stopping_criterion == "information_maximization"
    assert "labels given of half choose" in line
    assert "\n" not in line


@pytest.mark.parametrize(("other", "of"), [("phone", "all"), ("heap", "none")])
def test_where_another_target_has_all_labels_or_none_they_are_for_reporting_only(other: str, of: str) -> None:
    experiment, line = with_labels_given(_experiment(), _trials("half", other), Own())
    assert experiment.criterion == DEFAULT, of
    assert "labels given of half are for reporting only" in line


def test_without_labels_of_a_part_nothing_is_said() -> None:
    for targets in (["phone"], ["heap"], ["phone", "heap"]):
        experiment, line = with_labels_given(_experiment(), _trials(*targets), Own())
        assert (experiment.criterion, line) == (DEFAULT, "")


def test_a_criterion_that_the_file_names_stays() -> None:
    for criterion in (DEFAULT, "entropy", "target_labels"):
        experiment, line = with_labels_given(_experiment(criterion=criterion), _trials("half"), Own())
        assert (experiment.criterion, line) == (criterion, "")


def test_published_data_sets_are_chosen_on_without_labels() -> None:
    experiment, line = with_labels_given(_experiment(), _trials("photo"), OfflineDigits())
    assert (experiment.criterion, line) == (DEFAULT, "")


def test_labels_that_are_not_there_cannot_choose() -> None:
    with pytest.raises(SweepError, match="chooses by labels of each target, and heap has none"):
        with_labels_given(_experiment(criterion="target_labels"), _trials("half", "heap"), Own())


def test_a_run_takes_labels_of_a_part_of_its_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("u,v,label\n1,2,cat\n3,4,dog\n2,2,cat\n4,4,dog\n")
    (tmp_path / "b.csv").write_text("u,v,label\n1,2,cat\n3,4,\n2,2,dog\n4,4,\n")
    written = {
        "name": "mine",
        "dataset": {"tables": {"a": str(tmp_path / "a.csv"), "b": str(tmp_path / "b.csv")}, "label": "label"},
        "pairs": [["a", "b"]],
        "methods": {"nearest_neighbor": {}},
    }
    options = RunOptions(tmp_path / "results", None, tmp_path / "cache")
    for also, expected in (({}, "target_labels"), ({"criterion": DEFAULT}, DEFAULT)):
        run = Run(Experiment.model_validate(written | also), options, Console(quiet=True))
        assert run.experiment.criterion == expected


def test_labels_of_published_data_are_not_ours_to_choose_by() -> None:
    with pytest.raises(SweepError, match="labels that you have of your own data"):
        with_labels_given(_experiment(criterion="target_labels"), _trials("photo"), OfflineDigits())


def _target(labels: list[int], test: bool) -> Dataset:
    class Target(Own):
        def load(self, domain: str) -> Domain:
            samples = Samples(np.zeros((len(labels), 1), np.float32), np.array(labels))
            return Domain(domain, samples, samples if test else None)

    return Target()


@pytest.mark.parametrize("test", [True, False])
def test_labels_are_drawn_of_those_there_are_and_fewer_of_them_are_among_more(test: bool) -> None:
    labels = [0, -1, 1, 2, -1, 0, 1, 2, 2]
    drawn = {}
    for number in (1, 2, 6):
        experiment = _experiment(criterion=f"labels({number})")
        (found,) = draw_labels(experiment, _trials("phone"), _target(labels, test)).values()
        assert [labels[row] for row in found.rows] == list(found.labels)
        assert -1 not in found.labels
        assert len(set(found.rows)) == number
        assert found.scored == (None if test else 7)
        drawn[number] = found.rows
    assert drawn[1] == drawn[2][:1] == drawn[6][:1]
    assert drawn[2] == drawn[6][:2]


def test_which_are_drawn_depends_on_the_seed_and_on_no_label() -> None:
    labels = [0, 1, 2, 3] * 25

    def rows(labels: list[int], seed: int = 0) -> tuple[int, ...]:
        experiment = _experiment(criterion="labels(9, prior)", seed=seed)
        return draw_labels(experiment, _trials("phone"), _target(labels, test=False))["phone"].rows

    assert rows(labels) == rows(labels[::-1])
    assert rows(labels) != rows(labels, seed=1)


def test_of_a_target_of_which_trials_have_a_part_they_are_drawn_of_the_searchs_part() -> None:
    class Parted(Own):
        def load(self, domain: str) -> Domain:
            samples = Samples(np.zeros((50, 1), np.float32), np.arange(50))
            return Domain(domain, samples, samples, train_size=20)

    experiment = _experiment(criterion="labels(9)", seed=3)
    found = draw_labels(experiment, _trials("phone"), Parted())["phone"]
    part = splits.subset(50, 20, 3, "phone")
    assert found.labels == tuple(part[list(found.rows)])
    assert found.seed == 3


def test_one_sample_at_least_is_left_to_score() -> None:
    experiment = _experiment(criterion="labels(3)")
    with pytest.raises(SweepError, match=r"phone has 3 samples with one: it takes 4 at least"):
        draw_labels(experiment, _trials("phone"), _target([0, 1, 1, -1], test=False))
    assert draw_labels(experiment, _trials("phone"), _target([0, 1, 1, -1], test=True))["phone"].scored is None


def test_nothing_is_drawn_where_nothing_chooses_by_it() -> None:
    for criterion in (DEFAULT, "target_labels"):
        assert draw_labels(_experiment(criterion=criterion), _trials("phone"), _target([0, 1], test=False)) == {}
