"""The published numbers, against figures that the papers and their averages state."""

import itertools

import numpy as np
import pytest

from transfer_sweep.algorithms import registry
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


SMALL = "mnist 2000, usps 1800"


@pytest.mark.parametrize(
    ("pair", "setting", "num_k", "stated"),
    [  # Saito 2018, table 1: MNIST → USPS, MNIST* → USPS* of whole sets, USPS → MNIST, SVHN → MNIST
        ("mnist-usps", SMALL, 4, (94.2, 0.7)),
        ("mnist-usps", SMALL, 3, (93.8, 0.8)),
        ("mnist-usps", "whole", 4, (96.5, 0.3)),
        ("usps-mnist", SMALL, 4, (94.1, 0.3)),
        ("usps-mnist", SMALL, 3, (91.8, 0.9)),
        ("svhn-mnist", "whole", 4, (96.2, 0.4)),
        ("svhn-mnist", "whole", 3, (95.9, 0.5)),
        ("svhn-mnist", "whole", 1, (96.2, 0.4)),  # no such row: of a paper's variants the best is what it claims
    ],
)
def test_mcd_stands_beside_the_number_of_its_own_num_k_and_training_samples(
    pair: str, setting: str, num_k: int, stated: tuple[float, float]
) -> None:
    source, target = pair.split("-")
    found = published.lookup(
        "digits", "mcd", source, target, "mcd_network", setting=setting, params={"num_k": num_k, "one_step": False}
    ).paper
    assert found is not None
    assert (found.value, found.std) == stated


@pytest.mark.parametrize(("one_step", "stated"), [(True, 67.59), (False, 96.4)])
def test_a_replication_with_our_params_comes_before_a_higher_one_that_states_none(
    one_step: bool, stated: float
) -> None:
    params = {"num_k": 4, "one_step": one_step}
    found = published.lookup("digits", "mcd", "svhn", "mnist", "mcd_network", setting="whole", params=params)
    assert found.replication is not None
    assert found.replication.value == stated  # the higher states none, the lower is of the other variant


@pytest.mark.parametrize(("pair", "plain", "augmented"), [("mnist-usps", 88.14, 98.23), ("usps-mnist", 92.35, 99.54)])
def test_self_ensembling_stands_beside_the_variant_with_its_augmentation(
    pair: str, plain: float, augmented: float
) -> None:
    source, target = pair.split("-")
    for params, stated in (
        ({"affine_std": 0.0, "translation": 0.0}, plain),  # MT+CT
        ({"affine_std": 0.1, "translation": 2.0}, augmented),  # MT+CT+TFA
    ):
        found = published.lookup("digits", "self_ensembling", source, target, "digit_network", params=params).paper
        assert found is not None
        assert found.value == stated


def test_cdan_on_digits_averages_to_what_its_paper_states() -> None:
    for entropy, average_stated in ((False, 93.1), (True, 94.3)):
        values = [
            published.lookup("digits", "cdan", s, t, "cdan_lenet", params={"entropy": entropy}).paper
            for s, t in (("mnist", "usps"), ("usps", "mnist"), ("svhn", "mnist"))
        ]
        assert np.mean([v.value for v in values if v]) == pytest.approx(average_stated, abs=0.06)
        assert {v.setting for v in values if v} == {"whole"}


def test_the_setting_of_a_run_is_the_training_samples_of_its_pair() -> None:
    drawn = {"train": {"mnist": 2000, "usps": 1800, "svhn": 500}}
    assert published.setting_of(drawn, "usps", "mnist") == SMALL
    assert published.setting_of(drawn, "syn_numbers", "mnist_m") == "whole"
    assert published.setting_of({"train": {}}, "mnist", "usps") == "whole"
    assert published.setting_of({}, "amazon", "webcam") == ""


def test_every_variant_in_the_file_names_params_that_its_method_has() -> None:
    rows = published.table()
    for method, texts in rows[rows["params"] != ""].groupby("method")["params"]:
        known = registry.get(method).params_type.model_fields
        assert {part.partition("=")[0] for text in texts for part in text.split()} <= set(known)


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
