"""The memory of a GPU: what a trial takes, measured, and the share that holds it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfer_sweep.sweep.resources import gpu_memory as gpu
from transfer_sweep.sweep.resources.gpu_memory import Footprint

GIB = 2**30


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
