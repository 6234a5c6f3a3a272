"""What makes each deep method itself: which parameters move in which step, and what its layers compute."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softmax

from transfer_sweep.algorithms import registry
from transfer_sweep.algorithms.base import Task, TrainingError
from transfer_sweep.algorithms.deep._base import Batch
from transfer_sweep.algorithms.deep.associative import Associative, AssociativeParams
from transfer_sweep.algorithms.deep.fine_tune import FineTune, FineTuneParams
from transfer_sweep.algorithms.deep.mcd import MCD, MCDParams
from transfer_sweep.algorithms.deep.transferability import Transferability, TransferabilityParams
from transfer_sweep.algorithms.deep.wasserstein import Wasserstein, WassersteinParams
from transfer_sweep.algorithms.losses.discrepancy import classifier_discrepancy
from transfer_sweep.algorithms.losses.mmd import joint_mmd, mmd
from transfer_sweep.algorithms.networks import ClassDiscriminators, build_backbone
from transfer_sweep.algorithms.networks.batch_norm import DomainAlignment
from transfer_sweep.algorithms.networks.blocks import blocks
from transfer_sweep.datasets.base import DataError, Samples


def domains(n_classes: int = 3, shift: float = 2.0, n: int = 60) -> Task:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % n_classes
    source = rng.normal(size=(n, 6)) + 3 * np.eye(6)[labels]
    target = rng.normal(size=(n, 6)) + 3 * np.eye(6)[labels] + shift
    return Task(
        Samples(source.astype(np.float32), labels.astype(np.int64)),
        None,
        target.astype(np.float32),
        n_classes,
        epochs=10,
    )


def build(name: str, task: Task | None = None, **params: Any) -> Any:
    cls = registry.get(name)
    return cls(
        task or domains(), cls.params_type.model_validate({"batch_size": 20, "bottleneck": 8} | params), "cpu", 0
    )


def batches(trial: Any) -> tuple[Batch, torch.Tensor]:
    task = trial.task
    return (
        Batch(torch.from_numpy(task.source.inputs[:20]), torch.from_numpy(task.source.labels[:20])),
        torch.from_numpy(task.target_inputs[:20]),
    )


def moved(trial: Any, before: dict[str, torch.Tensor]) -> set[str]:
    return {
        name for name, parameter in trial.nets.named_parameters() if not torch.equal(parameter.detach(), before[name])
    }


def snapshot(trial: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trial.nets.named_parameters()}


# --- adversarial methods ---


@pytest.mark.parametrize(
    ("name", "auxiliary", "term"),
    [("dann", "discriminator", "domain"), ("cdan", "discriminator", "domain"), ("mada", "discriminators", "domain")],
)
def test_discriminators_descend_the_loss_that_features_climb_lambda_times(
    name: str, auxiliary: str, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = build(name, lambda_schedule="constant", trade_off=0.3, dropout=0.0, discriminator_dropout=0.0)
    chosen = [trial.network.bottleneck["linear"].weight, *trial.nets[auxiliary].parameters()]
    features, *discriminator = torch.autograd.grad(trial.losses(*batches(trial), 0.5)[term], chosen)
    monkeypatch.setattr(f"transfer_sweep.algorithms.deep.{name}.reverse_gradient", lambda inputs, _: inputs)
    plain_features, *plain_discriminator = torch.autograd.grad(trial.losses(*batches(trial), 0.5)[term], chosen)
    torch.testing.assert_close(features, -0.3 * plain_features)
    torch.testing.assert_close(discriminator, plain_discriminator)
    assert float(features.abs().max()) > 0


def test_at_the_start_of_the_ganin_schedule_only_the_discriminator_feels_the_domains() -> None:
    trial = build("dann", dropout=0.0)
    domain = trial.losses(*batches(trial), 0.0)["domain"]
    gradient = torch.autograd.grad(domain, trial.network.bottleneck["linear"].weight)[0]
    assert float(gradient.abs().max()) == 0


def test_cdan_randomises_above_4096_dimensions_only() -> None:
    small = build("cdan", domains(n_classes=3), bottleneck=1024)
    assert small.nets["map"].dim == 3072
    large = build("cdan", domains(n_classes=5), bottleneck=1024, random_dim=64)
    assert large.nets["map"].dim == 64
    assert all(not name.startswith("map") for name, _ in large.nets.named_parameters())


def test_cdans_entropy_weights_are_an_option() -> None:
    weighted, plain = (build("cdan", entropy=e, dropout=0.0, discriminator_dropout=0.0) for e in (True, False))
    source, target = batches(weighted)
    assert float(weighted.losses(source, target, 0.5)["domain"].detach()) != float(
        plain.losses(source, target, 0.5)["domain"].detach()
    )


@pytest.mark.parametrize("layers", [1, 2])
def test_madas_product_is_k_discriminators_of_features_weighted_by_each_class(layers: int) -> None:
    torch.manual_seed(0)
    together = ClassDiscriminators(5, 4, 7, layers).double()
    features = torch.randn(6, 5, dtype=torch.float64)
    shares = softmax(torch.randn(6, 4, dtype=torch.float64), dim=1)
    weights = together.first.weight.view(4, 7, 5)
    for k in range(4):
        hidden = torch.relu((shares[:, k : k + 1] * features) @ weights[k].T + together.first_bias[k])
        if layers == 2:
            hidden = torch.relu(hidden @ together.between[0][k] + together.between_bias[0][k])
        alone = hidden @ together.second[k] + together.second_bias[k]
        torch.testing.assert_close(together(features, shares)[:, k], alone)


def test_madas_loss_is_the_sum_over_classes() -> None:
    trial = build("mada", dropout=0.0, discriminator_dropout=0.0)
    source, target = batches(trial)
    on_source, on_target = trial.forward_pair(source.inputs, target)
    features = torch.cat([on_source.features, on_target.features])
    shares = softmax(torch.cat([on_source.logits, on_target.logits]), dim=1)
    logits = trial.nets["discriminators"](features, shares)
    truth = torch.cat([torch.ones(20), torch.zeros(20)])
    expected = sum(binary_cross_entropy_with_logits(logits[:, k], truth) for k in range(3))
    torch.testing.assert_close(trial.losses(source, target, 0.5)["domain"], expected)


def test_until_lambda_start_the_domains_are_not_looked_at() -> None:
    for name in ("dann", "cdan", "mada"):
        trial = build(name, lambda_start=0.2)
        assert set(trial.losses(*batches(trial), 0.19)) == {"classification"}
        assert set(trial.losses(*batches(trial), 0.2)) == {"classification", "domain"}
        assert trial.weight(0.2) == 0.0  # the schedule begins there
        assert trial.weight(0.3) == pytest.approx(2 / (1 + np.exp(-1.0)) - 1)


# --- what batch norm sees ---


def norm_of(trial: Any) -> torch.nn.BatchNorm1d:
    (norm,) = (module for module in trial.network.modules() if isinstance(module, torch.nn.BatchNorm1d))
    return norm


def moments(trial: Any, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    hidden = trial.network.bottleneck["linear"](inputs)
    return hidden.mean(dim=0), hidden.var(dim=0)


@pytest.mark.parametrize("mode", ["joint", "separate", "source"])
def test_batch_norm_sees_what_its_mode_says(mode: str) -> None:
    trial = build("mcc", batch_norm_domains=mode, dropout=0.0)
    source, target = batches(trial)
    norm = norm_of(trial)
    on_source, on_target = trial.forward_pair(source.inputs, target)
    mean_s, var_s = moments(trial, source.inputs)
    mean_t, var_t = moments(trial, target)
    both = torch.cat([source.inputs, target])
    mean_b, var_b = moments(trial, both)

    def normalised(inputs: torch.Tensor, mean: torch.Tensor, var: torch.Tensor) -> torch.Tensor:
        hidden = trial.network.bottleneck["linear"](inputs)
        return torch.relu((hidden - mean) / (var + norm.eps).sqrt())

    biased = 19 / 20
    momentum = norm.momentum
    assert momentum is not None
    if mode == "joint":
        expected = [normalised(source.inputs, mean_b, var_b * 39 / 40), normalised(target, mean_b, var_b * 39 / 40)]
        running = momentum * mean_b
    elif mode == "separate":
        expected = [normalised(source.inputs, mean_s, var_s * biased), normalised(target, mean_t, var_t * biased)]
        running = (1 - momentum) * momentum * mean_s + momentum * mean_t
    else:
        running = momentum * mean_s
        expected = [
            normalised(source.inputs, mean_s, var_s * biased),
            normalised(target, running, (1 - momentum) * torch.ones(8) + momentum * var_s),
        ]
    torch.testing.assert_close([on_source.features, on_target.features], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_mean, running.detach())
    assert norm.training


@pytest.mark.parametrize("mode", ["joint", "separate"])
def test_source_only_of_a_mode_is_a_method_of_that_mode_with_lambda_zero(mode: str) -> None:
    control = build("source_only", batch_norm_domains=mode)
    method = build("mcc", batch_norm_domains=mode, trade_off=0.0)
    for trial in (control, method):
        trial.fit_epoch()
    inputs = control.task.target_inputs
    np.testing.assert_array_equal(control.predict(inputs).logits, method.predict(inputs).logits)
    alone = build("source_only")
    alone.fit_epoch()
    assert np.abs(alone.predict(inputs).logits - control.predict(inputs).logits).max() > 0.01


def test_source_only_draws_no_target_where_batch_norm_sees_the_source_alone() -> None:
    elsewhere = dataclasses.replace(domains(), target_inputs=np.full((60, 6), 1e3, dtype=np.float32))
    here, there = build("source_only"), build("source_only", elsewhere)
    for trial in (here, there):
        trial.fit_epoch()
    inputs = here.task.source.inputs
    np.testing.assert_array_equal(here.predict(inputs).logits, there.predict(inputs).logits)


def test_adabn_trains_frozen_layers_on_the_sources_statistics_and_predicts_with_the_targets() -> None:
    trial = build("adabn", dropout=0.0)
    norm = norm_of(trial)
    trial.fit_epoch()
    of_target = norm.running_mean.clone()  # type: ignore[union-attr]
    hidden = trial.network.bottleneck["linear"](torch.from_numpy(trial.task.target_inputs))
    torch.testing.assert_close(of_target, hidden.mean(dim=0).detach(), rtol=1e-4, atol=1e-4)
    trial._train_mode()
    of_source = norm.running_mean.clone()  # type: ignore[union-attr]
    assert float((of_source - of_target).abs().max()) > 0.1
    again = build("adabn", dropout=0.0)
    again.load_state_dict(trial.state_dict())
    again._train_mode()
    torch.testing.assert_close(norm_of(again).running_mean, of_source)


# --- MCD ---


def test_discrepancy_is_the_mean_absolute_difference_of_probabilities() -> None:
    p, q = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.1, 0.6, 0.3]])
    assert float(classifier_discrepancy(p.log(), q.log())) == pytest.approx((0.6 + 0.4 + 0.2) / 3)


def test_mcds_steps_move_all_then_classifiers_then_the_generator_num_k_times() -> None:
    steps = []

    class Watched(MCD):
        def minimise(self, losses: Mapping[str, torch.Tensor], *optimizers: str) -> None:
            before = snapshot(self)
            super().minimise(losses, *optimizers)
            steps.append((set(losses), {name.split(".")[1] for name in moved(self, before)}))

    trial = Watched(domains(), MCDParams(batch_size=20, bottleneck=8, num_k=3), "cpu", 0)
    trial.nets.train()
    trial.step(*batches(trial), 0.0)
    generator = {"bottleneck"}
    names = [(next(iter(losses)) if len(losses) == 1 else "B", parts) for losses, parts in steps]
    assert [name for name, _ in names] == ["A", "B", "C", "C", "C"]
    assert names[0][1] >= generator | {"classifier"}
    assert not names[1][1] & generator
    assert "classifier" in names[1][1]
    assert all(parts == generator for _, parts in names[2:])


def test_mcds_classifiers_part_on_the_target_and_its_generator_joins_them() -> None:
    trial = build("mcd", dropout=0.0, momentum=0.0, weight_decay=0.0, num_k=1)
    target = batches(trial)[1]

    def discrepancy() -> torch.Tensor:
        distance: torch.Tensor = trial._discrepancy(trial.forward(target).features)
        return distance

    before = discrepancy()
    trial.minimise({"B": -before}, "classifiers")
    parted = discrepancy()
    assert float(parted.detach()) > float(before.detach())
    trial.minimise({"C": parted}, "generator")
    assert float(discrepancy().detach()) < float(parted.detach())


def test_mcd_in_one_step_has_the_gradients_of_steps_b_and_c() -> None:
    trial = build("mcd", dropout=0.0, one_step=True)
    source, target = batches(trial)
    features = trial.forward_pair(source.inputs, target)[1].features
    plain = trial._discrepancy(features)
    generator = trial.network.bottleneck["linear"].weight
    classifier = trial.network.classifier.weight
    down_generator, up_classifier = torch.autograd.grad(plain, (generator, classifier))
    seen = {}

    def keep(losses: dict[str, torch.Tensor], *_: object) -> None:
        loss = losses["B and C"]
        seen["generator"], seen["classifier"] = torch.autograd.grad(loss, (generator, classifier), retain_graph=True)

    trial.minimise = keep
    trial.step(source, target, 0.0)
    torch.testing.assert_close(seen["generator"], down_generator)
    torch.testing.assert_close(seen["classifier"], -up_classifier)


# --- Wasserstein ---


def test_the_critics_weights_stay_within_the_clip_and_it_trains_n_critic_times_by_itself() -> None:
    calls = []

    class Watched(Wasserstein):
        def minimise(self, losses: Mapping[str, torch.Tensor], *optimizers: str) -> None:
            before = snapshot(self)
            super().minimise(losses, *optimizers)
            calls.append((optimizers, {name.split(".")[0] for name in moved(self, before)}))

    trial = Watched(domains(), WassersteinParams(batch_size=20, n_critic=3, clip=0.02, critic_lr=0.01), "cpu", 0)
    trial.nets.train()
    trial.step(*batches(trial), 0.5)
    assert [who for who, _ in calls] == [("critic",)] * 3 + [("network",)]
    assert [parts for _, parts in calls] == [{"critic"}] * 3 + [{"network"}]
    assert max(float(p.detach().abs().max()) for p in trial.nets["critic"].parameters()) <= 0.02
    optimizer = trial.optimizers["critic"]
    assert isinstance(optimizer, torch.optim.RMSprop)
    assert optimizer.param_groups[0]["momentum"] == 0


@pytest.mark.parametrize("schedule", ["ganin", "cosine"])
def test_the_critics_rate_is_constant_while_the_networks_decays(schedule: str) -> None:
    trial = build("wasserstein", lr_schedule=schedule, critic_lr=0.002, lr=0.01)
    rates = []
    for _ in range(10):
        trial.fit_epoch()
        rates.append([trial.optimizers[name].param_groups[0]["lr"] for name in ("critic", "network")])
    assert {critic for critic, _ in rates} == {0.002}
    assert rates[-1][1] < rates[0][1] / 3


def test_wdgrls_critic_takes_adams_steps_up_the_penalised_distance() -> None:
    wdgrl = {"gradient_penalty": 10, "critic_optimizer": "adam", "critic_lr": 1e-3}
    trial = build("wasserstein", None, **wdgrl, n_critic=1, batch_norm=False, dropout=0)
    trial.nets.double()  # where a gradient is zero, Adam's first step is that of rounding
    source, target = (Batch(batches(trial)[0].inputs.double(), batches(trial)[0].labels), batches(trial)[1].double())
    on_source, on_target = trial.forward_pair(source.inputs, target)
    critic = copy.deepcopy(trial.nets["critic"])
    adam = torch.optim.Adam(critic.parameters(), lr=1e-3)
    with trial._random_state.in_use():
        state = torch.get_rng_state()
        trial.step(source, target, 0.5)
        torch.set_rng_state(state)
        a, b = on_source.features.detach(), on_target.features.detach()
        share = torch.rand(20, 1, dtype=torch.float64)
    points = torch.cat([a, b, share * a + (1 - share) * b]).requires_grad_()
    slopes = torch.autograd.grad(critic(points).sum(), points, create_graph=True)[0].norm(dim=1)
    (critic(b).mean() - critic(a).mean() + 10 * ((slopes - 1) ** 2).mean()).backward()
    adam.step()
    for moved_by_us, expected in zip(trial.nets["critic"].parameters(), critic.parameters(), strict=True):
        torch.testing.assert_close(moved_by_us, expected)


def test_with_a_gradient_penalty_nothing_is_clipped() -> None:
    trial = build("wasserstein", gradient_penalty=10.0, clip=1e-4)
    trial.nets.train()
    trial.step(*batches(trial), 0.5)
    assert max(float(p.detach().abs().max()) for p in trial.nets["critic"].parameters()) > 0.01


# --- batch norm of two domains ---


def test_adabn_evaluates_with_the_mean_and_variance_of_the_target() -> None:
    task = domains(n=60)
    trial = build("adabn", task)  # three batches of 20 make up the target
    trial.fit_epoch()
    with torch.no_grad():
        hidden = trial.network.bottleneck["linear"](torch.from_numpy(task.target_inputs))
    norm = trial.network.bottleneck["activation"][0]
    torch.testing.assert_close(norm.running_mean, hidden.mean(dim=0), atol=1e-5, rtol=1e-5)
    assert norm.momentum == 0.1


def test_adabn_undoes_a_shift_and_a_scale_of_the_whole_target() -> None:
    plain = domains()
    moved_target = plain.target_inputs * 3 + 5
    logits = []
    for target in (plain.target_inputs, moved_target):
        trial = build("adabn", Task(plain.source, None, target, 3, epochs=3))
        for _ in range(3):
            trial.fit_epoch()
        logits.append(trial.predict(target).logits)
    np.testing.assert_allclose(logits[1], logits[0], atol=1e-3)


def test_adabn_without_batch_norm_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="adabn needs a network with batch norm"):
        build("adabn", batch_norm=False).fit_epoch()


@pytest.mark.parametrize("alpha", [0.5, 0.8, 1.0])
def test_domain_alignment_normalises_each_domain_by_its_mixture(alpha: float) -> None:
    # Carlucci 2017: source samples by moments of α q_s + (1 − α) q_t, taken here over a sample that holds the two
    # in that proportion.
    torch.manual_seed(0)
    layer = DomainAlignment(torch.nn.BatchNorm1d(3))
    layer.alpha.data.fill_(alpha)
    source, target = torch.randn(10, 3), torch.randn(10, 3) * 2 + 4
    out_source, out_target = layer(torch.cat([source, target])).detach().chunk(2)
    share = round(alpha * 10)
    mixture = torch.cat([source.repeat(share, 1), target.repeat(10 - share, 1)])
    other = torch.cat([target.repeat(share, 1), source.repeat(10 - share, 1)])
    for out, inputs, mixed in ((out_source, source, mixture), (out_target, target, other)):
        expected = (inputs - mixed.mean(0)) / (mixed.var(0, correction=0) + layer.eps).sqrt()
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_at_alpha_one_half_domain_alignment_is_batch_norm_of_both_together() -> None:
    torch.manual_seed(0)
    layer = DomainAlignment(torch.nn.BatchNorm2d(3))
    layer.alpha.data.fill_(0.5)
    both = torch.randn(8, 3, 4, 4) * 2 + 1
    torch.testing.assert_close(layer(both), torch.nn.BatchNorm2d(3)(both), atol=1e-5, rtol=1e-5)


def test_domain_alignment_keeps_exact_statistics_in_mixed_precision() -> None:
    torch.manual_seed(0)
    inputs = (torch.randn(64, 3) + 100).bfloat16()
    layer = DomainAlignment(torch.nn.BatchNorm1d(3, momentum=1.0))
    assert layer(inputs).dtype == torch.bfloat16
    torch.testing.assert_close(layer.target_mean, inputs[32:].float().mean(dim=0))


def test_alpha_is_learned_and_stays_between_one_half_and_one() -> None:
    trial = build("autodial", lr=0.1)
    for _ in range(5):
        trial.fit_epoch()
    trial.predict(trial.task.target_inputs)
    alphas = [float(p.detach()) for name, p in trial.nets.named_parameters() if name.endswith("alpha")]
    assert len(alphas) == 1
    assert 0.5 <= alphas[0] <= 1
    assert alphas[0] != 1.0


# --- the rest ---


def test_associative_draws_class_balanced_source_batches() -> None:
    task = domains()
    lopsided = np.r_[np.arange(60), np.repeat(np.arange(0, 60, 3), 8)]  # class 0 nine times as often
    seen = []

    class Watched(Associative):
        def step(self, source: Batch, target: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
            seen.append(source.labels.bincount(minlength=3).tolist())
            return super().step(source, target, progress)

    unbalanced = Task(task.source.take(lopsided), None, task.target_inputs, 3, epochs=2)
    Watched(unbalanced, AssociativeParams(batch_size=21, bottleneck=8), "cpu", 0).fit_epoch()
    assert seen
    assert all(counts == [7, 7, 7] for counts in seen)


def test_dan_matches_the_probabilities_or_the_logits() -> None:
    for outputs, seen in (("probabilities", lambda logits: softmax(logits, dim=1)), ("logits", lambda logits: logits)):
        trial = build("dan", outputs=outputs, layers="predictions", dropout=0.0, lambda_schedule="constant")
        source, target = batches(trial)
        on_source, on_target = trial.forward_pair(source.inputs, target)
        expected = mmd(seen(on_source.logits), seen(on_target.logits))
        torch.testing.assert_close(trial.losses(source, target, 0.5)["mmd_predictions"], expected)


@pytest.mark.parametrize(("name", "term"), [("dan", "mmd_features"), ("jan", "jmmd")])
def test_five_summed_kernels_weigh_five_times_their_mean(name: str, term: str) -> None:
    found = []
    for kernels in ("mean", "sum"):
        trial = build(name, kernels=kernels, dropout=0.0)
        found.append(trial.losses(*batches(trial), 0.5)[term])
    torch.testing.assert_close(found[1], 5 * found[0])


def test_jans_predictions_have_the_authors_bandwidth_where_asked() -> None:
    trial = build("jan", predictions_bandwidth=1.68, kernels="sum", estimate="unbiased", dropout=0.0)
    source, target = batches(trial)
    both = [torch.cat(layers) for layers in zip(*trial.forward_pair(source.inputs, target), strict=True)]
    _, _, features, logits = both
    expected = joint_mmd([features, softmax(logits, dim=1)], [5, 1], 20, "unbiased", True, [0.0, 1.68])
    torch.testing.assert_close(trial.losses(source, target, 0.5)["jmmd"], trial.weight(0.5) * expected)


def test_jan_a_has_an_adversary_that_climbs_what_the_network_descends(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = build("jan", adversarial=True, lambda_schedule="constant", dropout=0.0)
    chosen = [trial.network.bottleneck["linear"].weight, trial.nets["theta_features"].weight]
    network, theta = torch.autograd.grad(trial.losses(*batches(trial), 0.5)["jmmd"], chosen)
    monkeypatch.setattr("transfer_sweep.algorithms.deep.jan.reverse_gradient", lambda inputs: inputs)
    plain_network, plain_theta = torch.autograd.grad(trial.losses(*batches(trial), 0.5)["jmmd"], chosen)
    torch.testing.assert_close(network, plain_network)
    torch.testing.assert_close(theta, -plain_theta)


def test_target_only_wants_labels_and_learns_from_them_alone() -> None:
    with pytest.raises(DataError, match="target_only needs labelled target samples"):
        build("target_only")
    task = domains(shift=0.0)
    upside_down = Samples(task.target_inputs, (2 - task.source.labels).astype(np.int64))
    trial = build("target_only", Task(task.source, None, task.target_inputs, 3, 10, upside_down), dropout=0.0, lr=0.05)
    for _ in range(10):
        trial.fit_epoch()
    assert (trial.predict(task.target_inputs).logits.argmax(axis=1) == upside_down.labels).mean() > 0.9


# --- self-ensembling ---


def pictures(n: int = 40, side: int = 28) -> Task:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(2 * n, 1, side, side), dtype=np.uint8)
    labels = np.arange(n) % 10
    return Task(
        Samples(images[:n], labels), None, images[n:], 10, epochs=2, backbone="digit_network", training="scratch"
    )


def test_the_teacher_is_the_moving_average_of_the_student_and_predicts() -> None:
    trial = build("self_ensembling", pictures(), teacher=0.9)
    teacher, student = trial.nets["teacher"], trial.network
    torch.testing.assert_close(list(teacher.parameters()), list(student.parameters()))
    before = [p.detach().clone() for p in teacher.parameters()]
    trial.step(*batches(trial), 0.0)
    for old, now, follows in zip(before, student.parameters(), teacher.parameters(), strict=True):
        torch.testing.assert_close(follows.detach(), 0.9 * old + 0.1 * now.detach())
    assert all(not torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))
    expected = teacher.eval()(torch.from_numpy(trial.task.target_inputs)).logits
    np.testing.assert_allclose(trial.predict(trial.task.target_inputs).logits, expected.detach().numpy(), atol=1e-5)


def test_batch_norms_of_the_teacher_see_the_target_alone_and_those_of_the_student_one_domain_at_a_time() -> None:
    trial = build("self_ensembling", pictures(), affine_std=0.0, translation=0.0, noise=0.0)
    norms = {net: net.backbone[1][1] for net in (trial.network, trial.nets["teacher"])}
    convolution = trial.network.backbone[:1], trial.network.backbone[1][0]
    source, target = batches(trial)
    seen = {
        name: convolution[1](convolution[0](x)).mean(dim=(0, 2, 3)) for name, x in (("s", source[0]), ("t", target))
    }
    trial.losses(source, target, 0.0)
    student, teacher = (norm.running_mean for norm in norms.values())
    torch.testing.assert_close(teacher, 0.1 * seen["t"].detach(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(student, (0.09 * seen["s"] + 0.1 * seen["t"]).detach(), atol=1e-4, rtol=1e-3)


def test_augmentation_keeps_grey_levels_and_differs_between_student_and_teacher() -> None:
    trial = build("self_ensembling", pictures())
    _, target = batches(trial)
    torch.manual_seed(0)
    first, second = trial._augmented(target), trial._augmented(target)
    assert first.shape == target.shape
    assert not torch.equal(first, second)
    assert abs(float(first.mean()) - float(target.float().mean())) < 10
    plain = build("self_ensembling", pictures(), affine_std=0.0, translation=0.0, noise=0.0)
    torch.testing.assert_close(plain._augmented(target), target.float(), atol=1e-3, rtol=0)


def test_mcd_gives_published_networks_two_of_their_classifiers() -> None:
    task = pictures()
    trial = build("mcd", Task(**{**vars(task), "backbone": "mcd_network"}))
    shapes = [[p.shape for p in net.parameters()] for net in (trial.network.classifier, trial.nets["second"])]
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) > 2
    before = snapshot(trial)
    trial.fit_epoch()
    assert moved(trial, before) == set(before)


# --- stages, few labels ---


def with_few(task: Task, per_class: int = 2, n_classes: int = 3) -> Task:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(n_classes), per_class).astype(np.int64)
    inputs = (rng.normal(size=(len(labels), 6)) + 3 * np.eye(6)[labels] + 2).astype(np.float32)
    return dataclasses.replace(task, target_labelled=Samples(inputs, labels))


def in_second_stage(name: str, task: Task | None = None, **params: Any) -> Any:
    trial = build(name, task or with_few(domains()), **params)
    while not trial.second:
        trial.fit_epoch()
    return trial


def test_domain_confusion_starts_as_source_only_and_leaves_the_domain_classifier_alone() -> None:
    trial = build("domain_confusion", with_few(domains()), first_share=0.5)
    before = snapshot(trial)
    losses = trial.step(*batches(trial), 0.0)
    assert set(losses) == {"classification"}
    assert {name.split(".")[0] for name in moved(trial, before)} == {"network"}


def test_domain_confusion_moves_the_classifier_by_its_loss_and_the_network_by_the_other_three() -> None:
    trial = in_second_stage("domain_confusion", dropout=0.0, trade_off=0.5, soft_labels=0.2, weight_decay=0.0)
    source, target = batches(trial)
    with torch.no_grad():  # batch norm as in the step; statistics do not matter to it
        features = torch.cat([out.features for out in trial.forward_pair(source.inputs, target)])
    discriminator = trial.nets["discriminator"]
    weight = discriminator[0].weight.detach().clone()
    domain = torch.cat([torch.ones(20), torch.zeros(20)])
    logits = discriminator(features)
    (gradient,) = torch.autograd.grad(binary_cross_entropy_with_logits(logits, domain), discriminator[0].weight)
    trial.start_optimizers()  # without momentum
    trial._set_learning_rate(0.0)
    losses = trial.step(source, target, 0.0)
    assert set(losses) == {"classification", "confusion", "target_classification", "soft_labels", "domain"}
    torch.testing.assert_close(discriminator[0].weight.detach(), weight - 0.01 * gradient)
    assert losses["domain"].item() == pytest.approx(binary_cross_entropy_with_logits(logits, domain).item(), abs=1e-6)
    # The confusion is of the classifier after its step, λ times.
    after = discriminator(features)
    assert losses["confusion"].item() == pytest.approx(
        0.5 * binary_cross_entropy_with_logits(after, torch.full((40,), 0.5)).item(), abs=1e-6
    )


def test_soft_labels_come_from_the_source_network_and_are_kept_in_a_checkpoint() -> None:
    trial = in_second_stage("domain_confusion", lr=0.1, first_share=0.8)
    soft = trial._soft_labels
    assert soft.shape == (3, 3)
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(3))
    assert soft.argmax(dim=1).tolist() == [0, 1, 2]  # classes are well apart
    again = build("domain_confusion", with_few(domains()))
    again.load_state_dict(trial.state_dict())
    assert again.second
    torch.testing.assert_close(again._soft_labels, soft)


def test_without_target_labels_domain_confusion_is_confusion_alone() -> None:
    trial = in_second_stage("domain_confusion", domains())
    assert set(trial.step(*batches(trial), 0.5)) == {"classification", "confusion", "domain"}


def test_fine_tuning_learns_the_source_first_and_then_nothing_but_the_few_target_samples() -> None:
    task = with_few(domains())
    trial = build("fine_tune", task, first_share=0.5)
    seen: list[tuple[Batch, float]] = []

    def step(source: Batch, _: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
        seen.append((source, progress))
        return {"l": torch.zeros(())}

    trial.step = step
    for _ in range(10):
        trial.fit_epoch()
    source, few = (set(map(tuple, part.inputs.tolist())) for part in (task.source, task.samples("target_labelled")))
    half = len(seen) // 2
    for half_seen, expected in ((seen[:half], source), (seen[half:], few)):
        assert {tuple(row) for batch, _ in half_seen for row in batch.inputs.tolist()} == expected
        progress = [p for _, p in half_seen]  # schedules start anew
        assert progress[0] == 0.0
        assert progress == sorted(progress)
        assert progress[-1] < 1


@pytest.mark.parametrize("frozen", [0, 1, 99])
def test_frozen_blocks_stay_as_they_are_and_the_last_layer_always_learns(frozen: int) -> None:
    trial = build("fine_tune", with_few(domains()), frozen_blocks=frozen, first_share=0.5)
    for _ in range(5):
        trial.fit_epoch()
    before, buffers = snapshot(trial), {n: b.clone() for n, b in trial.nets.named_buffers()}
    for _ in range(5):
        trial.fit_epoch()
    parts = {name.split(".")[1] for name in moved(trial, before)}
    assert parts == ({"bottleneck", "classifier"} if not frozen else {"classifier"})
    same_statistics = all(torch.equal(b, buffers[n]) for n, b in trial.nets.named_buffers())
    assert same_statistics == bool(frozen)


def test_rates_decay_by_block_from_the_output_down() -> None:
    trial = in_second_stage(
        "fine_tune", block_decay=0.5, tuning_lr=0.1, first_share=0.1
    )  # fmt: skip
    rates = {
        name: group["multiplier"]
        for group in trial.optimizers["all"].param_groups
        for name, parameter in trial.nets.named_parameters()
        for held in group["params"]
        if held is parameter
    }
    assert {name: rate for name, rate in rates.items() if name.endswith("weight")} == {
        "network.bottleneck.linear.weight": pytest.approx(0.05),
        "network.bottleneck.activation.0.weight": pytest.approx(0.05),
        "network.classifier.weight": pytest.approx(0.1),
    }


def test_fine_tuning_without_target_labels_is_refused() -> None:
    with pytest.raises(DataError, match="labelled target samples"):
        in_second_stage("fine_tune", domains())


# --- transferability ---


def bright_halves(seed: int, n: int = 40) -> Samples:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 90, (n, 1, 28, 28)) + 150 * (np.arange(28) // 14 == labels[:, None])[:, None, None]
    return Samples(images.astype(np.uint8), labels.astype(np.int64))


def transfer(seed: int = 0, **params: Any) -> Any:
    a, b = bright_halves(1), bright_halves(2)
    task = Task(a, None, b.inputs, 2, 2, target_labelled=b, backbone="small_cnn", training="scratch")
    return Transferability(task, TransferabilityParams(batch_size=20, bottleneck=8, **params), "cpu", seed)


def trained(**params: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    trial = transfer(**params)
    for _ in range(trial.first_epochs):
        trial.fit_epoch()
    base = snapshot(trial)
    trial.fit_epoch()
    return trial, base


def of_layers(trial: Any, n: int) -> set[str]:
    chosen = {id(p) for block in blocks(trial.network, "small_cnn")[:n] for m in block for p in m.parameters()}
    return {name for name, parameter in trial.nets.named_parameters() if id(parameter) in chosen}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("base", ["source", "target"])
def test_the_first_n_layers_are_those_of_the_base_and_the_others_are_not(n: int, base: str) -> None:
    trial, of_base = trained(layers=n, base=base)
    assert moved(trial, of_base) == {name for name, _ in trial.nets.named_parameters()} - of_layers(trial, n)
    plus, of_same = trained(layers=n, base=base, fine_tune=True)
    assert all(torch.equal(of_base[name], of_same[name]) for name in of_base)
    assert of_layers(plus, n) <= moved(plus, of_same)


def test_the_base_is_the_same_for_every_n_and_differs_between_a_and_b() -> None:
    (_, one), (_, three), (_, other) = trained(layers=1), trained(layers=3), trained(layers=1, base="target")
    assert all(torch.equal(one[name], three[name]) for name in one)
    assert not torch.equal(one["network.classifier.weight"], other["network.classifier.weight"])


def test_new_layers_start_alike_whatever_is_copied() -> None:
    starts = []
    for n in (1, 2):
        trial = transfer(layers=n)
        trial.fit_epoch()
        trial._start_second_stage()
        starts.append(trial.network.classifier.weight.detach().clone())
    torch.testing.assert_close(*starts)
    # Nor are they what the base of another seed starts from.
    assert not torch.equal(starts[0], transfer(seed=1, layers=1).network.classifier.weight)


def test_without_copied_layers_there_is_no_base_and_b_gets_the_same_epochs() -> None:
    for layers, epochs in ((0, 6), (1, 10), (4, 10)):
        assert Transferability.budget(TransferabilityParams(layers=layers, first_share=0.4), 10) == epochs
    trial = transfer(layers=0)
    assert trial.second
    assert trial.frozen == []


def test_more_layers_than_there_are_below_the_last_cannot_be_copied() -> None:
    with pytest.raises(TrainingError, match="up to 3 can be copied, not 4"):
        trained(layers=4)


def test_a_pretrained_backbone_is_frozen_by_stages_and_tuned_at_rates_that_decay_with_depth() -> None:
    rng = np.random.default_rng(0)
    samples = Samples(rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8), np.array([0, 1, 0, 1]))
    pretrained = build_backbone("resnet18").get_submodule("1").state_dict()
    task = Task(
        samples, None, samples.inputs, 2, 2,
        target_labelled=samples, backbone="resnet18", training="finetune", pretrained=pretrained,
    )  # fmt: skip
    params = FineTuneParams(batch_size=4, bottleneck=8, first_share=0, frozen_blocks=3, block_decay=0.5)
    trial = FineTune(task, params, "cpu", 0)
    trial.fit_epoch()
    trunk = trial.network.get_submodule("backbone.1").state_dict()
    kept = {name.split(".")[0] for name in trunk if torch.equal(trunk[name], pretrained[name])}
    changed = {name.split(".")[0] for name in trunk if not torch.equal(trunk[name], pretrained[name])}
    assert kept == {"conv1", "bn1", "layer1", "layer2"}  # statistics too
    assert changed == {"layer3", "layer4"}
    multipliers = [group["multiplier"] for group in trial.optimizers["all"].param_groups]
    # layer3, layer4, both parts of the bottleneck, classifier; the backbone at a tenth
    assert multipliers == pytest.approx([0.1 / 8, 0.1 / 4, 1 / 2, 1 / 2, 1.0])
