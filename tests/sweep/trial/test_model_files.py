"""Model files: a model predicts bit for bit as the trained one did, where its training data is not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.sparse import csr_array

from tests.support import models
from transfer_sweep.algorithms import registry
from transfer_sweep.datasets.base import Samples, Standardisation
from transfer_sweep.datasets.own_tables import OwnTables
from transfer_sweep.reports.ledger.records import Pair, Protocol
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial.model_files import Preparation, load_model
from transfer_sweep.sweep.trial.saved_model import SavedModel

WIDTH = 12
SOURCE, TARGET = models.vectors(60, WIDTH, 1), models.vectors(45, WIDTH, 2, 0.2)
NEW = models.vectors(30, WIDTH, 3, 0.2).inputs
SURF = Protocol("surf_bow800", "raw")
SHALLOW: list[tuple[str, dict[str, Any]]] = [
    ("nearest_neighbor", {}),
    ("nearest_neighbor", {"unit_length": True}),
    ("linear_svm", {}),
    ("logistic_regression", {"unit_length": False}),
    ("coral", {}),
    ("coral", {"classifier": "nn", "unit_length": True}),
    ("subspace_alignment", {"n_components": 5}),
    ("subspace_alignment", {"n_components": 5, "classifier": "svm"}),
    ("tca", {"n_components": 5}),
    ("tca", {"n_components": 5, "kernel": "linear"}),
    ("tca", {"n_components": 5, "kernel": "rbf"}),
    ("jda", {"n_components": 5, "kernel": "rbf"}),
    ("shallow_nn", {"max_passes": 5, "scaling": "log_length"}),
    ("shallow_dann", {"max_passes": 5}),
]


def test_every_shallow_method_is_looked_at() -> None:
    assert {name for name, _ in SHALLOW} == {n for n in registry.names() if registry.get(n).family == "shallow"}


@pytest.mark.parametrize(("method", "params"), SHALLOW)
def test_a_shallow_model_predicts_bit_for_bit_without_its_data(
    method: str, params: dict[str, Any], tmp_path: Path
) -> None:
    trial, model = models.trained(method, SOURCE, TARGET, SURF, "office_caltech10", params)
    again = SavedModel(models.saved(tmp_path, trial, model), device="cpu")
    np.testing.assert_array_equal(again.logits(NEW), models.logits(model, NEW))
    assert list(again.classes) == list(models.CLASSES)


@pytest.mark.parametrize("method", ["dann", "mcd", "self_ensembling", "autodial", "adabn"])
def test_a_network_predicts_bit_for_bit_without_its_data(method: str, tmp_path: Path) -> None:
    trial, model = models.trained(method, SOURCE, TARGET, SURF, "office_caltech10")
    again = SavedModel(models.saved(tmp_path, trial, model), device="cpu")
    np.testing.assert_array_equal(again.logits(NEW), models.logits(model, NEW))


def test_sparse_samples_stay_sparse_in_the_file(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(0.02, (60, 3000)).astype(np.float32)
    source = Samples(csr_array(counts), SOURCE.labels)
    trial, model = models.trained("nearest_neighbor", source, source, Protocol("bow", "raw"), "amazon_reviews")
    path = models.saved(tmp_path, trial, model)
    assert path.stat().st_size < counts.nbytes / 5
    np.testing.assert_array_equal(SavedModel(path).logits(counts), models.logits(model, counts))


def test_images_are_kept_as_the_bytes_they_are(tmp_path: Path) -> None:
    source = models.images(40, (1, 16, 16), 1)
    trial, model = models.trained("nearest_neighbor", source, source, Protocol("pixels", "raw"), "digits")
    path = models.saved(tmp_path, trial, model)
    assert path.stat().st_size < 2 * source.inputs.nbytes
    np.testing.assert_array_equal(SavedModel(path).logits(source.inputs), models.logits(model, source.inputs))


def test_standardisation_is_part_of_the_file(tmp_path: Path) -> None:
    mean, scale = np.linspace(0, 1, WIDTH), np.linspace(1, 2, WIDTH)
    trial, model = models.trained("linear_svm", SOURCE, TARGET, SURF, "office_caltech10")
    names = [f"column {i}" for i in range(WIDTH)]
    again = SavedModel(
        models.saved(tmp_path, trial, model, Preparation(models.CLASSES, names, Standardisation(mean, scale)))
    )
    assert list(again.feature_names) == names
    np.testing.assert_allclose(again.standardised(NEW), (NEW - mean) / scale, rtol=1e-6)


def test_a_table_of_the_users_own_is_standardised_as_it_was_in_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "ab":
        frame = pd.DataFrame(rng.normal(3, 2, (50, 3)), columns=["x", "y2", "z"]).assign(
            label=list(models.CLASSES) * 10
        )
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    dataset = OwnTables(paths={name: tmp_path / f"{name}.csv" for name in "ab"})
    source, target = (dataset.load(name).train for name in "ab")
    protocol = Protocol("vectors", "raw", options=dataset.options.encode())
    trial, model = models.trained("linear_svm", source, target, protocol, "own_tables", pair=Pair("a", "b"))
    again = SavedModel(models.saved(tmp_path, trial, model, Preparation.of(dataset, trial)))
    assert list(again.classes) == sorted(models.CLASSES)
    assert list(again.feature_names) == ["x", "y2", "z"]
    raw = pd.read_csv(tmp_path / "b.csv")[["x", "y2", "z"]].to_numpy()
    np.testing.assert_array_equal(again.standardised(raw), target.inputs)
    as_they_are = Protocol("vectors", "raw", options=protocol.options, inputs={"standardize": "none"})
    trial, model = models.trained("linear_svm", source, target, as_they_are, "own_tables", pair=Pair("a", "b"))
    assert Preparation.of(dataset, trial).standardisation is None


def test_a_newer_format_is_refused_in_one_line(tmp_path: Path) -> None:
    trial, model = models.trained("linear_svm", SOURCE, TARGET, SURF, "office_caltech10")
    path = models.saved(tmp_path, trial, model)
    _rewrite(path, lambda config: config.update(format=3))
    with pytest.raises(SweepError, match="is of format 3, this version reads up to 2") as refused:
        load_model(path)
    assert "\n" not in str(refused.value)


def _rewrite(path: Path, change: Any, without: tuple[str, ...] = ()) -> None:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys() if not name.startswith(without)}  # noqa: SIM118
    config, state = json.loads(metadata["config"]), json.loads(metadata["state"])
    change(config)
    state = {key: value for key, value in state.items() if not key.startswith(without)}
    save_file(tensors, path, {"config": json.dumps(config), "state": json.dumps(state)})


def test_a_shallow_model_of_format_1_predicts_with_its_data(tmp_path: Path) -> None:
    trial, model = models.trained("nearest_neighbor", SOURCE, TARGET, SURF, "office_caltech10")
    path = models.saved(tmp_path, trial, model)
    _rewrite(path, lambda config: config.update(format=1), without=("source", "target"))
    old = SavedModel(path)
    with pytest.raises(SweepError, match="needs its training data"):
        old.logits(NEW)
    domains = models.domains(SOURCE, TARGET)
    with_data = SavedModel(path, data=lambda: domains)
    np.testing.assert_array_equal(with_data.logits(NEW), models.logits(model, NEW))
