"""What calls of the command line give."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Said(NamedTuple):
    """How a call ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


CommandLine = Callable[..., Said]
"""Calls ``sweep`` with its arguments, in this process."""


def assert_refused(said: Said, *parts: str) -> None:
    """A call was refused: exit code 2, nothing on stdout, one line on stderr that has these parts."""
    assert said.code == 2, said.err
    assert not said.out
    (line,) = said.err.strip().splitlines()
    for part in parts:
        assert part in line
