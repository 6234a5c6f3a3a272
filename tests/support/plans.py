"""Planned trials, for tests of what is done with them."""

from __future__ import annotations

from typing import Any

from transfer_sweep.reports.ledger.records import Cell, Pair, Protocol, Role, Trial
from transfer_sweep.sweep.config.schema import EarlyStopping

STOPPING = EarlyStopping(grace=1 / 3, reduction=3)
"""Rungs at a third of the budget, which one in three survives."""


def trial(
    key: str,
    method: str = "dann",
    source: str = "a",
    target: str = "b",
    params: dict[str, Any] | None = None,
    protocol: str = "{}",
    seed: int = 0,
    budget: int = 30,
    role: Role = "search",
    dataset: str = "d",
) -> Trial:
    """A trial with this id."""
    cell = Cell(dataset, method, Pair(source, target), Protocol.decode(protocol))
    return Trial(key, role, cell, params or {}, seed, budget)


def numbered(i: int, source: str = "a", budget: int = 30, role: Role = "search") -> Trial:
    """The trial ``a0``, ``a1`` … of the cell of a source."""
    return trial(f"{source}{i}", source=source, params={"i": i}, budget=budget, role=role)
