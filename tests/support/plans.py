"""Planned trials, for tests of what is done with them."""

from __future__ import annotations

from typing import Any

from transfer_sweep.reports.ledger.records import Cell, Pair, Protocol, Role, Trial


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
