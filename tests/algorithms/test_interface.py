"""What all methods share: predictions of a task's parts and of other inputs, and one model per fold as one method."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from transfer_sweep.algorithms import registry
from transfer_sweep.algorithms.base import Algorithm, Task
from transfer_sweep.algorithms.cross_fit import CrossFit
from transfer_sweep.algorithms.deep.target_only import TargetOnly
from transfer_sweep.datasets import splits
from transfer_sweep.datasets.base import Samples

TRANSDUCTIVE = {"tca", "jda"}  # their projections of training samples differ from new ones by rounding


def _samples(n: int, seed: int, shift: float = 0.0) -> Samples:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    inputs = rng.normal(size=(n, 8)) + 4 * np.eye(8)[labels] + shift
    return Samples(inputs.astype(np.float32), labels.astype(np.int64))


def _task(target: Samples | None = None) -> Task:
    target = _samples(50, 2, 0.5) if target is None else target
    source = _samples(80, 1)
    kept, held = np.arange(60), np.arange(60, 80)
    return Task(source.take(kept), source.take(held), target.inputs, 3, 2, target_labelled=target)


def _fitted(name: str) -> Algorithm:
    cls = registry.get(name)
    method = cls(_task(), cls.params_type())
    for _ in range(cls.budget(method.params, 2)):
        method.fit_epoch()
    return method


@pytest.mark.parametrize("name", registry.names())
def test_an_answer_depends_on_what_the_inputs_are_and_not_on_which_array_holds_them(name: str) -> None:
    method = _fitted(name)
    task = method.task
    assert task.source_validation is not None
    for inputs in (task.source.inputs, task.source_validation.inputs, task.target_inputs):
        one, copied = method.predict(inputs), method.predict(inputs.copy())
        np.testing.assert_array_equal(one.logits, copied.logits)
        np.testing.assert_array_equal(one.features, copied.features)


@pytest.mark.parametrize("name", registry.names())
def test_a_part_is_answered_as_its_inputs_are_when_they_are_said_to_be_of_its_domain(name: str) -> None:
    method = _fitted(name)
    task = method.task
    assert task.source_validation is not None
    for part, anew in (
        (method.predict_part("source"), method.predict(task.source.inputs, "source")),
        (method.predict_part("validation"), method.predict(task.source_validation.inputs, "source")),
        (method.predict_part("target"), method.predict(task.target_inputs, "target")),
    ):
        if name in TRANSDUCTIVE:
            np.testing.assert_allclose(part.features, anew.features, atol=1e-6)
        else:
            np.testing.assert_array_equal(part.logits, anew.logits)
            np.testing.assert_array_equal(part.features, anew.features)


@pytest.mark.parametrize("name", ["nearest_neighbor", "shallow_nn", "source_only"])
def test_a_part_that_the_task_lacks_is_refused_by_name(name: str) -> None:
    cls = registry.get(name)
    method = cls(Task(_samples(60, 1), None, _samples(50, 2).inputs, 3), cls.params_type())
    method.fit_epoch()
    with pytest.raises(ValueError, match="no samples 'validation'"):
        method.predict_part("validation")


def test_a_deep_method_predicts_the_source_without_a_copy_of_it_in_one_piece() -> None:
    source = _samples(5000, 1)
    kept = source.take(np.arange(4999))
    cls = registry.get("source_only")
    method = cls(Task(kept, None, _samples(50, 2).inputs, 3), cls.params_type())
    assert len(method.predict_part("source").logits) == 4999
    assert "inputs" not in vars(kept)


# --- one model per fold ---


def _folds(epochs: int = 3) -> tuple[CrossFit, Sequence[NDArray[np.integer]]]:
    target = _samples(50, 2, 0.5)
    models, scored = [], []
    for rows, fold in splits.folds(target.labels, 5, 0):
        part = target.take(rows)
        models.append(TargetOnly(Task(part, None, target.inputs, 3, epochs, part), TargetOnly.params_type()))
        scored.append(fold)
    return CrossFit(models, scored), scored


def test_each_target_sample_is_answered_by_the_model_that_did_not_train_on_it() -> None:
    method, scored = _folds()
    method.fit_epoch()
    found = method.predict_part("target")
    inputs = method.task.target_inputs
    for model, fold in zip(method.models, scored, strict=True):
        trained_on = {tuple(row) for row in model.task.samples("target_labelled").inputs.tolist()}
        assert not trained_on & {tuple(row) for row in inputs[fold].tolist()}
        np.testing.assert_array_equal(found.logits[fold], model.predict(inputs[fold]).logits)
        np.testing.assert_array_equal(found.features[fold], model.predict(inputs[fold]).features)


def test_other_inputs_get_the_mean_of_all_folds() -> None:
    method, _ = _folds()
    method.fit_epoch()
    unseen = _samples(10, 7).inputs
    expected = np.mean([model.predict(unseen).logits for model in method.models], axis=0)
    np.testing.assert_allclose(method.predict(unseen).logits, expected, rtol=1e-6)


def test_folds_declare_what_their_method_does_and_are_no_model_to_keep() -> None:
    method, _ = _folds()
    assert (method.name, method.family, method.label_access) == ("target_only", "deep", "target_train")
    assert (method.uses_source, method.params_type) == (False, TargetOnly.params_type)
    assert not method.can_be_saved
    assert method.models[0].can_be_saved
    assert method.criteria() == {}


def test_folds_have_no_source_in_common() -> None:
    method, _ = _folds()
    with pytest.raises(ValueError, match="no samples 'source' in common"):
        method.predict_part("source")


def test_folds_continue_bit_for_bit_from_their_state() -> None:
    whole, resumed = _folds()[0], _folds()[0]
    whole.fit_epoch()
    resumed.load_state_dict(whole.state_dict())
    assert whole.fit_epoch() == resumed.fit_epoch()
    np.testing.assert_array_equal(whole.predict_part("target").logits, resumed.predict_part("target").logits)


# --- identity ---


@pytest.mark.parametrize("name", registry.names())
def test_the_record_of_a_methods_params_gives_them_back(name: str) -> None:
    params = registry.get(name).params_type()
    assert type(params).decode(json.loads(json.dumps(params.encode()))) == params
