"""A GPU that trials share: what a trial takes of its memory, measured; the share that gives it; the cap that keeps it.

A share is 1/k of a GPU. It is to hold the CUDA context of a trial's process, which no cap covers, and what torch's
allocator takes, which is capped; so a trial that takes more ends, out of memory, and harms no other.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

HEADROOM = 1.2  # × the measured peak: later batches and other params may take more
CONTEXT = 512 * 2**20  # bytes of a CUDA context, until one is measured
CONTEXT_AT_MOST = 2**30  # whatever else lies on the GPU is another program's
FINEST = 16  # trials on a GPU at most: they share its cores and the host's too
STEPS = 3  # that are measured; optimizers make their state in the first


class Memory:
    """The memory of the GPU that this process sees, in bytes. Nothing else asks torch for it; tests hand in another."""

    def there(self) -> bool:
        """Whether there is one."""
        return torch.cuda.is_available()

    def device(self) -> str:
        """Where a trial with a share of a GPU computes."""
        return "cuda" if self.there() else "cpu"

    def total(self) -> int:
        """Of the GPU."""
        return int(torch.cuda.get_device_properties(0).total_memory)

    def reset_peak(self) -> None:
        """Begin to measure :meth:`peak`."""
        self.release()
        torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        """The most that the allocator held since :meth:`reset_peak`."""
        return int(torch.cuda.max_memory_reserved())

    def context(self) -> int:
        """What is taken beside the allocator: by this process's context, and by other processes."""
        free, total = torch.cuda.mem_get_info()
        return int(total - free - torch.cuda.memory_reserved())

    def cap(self, fraction: float) -> None:
        """Let the allocator take no more than this fraction of the GPU."""
        torch.cuda.set_per_process_memory_fraction(fraction)

    def release(self) -> None:
        """Give back what the allocator keeps for later."""
        if torch.cuda.is_initialized():
            gc.collect()
            torch.cuda.empty_cache()


@dataclass(frozen=True)
class Footprint:
    """What a kind of trial takes of a GPU, in bytes.

    Attributes:
        peak: of the allocator.
        context: of the process beside it.
        total: memory of the GPU.
    """

    peak: int
    context: int
    total: int

    @property
    def share(self) -> float:
        """The smallest 1/k that holds it; 1 where not even the whole GPU may."""
        needed = (HEADROOM * self.peak + self.context) / self.total
        return one_of(min(FINEST, max(1, math.floor(1 / needed)) if needed else FINEST))


def one_of(k: int) -> float:
    """1/k as Ray counts it, in ten-thousandths, rounded down so that k of them fit."""
    return math.floor(10_000 / k) / 10_000


def allowance(share: float, context: int, total: int) -> float:
    """The fraction of a GPU's memory that the allocator of a trial may take: its share less the context."""
    return max(0.0, share - context / total)


def measure(build: Callable[[str], tuple[Any, Any]], memory: Memory) -> Footprint:
    """What a trial takes: its model is built, trained for a few steps of each stage and scored as at the end.

    A trial that cannot even do that takes the whole GPU, where its failure is recorded as any other.

    Args:
        build: device → model, and what scores it.
        memory: of a GPU on which nothing else runs.
    """
    memory.reset_peak()
    try:
        model, scoring = build(memory.device())
        model.shorten_epoch(STEPS)
        model.fit_epoch()
        if model.skip_to_last_stage():
            model.fit_epoch()
        scoring(model, all_criteria=True)
        peak = memory.peak()
    except Exception:  # whatever it is, the trial itself will meet it, and say so
        peak = memory.total()
    return Footprint(peak, min(max(0, memory.context()), CONTEXT_AT_MOST), memory.total())


def is_out_of_memory(error: Exception) -> bool:
    """Whether a GPU's memory was too small; libraries below torch say so in words of their own."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error) for text in ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC")
    )
