"""Finds the sections of a report: each module of this package that says where its ``PLACE`` is.

A section is added by a file alone::

    PLACE = Place(Part.BACKGROUND, 35)

    def blocks(context: Context) -> Iterator[Block]:
        yield Heading(2, "…")
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol, cast

from transfer_sweep.reports import sections
from transfer_sweep.reports.document.elements import Block
from transfer_sweep.reports.sections.context import Context


class Part(IntEnum):
    """The parts of a report, in this order."""

    OPENING = 1
    """What the experiment is, how far it is, and what came out."""
    RESULTS = 2
    """What the methods reach; once for each group of numbers that may share a table."""
    BACKGROUND = 3
    """How the numbers came about, and what stands behind them."""
    CLOSING = 4
    """What it took."""


class Place(NamedTuple):
    """Where a section stands: its part, and a number that is larger than those of the sections before it."""

    part: Part
    number: int


class Section(Protocol):
    """One topic: its prose, tables and figures.

    Attributes:
        PLACE: where it stands.
    """

    PLACE: Place

    def blocks(self, context: Context) -> Iterator[Block]:
        """What there is to say; nothing where the experiment has nothing on the topic."""


def find() -> list[Section]:
    """The sections in the order of the report."""
    modules = [
        importlib.import_module(f"{sections.__name__}.{m.name}") for m in pkgutil.iter_modules(sections.__path__)
    ]
    found = [cast(Section, module) for module in modules if hasattr(module, "PLACE")]
    return sorted(found, key=lambda section: section.PLACE)
