"""Saved models predict as the trained ones did."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.support import plans
from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.datasets.base import Domain
from transfer_sweep.datasets.offline_digits import OfflineDigits
from transfer_sweep.reports.ledger import artefacts
from transfer_sweep.reports.ledger.records import Protocol, Training, Trial
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.trial.model_files import Preparation, load_model, save_model
from transfer_sweep.sweep.trial.scoring import Scoring
from transfer_sweep.sweep.trial.task import TaskConfig, build_trial

DIGITS = Preparation(OfflineDigits.classes)


def _trial(method: str) -> Trial:
    training: Training = "raw" if method_registry.get(method).family == "shallow" else "scratch"
    protocol = Protocol("small_cnn", training, holdout=0.2)
    return plans.trial(f"ab{method}", method, "rendered", "photo", protocol=protocol.text)


def _task(method: str, domains: dict[str, Domain]) -> tuple[Algorithm, Scoring]:
    config = TaskConfig(epochs=2, num_classes=10)
    return build_trial(_trial(method), domains["rendered"], domains["photo"], config, "cpu")


@pytest.mark.parametrize(
    "method", ["nearest_neighbor", "linear_svm", "coral", "jda", "shallow_dann", "dann", "adabn", "autodial", "mcd"]
)
def test_a_saved_model_predicts_as_the_trained_one_did(domains: dict[str, Domain], method: str, tmp_path: Path) -> None:
    trained, _ = _task(method, domains)
    trained.fit_epoch()
    path = tmp_path / save_model(tmp_path, _trial(method), 2, trained, DIGITS)
    saved = load_model(path)
    assert saved.trial == _trial(method)
    assert saved.input_shape == domains["photo"].train.inputs.shape[1:]
    new, _ = _task(method, domains)
    new.load_model_state(saved.state)
    assert domains["photo"].test is not None
    inputs = domains["photo"].test.inputs
    np.testing.assert_array_equal(new.predict(inputs).logits, trained.predict(inputs).logits)


def test_a_mean_teacher_is_saved_with_its_student_and_without_optimizers(
    domains: dict[str, Domain], tmp_path: Path
) -> None:
    trained, _ = _task("self_ensembling", domains)
    trained.fit_epoch()
    path = tmp_path / save_model(tmp_path, _trial("self_ensembling"), 2, trained, DIGITS)
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
    assert {name.split(".")[1] for name in names} == {"network", "teacher"}
    assert not any("exp_avg" in name for name in names)


def test_a_model_that_is_none_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="no model at"):
        load_model(tmp_path / "absent.safetensors")
    pickled = tmp_path / "pickled.safetensors"
    torch.save({"weight": torch.zeros(2)}, pickled)
    with pytest.raises(SweepError, match="cannot be read") as refused:
        load_model(pickled)
    assert "\n" not in str(refused.value)


def test_features_are_of_both_domains_and_confusions_of_the_scored_samples(
    domains: dict[str, Domain], tmp_path: Path
) -> None:
    trained, scoring = _task("dann", domains)
    trained.fit_epoch()
    assert scoring(trained).features is None
    scored = scoring(trained, all_criteria=True)
    assert scored.features is not None
    path = tmp_path / artefacts.save_features(tmp_path, "abc", scored.features)
    found = artefacts.read(path)
    assert found is not None
    test = domains["photo"].test
    assert test is not None
    predicted = trained.predict(test.inputs).logits.argmax(axis=1)
    assert found.confusion[3, 5] == np.sum((test.labels == 3) & (predicted == 5))
    assert found.confusion.sum() == len(test)
    assert 100 * np.trace(found.confusion) / len(test) == pytest.approx(scored.target_accuracy)
    on_target = trained.predict(domains["photo"].train.inputs)
    np.testing.assert_array_equal(found.target, on_target.features.astype(np.float16))
    np.testing.assert_array_equal(found.target_predictions, on_target.logits.argmax(axis=1))
    assert len(found.source) == len(found.source_labels) == 120
    path.write_bytes(path.read_bytes()[:100])
    assert artefacts.read(path) is None
