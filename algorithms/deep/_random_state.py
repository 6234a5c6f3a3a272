"""The random numbers of a trial, apart from those of its process.

Trials share a process one after another; none may depend on what ran before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class RandomState:
    """Where a trial is in its random numbers, on the CPU and on its GPU.

    Args:
        seed: where it starts.
        device: that it draws on besides the CPU.
    """

    def __init__(self, seed: int, device: str) -> None:
        self._seed = seed
        self._device = torch.device(device)
        self._state: dict[str, Tensor] = {}

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Draw from this state, and leave the process's as it was."""
        gpus = []
        if self._device.type == "cuda":
            gpus = [torch.cuda.current_device() if self._device.index is None else self._device.index]
        with torch.random.fork_rng(devices=gpus):
            if not self._state:
                torch.default_generator.manual_seed(self._seed)
                for index in gpus:
                    torch.cuda.default_generators[index].manual_seed(self._seed)
            else:
                torch.set_rng_state(self._state["cpu"])
                for index in gpus:
                    if "cuda" in self._state:
                        torch.cuda.set_rng_state(self._state["cuda"], index)
            yield
            self._state = {"cpu": torch.get_rng_state()}
            for index in gpus:
                self._state["cuda"] = torch.cuda.get_rng_state(index)

    def state_dict(self) -> dict[str, Tensor]:
        """The generators' states, on the CPU: ``cpu`` and, with a GPU, ``cuda``."""
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        self._state = {name: value.clone() for name, value in state.items()}
