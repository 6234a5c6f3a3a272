"""What batches of a deep method are drawn from: arrays on a device, and the order of their rows."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transfer_sweep.datasets.base import Samples


@dataclass(frozen=True)
class LabelledArray:
    """Labelled samples on a device: all rows of an array, or some of one that trials share.

    Attributes:
        inputs: (m, …).
        rows: (n,) int64, the samples' places in ``inputs``; None: all of them, in order.
        labels: (n,) int64.
    """

    inputs: Tensor
    rows: Tensor | None
    labels: Tensor

    @classmethod
    def of(cls, samples: Samples, device: str) -> LabelledArray:
        """The samples on a device; on CPU without copying their inputs."""
        inputs, rows = samples.rows()
        held = None if rows is None else on_device(np.asarray(rows, np.int64), device)
        return cls(on_device(inputs, device), held, on_device(samples.labels, device))

    def __len__(self) -> int:
        return len(self.labels)

    def places(self, chosen: Tensor) -> Tensor:
        """Rows of ``inputs`` that hold the chosen samples (k,)."""
        return chosen if self.rows is None else self.rows[chosen]


def on_device(array: NDArray[Any], device: str) -> Tensor:
    """An array as a tensor; on CPU without copying it. Nothing writes to it."""
    with warnings.catch_warnings():
        # Ray's object store hands out read-only arrays, and torch has no read-only tensors to warn about less.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(array)).to(device)


def shuffled(n: int, length: int) -> Tensor:
    """``length`` row numbers of n samples: permutations, one after another."""
    return torch.cat([torch.randperm(n) for _ in range(math.ceil(length / n))])[:length]


def class_balanced(labels: Tensor, length: int) -> Tensor:
    """``length`` row numbers in which every run of K holds each of the K classes present once.

    Args:
        labels: (n,), on the CPU.
        length: how many.
    """
    classes: Tensor = torch.unique(labels)
    order = classes[shuffled(len(classes), length)]
    rows = torch.empty(length, dtype=torch.long)
    for label in classes:
        places = (order == label).nonzero().squeeze(1)
        members = (labels == label).nonzero().squeeze(1)
        if len(places):
            rows[places] = members[shuffled(len(members), len(places))]
    return rows
