"""What a file says, as records: entries of methods, what they ask for, and how all is recorded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from tests.support.experiment_file import EXPERIMENT, write
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.config.distributions import Choices, Fixed, Range
from transfer_sweep.sweep.config.schema import MethodEntry


@pytest.mark.parametrize("name", loader.names())
def test_an_experiment_records_its_methods_as_the_file_has_them(name: str) -> None:
    file = YAML(typ="safe", pure=True).load(loader.find(name))
    for profile in ("default", *file.get("profiles", {})):
        overrides = (file["profiles"][profile] if profile != "default" else {}).get("methods", {})
        assert loader.load(name, profile).model_dump(mode="json")["methods"] == file["methods"] | overrides


def test_an_experiment_is_recorded_with_all_its_defaults(tmp_path: Path) -> None:
    """Ledgers keep this text, and reports of any age read it: here as the first version wrote it."""
    methods = (
        "  tca: {mu: {loguniform: [0.1, 10]}, n_components: [5, 1.0e1], samples: 3, pairs: [photo-uci]}\n"
        "  linear_svm: [{C: 1, samples: null, pairs: all}]\n"
        "  source_only: [{}, {protocol: {training: scratch, backbone: small_cnn}, dataset_options: {}}]\n"
    )
    text = EXPERIMENT[: EXPERIMENT.index("  nearest")] + methods + EXPERIMENT[EXPERIMENT.index("profiles") :]
    recorded = loader.load(write(tmp_path, text), "long").model_dump(mode="json")
    assert json.dumps(recorded, sort_keys=True, separators=(",", ":")) == (
        '{"checkpoint_seconds":20.0,"confirm":{"seeds":1,"settings":"chosen"},"criterion":"auto",'
        '"dataset":"offline_digits","dataset_options":{},"description":"","early_stopping":{"criterion":null,'
        '"grace":0.3333333333333333,"reduction":3.0,"scheduler":"asha"},"epochs":90,"methods":{'
        '"linear_svm":[{"C":1,"pairs":"all","samples":null}],"source_only":[{},{"dataset_options":{},"protocol":'
        '{"backbone":"small_cnn","training":"scratch"}}],"tca":{"mu":{"loguniform":[0.1,10]},"n_components":[5,10.0],'
        '"pairs":["photo-uci"],"samples":3}},"name":"mine","pairs":["rendered-photo"],"profile":"long","protocol":'
        '{"backbone":null,"holdout":null,"msda":null,"source":true,"target_labelled_classes":null,'
        '"target_labels_per_class":0,"training":"raw","weights":null},"proxy_a_distance":false,'
        '"resources":{"cpu":1.0,"gpu":"auto"},"seed":0}'
    )


def test_all_keys_of_an_entry_but_four_are_hyperparameters() -> None:
    entry = MethodEntry.model_validate(
        {"lr": 0.1, "samples": 2, "mu": [1, 2], "pairs": ["a-b"], "C": {"uniform": [0, 1]}, "protocol": {}}
    )
    assert entry.space == {"lr": Fixed(0.1), "mu": Choices((1, 2)), "C": Range("uniform", (0, 1))}
    assert (entry.samples, entry.pairs, entry.protocol, entry.dataset_options) == (2, ("a-b",), {}, {})
    with pytest.raises(ValidationError):
        entry.samples = 3  # type: ignore[misc]


def test_an_entry_without_samples_asks_for_the_product_of_its_lists() -> None:
    entry = MethodEntry.model_validate({"a": [1, 2], "b": "x", "c": [True, False]})
    assert entry.points(np.random.default_rng(0)) == [
        {"a": 1, "b": "x", "c": True},
        {"a": 1, "b": "x", "c": False},
        {"a": 2, "b": "x", "c": True},
        {"a": 2, "b": "x", "c": False},
    ]
    assert MethodEntry().points(np.random.default_rng(0)) == [{}]


def test_an_entry_with_samples_asks_for_so_many_draws() -> None:
    entry = MethodEntry.model_validate({"a": [1, 2], "b": "x", "c": {"randint": [0, 5]}, "samples": 100})
    points = entry.points(np.random.default_rng(0))
    assert len(points) == 100
    assert {(point["a"], point["b"], point["c"]) for point in points} == {(a, "x", c) for a in (1, 2) for c in range(5)}


def test_a_range_without_samples_is_no_entry() -> None:
    with pytest.raises(ValidationError, match="samples"):
        MethodEntry.model_validate({"a": 1, "b": {"uniform": [0, 1]}})


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, {"pairs": ("rendered-photo",), "backbone": None, "training": "raw", "options": {"size": 28}}),
        ({"pairs": "all"}, {"pairs": "all"}),
        (
            {"protocol": {"backbone": "small_cnn", "training": "scratch"}},
            {"backbone": "small_cnn", "training": "scratch"},
        ),
        ({"dataset_options": {"channels": 1}}, {"options": {"size": 28, "channels": 1}}),
    ],
)
def test_an_entry_sees_the_experiment_with_its_pairs_protocol_and_options_merged_in(
    tmp_path: Path, entry: dict[str, Any], expected: dict[str, Any]
) -> None:
    experiment = loader.load(write(tmp_path), None, ["dataset_options={size: 28}"])
    own = experiment.under(MethodEntry.model_validate(entry))
    seen = {
        "pairs": own.pairs,
        "backbone": own.protocol.backbone,
        "training": own.protocol.training,
        "options": own.dataset_options,
    }
    assert seen.items() >= expected.items()
    assert own.epochs == experiment.epochs == 9


def test_an_entry_is_told_with_its_place_in_the_file(tmp_path: Path) -> None:
    text = EXPERIMENT.replace("nearest_neighbor: {}", "nearest_neighbor: [{}]\n  linear_svm: [{}, {C: 1}]")
    places = [place for _, _, place in loader.load(write(tmp_path, text)).entries()]
    assert places == [
        ("methods", "nearest_neighbor", 0),
        ("methods", "linear_svm", 0),
        ("methods", "linear_svm", 1),
        ("methods", "tca"),
    ]
