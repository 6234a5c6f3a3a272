"""The deep loop: schedules, batches, determinism, checkpoints, the guard against NaN, images and vectors."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from transfer_sweep.algorithms import registry
from transfer_sweep.algorithms.base import Task, TrainingError
from transfer_sweep.algorithms.deep._base import Batch, DeepMethod, DeepParams
from transfer_sweep.algorithms.deep._batches import class_balanced, shuffled
from transfer_sweep.algorithms.deep.source_only import SourceOnly
from transfer_sweep.algorithms.networks import BackboneError, build_backbone
from transfer_sweep.algorithms.schedules import lambda_factor, learning_rate_factor
from transfer_sweep.datasets.base import Samples

DEEP = [name for name, family in registry.names().items() if family == "deep"]


def blobs(shift: float, n: int = 90, seed: int = 0) -> Samples:
    """Three well separated classes in 8 dimensions, moved by ``shift`` along a direction of its own."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    inputs = rng.normal(size=(n, 8)) + 4 * np.eye(8)[labels]
    inputs[:, 7] += shift
    return Samples(inputs.astype(np.float32), labels.astype(np.int64))


def task(epochs: int = 4, shift: float = 1.0, n_target: int = 70) -> Task:
    target = blobs(shift, n_target, seed=1)
    return Task(
        source=blobs(0.0),
        source_validation=None,
        target_inputs=target.inputs,
        num_classes=3,
        epochs=epochs,
        target_labelled=target,
    )


def build(name: str, the_task: Task, seed: int = 0, **params: Any) -> DeepMethod:
    cls = registry.get(name)
    trial = cls(the_task, cls.params_type.model_validate({"batch_size": 30, "bottleneck": 16} | params), "cpu", seed)
    assert isinstance(trial, DeepMethod)
    return trial


def test_schedules_are_those_of_ganin_2016() -> None:
    # Section 5.2: μ_p = μ_0 / (1 + 10p)^0.75 and λ_p = 2 / (1 + exp(−10p)) − 1.
    assert learning_rate_factor("ganin", 1.0, 10, 0.75, 0.5, 0.5) == pytest.approx(11**-0.75)
    assert learning_rate_factor("ganin", 0.0, 10, 0.75, 0.5, 0.5) == 1.0
    assert lambda_factor("ganin", 0.0, 10) == 0.0
    assert lambda_factor("ganin", 0.5, 10) == pytest.approx(np.tanh(2.5))
    assert lambda_factor("constant", 0.0, 10) == 1.0
    assert learning_rate_factor("cosine", 0.5, 0, 0, 0.5, 0.5) == pytest.approx(0.5)
    assert learning_rate_factor("constant", 0.7, 10, 0.75, 0.5, 0.5) == 1.0
    halved = [learning_rate_factor("step", epoch / 10, 0, 0, 0.3, 0.5) for epoch in range(10)]
    assert halved == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert learning_rate_factor("step", 0.8, 0, 0, 0.75, 0.33) == 0.33


def test_schedules_follow_the_full_budget_step_by_step() -> None:
    rates = []

    class Watched(SourceOnly):
        def step(self, source: Batch, target: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
            rates.append((progress, self.optimizers["all"].param_groups[-1]["lr"]))
            return super().step(source, target, progress)

    trial = Watched(task(epochs=4), DeepParams(batch_size=30, lr=0.02), "cpu", 0)
    trial.fit_epoch()
    trial.fit_epoch()
    # ⌈90 / 30⌉ = 3 steps an epoch; progress counts all 4 epochs, of which two ran.
    np.testing.assert_allclose([p for p, _ in rates], np.arange(6) / 12)
    np.testing.assert_allclose([r for _, r in rates], 0.02 * (1 + 10 * np.arange(6) / 12) ** -0.75)


@pytest.mark.parametrize("name", DEEP)
def test_a_method_learns_separable_classes_and_carries_them_over_a_small_shift(name: str) -> None:
    the_task = task(epochs=12, shift=0.5)
    trial = build(name, the_task, lr=0.03, dropout=0.1)
    losses = [trial.fit_epoch() for _ in range(12)]
    prediction = trial.predict_part("target")
    assert prediction.logits.shape == (70, 3)
    assert prediction.logits.dtype == prediction.features.dtype == np.float32
    assert prediction.features.shape == (70, 16)
    assert all(np.isfinite(list(epoch.values())).all() for epoch in losses)
    accuracy = (prediction.logits.argmax(axis=1) == the_task.samples("target_labelled").labels).mean()
    assert accuracy > 0.95


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", DEEP)
def test_a_checkpoint_continues_bit_for_bit_whatever_ran_in_between(name: str, optimizer: str, tmp_path: Path) -> None:
    the_task = task()
    whole = build(name, the_task, optimizer=optimizer)
    expected = [whole.fit_epoch() for _ in range(4)]

    first = build(name, the_task, optimizer=optimizer)
    begun = [first.fit_epoch() for _ in range(2)]
    torch.save(first.state_dict(), tmp_path / "checkpoint.pt")
    torch.manual_seed(99)  # another trial, in the same process
    build("source_only", the_task, seed=5).fit_epoch()
    resumed = build(name, the_task, optimizer=optimizer)
    resumed.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    assert begun + [resumed.fit_epoch() for _ in range(2)] == expected
    np.testing.assert_array_equal(resumed.predict_part("target").logits, whole.predict_part("target").logits)


@pytest.mark.parametrize("name", DEEP)
def test_target_labels_matter_to_methods_that_declare_them_and_to_no_others(name: str) -> None:
    cls = registry.get(name)
    honest = task(2)
    labelled = honest.samples("target_labelled")
    permuted = Samples(labelled.inputs, np.random.default_rng(0).permutation(labelled.labels))
    one, other = build(name, honest), build(name, dataclasses.replace(honest, target_labelled=permuted))
    for _ in range(2):
        one.fit_epoch(), other.fit_epoch()
    same = np.array_equal(one.predict_part("target").logits, other.predict_part("target").logits)
    assert same == (not cls.takes_few_labels() and cls.label_access == "none")


def test_a_few_target_labels_add_their_cross_entropy_to_the_losses_of_a_method() -> None:
    the_task = task()
    few = the_task.samples("target_labelled").take(np.array([0, 1, 2, 5]))
    trial = build("source_only", dataclasses.replace(the_task, target_labelled=few), dropout=0.0, batch_norm=False)
    source = Batch(torch.from_numpy(the_task.source.inputs[:9]), torch.from_numpy(the_task.source.labels[:9]))
    expected = copy.deepcopy(trial.network).double()
    both = [(source.inputs, source.labels), (torch.from_numpy(few.inputs), torch.from_numpy(few.labels))]
    losses = [nn.functional.cross_entropy(expected(inputs.double()).logits, labels) for inputs, labels in both]
    torch.autograd.backward(losses[0] + losses[1])
    torch.optim.SGD(expected.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-3).step()  # the defaults
    reported = trial.step(source, torch.empty(0), 0.0)
    assert {k: v.item() for k, v in reported.items()} == pytest.approx(
        {"classification": losses[0].item(), "target_classification": losses[1].item()}
    )
    for moved, should in zip(trial.network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(moved, should.float())


def test_no_batch_of_the_few_has_a_sample_twice_or_more_than_a_batch_holds() -> None:
    seen = []

    class Watched(SourceOnly):
        def losses_on_few(self, few: Batch) -> dict[str, torch.Tensor]:
            seen.append(few.inputs)
            return super().losses_on_few(few)

    for size in (4, 70):
        few = task().samples("target_labelled").take(np.arange(size))
        trial = Watched(dataclasses.replace(task(), target_labelled=few), DeepParams(batch_size=30), "cpu", 0)
        seen.clear()
        trial.fit_epoch()
        assert len(seen) == trial.steps_per_epoch
        assert {len(batch) for batch in seen} == {min(size, 30)}
        assert all(len(torch.unique(batch, dim=0)) == len(batch) for batch in seen)


def test_training_leaves_the_random_state_of_the_process_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    build("source_only", task()).fit_epoch()
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_seeds_differ() -> None:
    assert build("source_only", task(), seed=0).fit_epoch() != build("source_only", task(), seed=1).fit_epoch()


def test_every_sample_of_the_larger_domain_is_seen_once_before_any_is_seen_twice() -> None:
    torch.manual_seed(0)
    rows = shuffled(7, 17)
    assert sorted(rows[:7].tolist()) == sorted(rows[7:14].tolist()) == list(range(7))
    assert len(set(rows[14:].tolist())) == 3


def test_class_balanced_batches_hold_each_class_equally_often() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0] * 50 + [1] * 5 + [2] * 20)
    rows = class_balanced(labels, 60)
    for batch in torch.split(labels[rows], 12):
        assert batch.bincount(minlength=3).tolist() == [4, 4, 4]
    assert rows[labels[rows] == 1].bincount(minlength=55)[50:].tolist() == [4] * 5


def test_a_loss_that_is_not_finite_ends_training_with_one_line() -> None:
    source = blobs(0.0)
    source.inputs[3] = np.nan
    broken = Task(source, None, blobs(1.0).inputs, num_classes=3, epochs=2)
    with pytest.raises(TrainingError, match=r"classification.*source_only is nan in epoch 1.*lower lr") as error:
        build("source_only", broken).fit_epoch()
    assert "\n" not in str(error.value)


def test_clipping_bounds_the_norm_of_each_step() -> None:
    steps = []

    class Watched(SourceOnly):
        def step(self, source: Batch, target: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
            before = torch.cat([p.detach().flatten().clone() for p in self.nets.parameters()])
            losses = super().step(source, target, progress)
            after = torch.cat([p.detach().flatten() for p in self.nets.parameters()])
            steps.append(float((after - before).norm()))
            return losses

    params = DeepParams(batch_size=30, lr=1.0, momentum=0.0, weight_decay=0.0, lr_schedule="constant", grad_clip=0.01)
    Watched(task(), params, "cpu", 0).fit_epoch()
    # With lr 1 and neither momentum nor decay a step is the clipped gradient.
    np.testing.assert_allclose(steps, 0.01, rtol=1e-3)


def test_vectors_in_read_only_memory_are_trained_on_without_a_copy() -> None:
    source, target = blobs(0.0), blobs(1.0)
    for array in (source.inputs, source.labels, target.inputs):
        array.setflags(write=False)
    trial = build("source_only", Task(source, None, target.inputs, num_classes=3, epochs=1))
    assert np.shares_memory(trial._labelled.inputs.numpy(), source.inputs)
    assert np.isfinite(trial.fit_epoch()["classification"])


def photographs(n: int, seed: int) -> Samples:
    rng = np.random.default_rng(seed)
    return Samples(rng.integers(0, 256, (n, 3, 256, 256), dtype=np.uint8), (np.arange(n) % 2).astype(np.int64))


def test_fine_tuning_starts_from_the_given_weights_at_a_tenth_of_the_learning_rate() -> None:
    torch.manual_seed(0)
    pretrained = build_backbone("resnet18").get_submodule("1").state_dict()
    the_task = Task(
        photographs(4, 0),
        None,
        photographs(4, 1).inputs,
        num_classes=2,
        epochs=1,
        backbone="resnet18",
        training="finetune",
        pretrained=pretrained,
    )
    trial = SourceOnly(the_task, DeepParams(batch_size=2, bottleneck=8, freeze_batch_norm=True), "cpu", 0)
    stem = trial.network.get_parameter("backbone.1.conv1.weight")
    torch.testing.assert_close(stem.detach(), pretrained["conv1.weight"])
    rates = [group["multiplier"] for group in trial.optimizers["all"].param_groups]
    assert rates == [0.1, 1.0, 1.0]
    trial.fit_epoch()
    assert not torch.equal(stem, pretrained["conv1.weight"])
    statistics = trial.network.get_buffer("backbone.1.bn1.running_mean")
    torch.testing.assert_close(statistics, pretrained["bn1.running_mean"])
    # Images are seen by their centre crop, so what lies outside it has no say.
    images = photographs(3, 2).inputs
    framed = images.copy()
    framed[:, :, :16] = 0
    np.testing.assert_array_equal(trial.predict(images).logits, trial.predict(framed).logits)


def test_fine_tuning_without_weights_is_refused() -> None:
    images = photographs(4, 0)
    the_task = Task(images, None, images.inputs, num_classes=2, backbone="resnet18", training="finetune")
    with pytest.raises(BackboneError, match="fine-tuning resnet18 needs its pretrained weights"):
        build("source_only", the_task)


def test_digit_images_train_a_small_network_from_scratch() -> None:
    digits = load_digits()
    images = np.kron(digits.images, np.ones((3, 3))).clip(0, 16) * 15
    images = np.pad(images, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)[:, None]
    labels = digits.target.astype(np.int64)
    the_task = Task(
        Samples(images[:1000], labels[:1000]), None, images[1000:], 10, 2, backbone="small_cnn", training="scratch"
    )
    trial = SourceOnly(the_task, DeepParams(batch_size=64), "cpu", 0)
    for _ in range(2):
        trial.fit_epoch()
    assert (trial.predict(images[1000:]).logits.argmax(axis=1) == labels[1000:]).mean() > 0.9


def test_methods_see_float32_where_the_network_runs_in_mixed_precision() -> None:
    rng = np.random.default_rng(0)
    images = Samples(rng.integers(0, 256, (20, 1, 28, 28), dtype=np.uint8), np.arange(20) % 2)
    the_task = Task(images, None, images.inputs, 2, 1, backbone="small_cnn", training="scratch")
    whole, mixed = (SourceOnly(the_task, DeepParams(batch_size=10), "cpu", 0) for _ in range(2))
    mixed._mixed_precision = True  # as on a GPU; the CPU has bfloat16 too
    outputs = [trial.forward(torch.from_numpy(images.inputs)) for trial in (whole, mixed)]
    assert all(part.dtype == torch.float32 for part in outputs[1])
    torch.testing.assert_close(outputs[1].backbone, outputs[0].backbone, atol=0.1, rtol=0.1)
    assert not torch.equal(outputs[1].backbone, outputs[0].backbone)


def test_a_bottleneck_of_zero_leaves_the_features_as_they_are() -> None:
    trial = build("source_only", task(), bottleneck=0)
    inputs = blobs(0.0).inputs
    np.testing.assert_array_equal(trial.predict(inputs).features, inputs)
    assert isinstance(trial.network.bottleneck["linear"], nn.Identity)


def test_a_shortened_epoch_has_that_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    of_100 = dataclasses.replace(task(), source=blobs(0.0, 100))
    model = SourceOnly(of_100, SourceOnly.params_type(batch_size=10))
    steps: list[float] = []
    step = model.step

    def counted(source: Batch, target: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
        steps.append(progress)
        return step(source, target, progress)

    monkeypatch.setattr(model, "step", counted)
    assert model.shorten_epoch(4) == 0.4
    model.fit_epoch()
    assert len(steps) == 4
    assert model.shorten_epoch(10) == 1.0
    shallow = registry.get("nearest_neighbor")
    assert shallow(of_100, shallow.params_type()).shorten_epoch(1) == 1.0
