"""The published numbers, against figures that the papers and their averages state."""

import itertools

import numpy as np
import pytest

from transfer_sweep.reports import published

SURF_PAIRS = list(itertools.permutations(("caltech", "amazon", "webcam", "dslr"), 2))
OFFICE_PAIRS = list(itertools.permutations(("amazon", "dslr", "webcam"), 2))


def average(dataset: str, method: str, backbone: str, pairs: list[tuple[str, str]], kind: str = "paper") -> float:
    values = [getattr(published.lookup(dataset, method, s, t, backbone), kind).value for s, t in pairs]
    return float(np.mean(values))


@pytest.mark.parametrize(
    ("dataset", "method", "backbone", "pairs", "stated"),
    [
        ("office_caltech10", "nearest_neighbor", "surf_bow800", SURF_PAIRS, 31.37),  # Long 2013, last row of table 2
        ("office_caltech10", "jda", "surf_bow800", SURF_PAIRS, 46.31),
        ("office31", "source_only", "resnet50", OFFICE_PAIRS, 76.1),  # Long 2017
        ("office31", "jan", "resnet50", OFFICE_PAIRS, 84.3),
        ("office31", "dann", "resnet50", OFFICE_PAIRS, 82.2),  # as in Long 2018
        ("office31", "mada", "resnet50", OFFICE_PAIRS, 85.2),  # Pei 2018
        ("office31", "cdan", "resnet50", OFFICE_PAIRS, 87.7),  # Long 2018, CDAN+E
        ("office31", "mcc", "resnet50", OFFICE_PAIRS, 89.4),  # Jin 2020
    ],
)
def test_the_pairs_of_a_paper_average_to_what_it_states(
    dataset: str, method: str, backbone: str, pairs: list[tuple[str, str]], stated: float
) -> None:
    assert average(dataset, method, backbone, pairs) == pytest.approx(stated, abs=0.06)


def test_of_two_replications_the_better_tuned_one_is_shown_and_the_other_kept() -> None:
    found = published.lookup("office_caltech10", "jda", "caltech", "amazon", "surf_bow800")
    assert found.replication is not None
    assert (found.replication.value, found.replication.note) == (46.56, "second version (tuned)")
    assert [other.value for other in found.others] == [27.77]


def test_of_a_papers_variants_the_best_is_what_it_claims() -> None:
    found = published.lookup("digits", "mcd", "mnist", "usps", "mcd_network")
    assert found.paper is not None
    assert found.paper.value == 94.2
    assert found.paper.std == 0.7
    assert found.paper.note.startswith("num_k=4")


def test_the_asked_backbone_comes_first_and_another_is_told_by_its_name() -> None:
    exact = published.lookup("digits", "dann", "svhn", "mnist", "ganin_network").paper
    assert exact is not None
    assert (exact.value, exact.backbone) == (71.07, "ganin_network")
    other = published.lookup("office31", "dann", "amazon", "webcam", "efficientnet_lite0").paper
    assert other is not None
    assert (other.value, other.backbone) == (82.0, "resnet50")


def test_misquotes_are_never_shown_as_results() -> None:
    found = published.lookup("office31", "mada", "webcam", "dslr", "resnet50")
    assert found.paper is not None
    assert found.paper.value == 99.6
    assert [other.value for other in found.others if other.kind == "quoted"] == [100.0]


def test_an_implausible_replication_is_known_as_such() -> None:
    found = published.lookup("office31", "mada", "amazon", "webcam", "resnet50").replication
    assert found is not None
    assert not found.plausible


def test_nothing_is_known_of_an_unpublished_method() -> None:
    assert published.lookup("office31", "mine", "amazon", "webcam", "resnet50") == published.Published()


def test_every_row_has_a_citation_a_known_kind_and_accuracies_in_percent() -> None:
    rows = published.table()
    assert set(rows["kind"]) == {"paper", "replication", "quoted"}
    assert (rows["reference"].str.len() > 5).all()
    accuracies = rows[rows["metric"] == "target_accuracy"]
    assert (accuracies["unit"] == "percent").all()
    assert accuracies["value"].between(5, 100).all()
