"""Shares of a GPU: how small, how capped, how remembered. Ray's logical GPU and a made-up memory stand in for one."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.whole_run import read, run
from transfer_sweep.reports.ledger.ledger import FILE, Ledger
from transfer_sweep.reports.ledger.records import Trial, TrialState
from transfer_sweep.sweep.config import loader
from transfer_sweep.sweep.config.schema import Resources
from transfer_sweep.sweep.errors import SweepError
from transfer_sweep.sweep.planning import trials as plan
from transfer_sweep.sweep.planning.profiles import choose_profile
from transfer_sweep.sweep.resources import gpu_memory as gpu
from transfer_sweep.sweep.resources import shares as resources
from transfer_sweep.sweep.resources.gpu_memory import Footprint

GIB = 2**30
EXPERIMENT = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 40, test: 20}
pairs: [rendered-photo]
protocol: {backbone: small_cnn, training: scratch}
epochs: 2
methods:
  mcc: {batch_size: 20}
  source_only: {batch_size: [10, 20], lr: [0.001, 0.01]}
  nearest_neighbor: {}
"""


class Made(gpu.Memory):
    """A memory of 16 GiB, of which a trial takes ``peak``."""

    def __init__(self, peak: int = GIB, context: int = 0) -> None:
        self._peak, self._context = peak, context

    def there(self) -> bool:
        return True

    def device(self) -> str:
        return "cpu"

    def total(self) -> int:
        return 16 * GIB

    def reset_peak(self) -> None:
        pass

    def peak(self) -> int:
        return self._peak

    def context(self) -> int:
        return self._context


def test_the_share_is_the_largest_k_that_holds_peak_headroom_and_context() -> None:
    # (1.2 · 4 + 0.5) / 16 = 0.331: three of them fit; with 0.6 GiB of context 0.3375, two.
    assert Footprint(4 * GIB, GIB // 2, 16 * GIB).share == 0.3333
    assert Footprint(4 * GIB, 6 * GIB // 10, 16 * GIB).share == 0.5
    assert Footprint(14 * GIB, 0, 16 * GIB).share == 1
    assert Footprint(16 * GIB, GIB, 16 * GIB).share == 1
    assert Footprint(0, GIB // 100, 16 * GIB).share == gpu.one_of(gpu.FINEST)


@given(st.integers(0, 20 * GIB), st.integers(0, GIB), st.integers(1, 96))
def test_shares_hold_what_was_measured_and_their_caps_leave_room_for_the_contexts(
    peak: int, context: int, size: int
) -> None:
    total = size * GIB
    share = Footprint(peak, context, total).share
    k = round(1 / share)
    assert round(share * 10_000) * k <= 10_000  # Ray counts resources in ten-thousandths
    cap = gpu.allowance(share, context, total)
    assert k * (cap * total + context) <= total * (1 + 1e-9) or cap == 0
    if share < 1:
        assert cap * total >= peak * (1 - 1e-3)


@pytest.mark.parametrize("stages", [1, 2])
def test_a_trial_is_measured_while_it_trains_in_each_stage_and_is_scored(stages: int) -> None:
    done: list[Any] = []
    model = SimpleNamespace(
        shorten_epoch=done.append, fit_epoch=lambda: done.append("fit"), skip_to_last_stage=lambda: stages > 1
    )

    def build(device: str) -> tuple[Any, Any]:
        done.append(device)
        return model, lambda _, all_criteria: done.append(all_criteria)

    assert gpu.measure(build, Made(GIB, 3 * GIB)) == Footprint(GIB, gpu.CONTEXT_AT_MOST, 16 * GIB)
    assert done == ["cpu", gpu.STEPS, *["fit"] * stages, True]


def test_a_trial_that_cannot_be_measured_takes_a_whole_gpu() -> None:
    def build(device: str) -> tuple[Any, Any]:
        raise torch.OutOfMemoryError(f"too large for {device}")

    assert gpu.measure(build, Made()).share == 1


def test_errors_of_libraries_below_torch_are_out_of_memory_too() -> None:
    assert gpu.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert gpu.is_out_of_memory(
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    )
    assert not gpu.is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
    assert not gpu.is_out_of_memory(ValueError("CUDA error: out of memory"))


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, list[Trial]]:
    """Trials by method."""
    (tmp_path / "small.yaml").write_text(EXPERIMENT)
    found: dict[str, list[Trial]] = {}
    for row in plan.search(loader.load(str(tmp_path / "small.yaml"))):
        found.setdefault(row.method, []).append(row)
    return found


def _of_size(rows: list[Trial], size: int) -> list[Trial]:
    return [row for row in rows if row.params["batch_size"] == size]


def test_shares_are_measured_once_for_method_backbone_and_batch_size(rows: dict[str, list[Trial]]) -> None:
    shares = resources.Shares(Resources(), gpus=1)
    (small, other), (large, _) = _of_size(rows["source_only"], 10), _of_size(rows["source_only"], 20)
    assert shares.unmeasured(small, ["H100"], 100) == ["H100"]
    assert shares.of(small) == (1, 1)  # a whole one until then
    shares.learn(small, "H100", Footprint(GIB, 0, 16 * GIB), 100)
    assert shares.unmeasured(other, ["H100"], 100) == []
    assert shares.of(other) == (1, gpu.one_of(13))
    assert shares.unmeasured(large, ["H100"], 100) == ["H100"]
    assert shares.unmeasured(rows["mcc"][0], ["H100"], 100) == ["H100"]
    assert shares.unmeasured(small, ["H100"], 101) == ["H100"]  # a larger pair
    assert shares.unmeasured(small, ["H100", "A10G"], 100) == ["A10G"]
    shares.learn(small, "A10G", Footprint(GIB, 0, 4 * GIB), 100)
    assert shares.of(small) == (1, gpu.one_of(3))  # wherever it comes to run
    assert shares.of(rows["nearest_neighbor"][0]) == (1, 0)
    assert shares.unmeasured(rows["nearest_neighbor"][0], ["H100"], 100) == []


def test_what_ran_out_of_memory_takes_twice_the_share_in_later_runs_too(
    rows: dict[str, list[Trial]], tmp_path: Path
) -> None:
    small, other = _of_size(rows["source_only"], 10)
    with Ledger(tmp_path / FILE, write=True) as ledger:
        ledger.set_plan([small, other])
        shares = resources.Shares(Resources(), 1, ledger)
        shares.learn(small, "H100", Footprint(GIB, 0, 16 * GIB), 100)
        shares.ran_out(small, gpu.one_of(13))
        shares.remember(ledger)
        again = resources.Shares(Resources(), 1, ledger)
        assert again.of(small) == again.of(other) == (1, 2 * gpu.one_of(13))
        again.learn(small, "H100", Footprint(GIB, 0, 16 * GIB), 200)  # measured anew, no smaller
        assert again.of(other) == (1, 2 * gpu.one_of(13))
        # Shares given by hand are doubled for the trial alone.
        ledger.start(small.id, {"cpu": 1, "gpu": 0.25})
        ledger.finish(small.id, TrialState.OOM, "CUDA out of memory")
        by_hand = resources.Shares(Resources(gpu=0.25), 1, ledger)
        assert by_hand.of(small) == (1, 0.5)
        assert by_hand.of(other) == (1, 0.25)
        ledger.start(small.id, {"cpu": 1, "gpu": 1})
        ledger.finish(small.id, TrialState.OOM, "CUDA out of memory")
        assert resources.Shares(Resources(gpu=0.25), 1, ledger).of(small) == (1, 1)


def test_without_a_gpu_auto_takes_none_and_a_share_by_hand_is_refused(rows: dict[str, list[Trial]]) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0}}]
    (row,) = rows["mcc"]
    assert resources.Shares(Resources(), gpus=0).of(row) == (1, 0)
    by_hand = resources.Shares(Resources(gpu=0.25), gpus=0)
    with pytest.raises(SweepError, match=r"gpu 0\.25.*largest node has cpu 4 and gpu 0"):
        resources.check({by_hand.of(row)}, nodes)
    resources.check({by_hand.of(rows["nearest_neighbor"][0])}, nodes)
    assert resources.Shares(Resources(gpu=0), gpus=1).of(row) == (1, 0)


def test_models_of_gpu_are_those_of_living_nodes() -> None:
    def node(alive: bool = True, **found: float) -> dict[str, Any]:
        return {"Alive": alive, "Resources": found}

    nodes = [
        node(CPU=2),
        node(CPU=2, GPU=1, **{"accelerator_type:H100": 1}),
        node(CPU=2, GPU=4, **{"accelerator_type:A10G": 1}),
        node(alive=False, GPU=1, **{"accelerator_type:T4": 1}),
    ]
    assert resources.models(nodes) == ["A10G", "H100"]
    assert resources.models([node(GPU=1)]) == [resources.UNNAMED]
    assert resources.models([node(CPU=8)]) == []


PROFILES = """\
protocol: {backbone: resnet18, training: finetune, weights: here.safetensors}
profiles:
  cpu: {protocol: {backbone: small_cnn, training: scratch}}
  gpu: {epochs: 20}
"""


def test_the_gpu_profile_wants_a_gpu_and_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.yaml").write_text(
        EXPERIMENT.replace("protocol: {backbone: small_cnn, training: scratch}\n", PROFILES).replace(
            "channels: 1, ", ""
        )
    )
    monkeypatch.chdir(tmp_path)

    def chosen(asked: str | None = None, there: bool = True) -> tuple[str, str]:
        return choose_profile("small.yaml", asked, tmp_path, lambda: there)

    assert chosen() == ("cpu", "there is a GPU, but no weights at here.safetensors")
    safetensors.torch.save_file({"fc.bias": torch.zeros(3)}, "here.safetensors")
    assert chosen() == ("gpu", "there is a GPU")
    assert chosen(there=False) == ("cpu", "there is no GPU")
    assert chosen("gpu", there=False) == ("gpu", "asked for")
    with Ledger(tmp_path / "small" / FILE, write=True) as ledger:
        ledger.set_meta("profile", "cpu")
    assert chosen() == ("cpu", "as the first run had it")


# A GPU that Ray counts and nobody has. Less than 0.2 of it is too little for any trial; mcc breaks its process, as an
# error of CUDA does.
LOGICAL_GPU = """
import functools, pathlib, ray, torch
from transfer_sweep.sweep.resources import gpu_memory as gpu
from transfer_sweep.sweep.engine import trainable, tuner
class Made(gpu.Memory):
    def there(self): return True
    def device(self): return "cpu"
    def total(self): return 16 * 2**30
    def reset_peak(self): pass
    def peak(self): return 2**30
    def context(self): return 0
    def cap(self, fraction):
        if fraction < 0.2: raise torch.OutOfMemoryError(f"CUDA out of memory: {fraction} of it is too little")
class Breaks(trainable.TransferTrial):
    def step(self):
        with open(os.environ["STEPS"], "a") as file: print(self._spec.trial.method, os.getpid(), file=file)
        return super().step()
    def _one_epoch(self):
        if self._spec.trial.method == "mcc": raise RuntimeError("CUDA error: device-side assert triggered")
        return super()._one_epoch()
gpu.Memory, tuner.TransferTrial = Made, Breaks
ray.init = functools.partial(ray.init, num_gpus=1)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_shares_grow_until_they_are_enough_and_a_broken_process_is_not_used_again(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(EXPERIMENT)
    steps = tmp_path / "steps"
    ended = run(tmp_path, prelude=LOGICAL_GPU, STEPS=str(steps))
    assert ended.returncode == 1, ended.stderr
    trials, _ = read(tmp_path)
    states = trials.groupby("method")["state"].agg(set).to_dict()
    assert states == {"mcc": {"failed"}, "source_only": {"done"}, "nearest_neighbor": {"done"}}
    taken = {(row["method"], json.loads(row["resources"])["gpu"]) for row in trials.to_dict("records")}
    enough = 4 * gpu.one_of(13)
    assert taken == {("mcc", enough), ("source_only", enough), ("nearest_neighbor", 0.0)}
    with Ledger(tmp_path / "small" / FILE) as ledger:
        known = ledger.meta("gpu_memory")
    assert {need["share"] for own in known.values() for need in own.values()} == {enough}
    assert len(known) == 3  # mcc; source_only of two batch sizes
    pids = [line.split() for line in steps.read_text().splitlines()]
    for i, (method, pid) in enumerate(pids):
        if method == "mcc":  # several steps of it would be several attempts
            assert pid not in [other for _, other in pids[i + 1 :]]
