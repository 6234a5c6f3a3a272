"""``dataset: {folders: …}`` and ``{tables: …}``: what a file may say of the user's own data, and of its pairs."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.sweep.config.loader import with_absolute_paths
from transfer_sweep.sweep.config.schema import Experiment
from transfer_sweep.sweep.config.validation import parse_pair
from transfer_sweep.sweep.errors import SweepError

METHODS: dict[str, dict[str, Any]] = {"nearest_neighbor": {}}


def _experiment(dataset: Any, **others: Any) -> Experiment:
    return Experiment.model_validate({"name": "mine", "dataset": dataset, "methods": METHODS, **others})


def test_folders_become_paths_and_what_stands_beside_them_options() -> None:
    experiment = _experiment({"folders": {"catalog": "/a", "phone": "/b"}, "size": 128})
    assert experiment.dataset == "own_images"
    assert experiment.paths == {"catalog": "/a", "phone": "/b"}
    assert experiment.dataset_options == {"size": 128}
    assert _experiment({"tables": {"a": "a.csv", "b": "b.csv"}, "label": "y"}).dataset == "own_tables"


def test_an_experiment_on_a_published_data_set_records_no_paths() -> None:
    assert "paths" not in _experiment("offline_digits").model_dump(mode="json")
    assert "target_classes" not in _experiment("offline_digits").model_dump(mode="json")["protocol"]
    own = _experiment({"folders": {"a": "/a", "b": "/b"}}).model_dump(mode="json")
    assert own["paths"] == {"a": "/a", "b": "/b"}


@pytest.mark.parametrize(
    ("dataset", "part"),
    [
        ({"folder": {"a": "/a", "b": "/b"}}, "folders: {domain: path"),
        ({"folders": {"a": "/a", "b": "/b"}, "tables": {"a": "x", "b": "y"}}, "folders: {domain: path"),
        ({}, "it has nothing"),
        ({"folders": {"a": "/a"}}, "two domains or more"),
        ({"folders": ["/a", "/b"]}, "two domains or more"),
        ({"folders": {"a": 1, "b": 2}}, "two domains or more"),
        ({"folders": {"a:b": "/a", "b": "/b"}}, "none of the characters"),
        ({"folders": {" ": "/a", "b": "/b"}}, "none of the characters"),
        ({"folders": {"a": "/same", "b": "/same"}}, "two domains lie at /same"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(dataset: Any, part: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _experiment(dataset)
    assert part in refused.value.errors()[0]["msg"]


def test_paths_are_those_beside_the_file_and_overrides_those_of_where_one_is(tmp_path: Path) -> None:
    data = {"dataset": {"folders": {"a": "photos", "b": "/b"}, "size": 64}}
    found = with_absolute_paths(data, tmp_path)
    assert found["dataset"] == {"folders": {"a": str(tmp_path / "photos"), "b": "/b"}, "size": 64}
    assert with_absolute_paths({"dataset": "office31"}, tmp_path) == {"dataset": "office31"}


DOMAINS = ("my-catalog", "phone", "phone-at-night", "my", "catalog-phone")


@pytest.mark.parametrize(
    ("written", "pair"),
    [
        ("phone-my", Pair("phone", "my")),
        ("phone-phone-at-night", Pair("phone", "phone-at-night")),
        ("phone-at-night-my-catalog", Pair("phone-at-night", "my-catalog")),
        (("my", "catalog-phone"), Pair("my", "catalog-phone")),
        (["my-catalog", "phone"], Pair("my-catalog", "phone")),
    ],
)
def test_names_of_domains_may_have_hyphens(written: Any, pair: Pair) -> None:
    assert parse_pair(written, DOMAINS) == pair


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("my-catalog-phone", "can be read in 2 ways: write [source, target]"),
        ("phone", "a pair is source-target"),
        ("phone-tablet", "unknown domain 'tablet'"),
        (("phone", "phone"), "the same domain"),
    ],
)
def test_what_is_no_pair_is_refused_in_one_line(written: Any, part: str) -> None:
    with pytest.raises(SweepError) as refused:
        parse_pair(written, DOMAINS)
    assert part in str(refused.value)
