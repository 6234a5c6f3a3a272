"""What a report is made of. :mod:`transfer_sweep.reports.report` says it once, each form of a report renders it.

Texts hold light markdown (``**bold**``, backticks); nothing in them is trusted as HTML or LaTeX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is an experiment's."""

    level: int
    text: str


@dataclass(frozen=True)
class Items:
    """A line and the list that it introduces."""

    intro: str
    texts: Sequence[str]


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than its text.

    Attributes:
        text: what is printed.
        place: 1 for the best of its column, 2 for the second best, 0 for the others.
        value: the number that it stands for; NaN where there is none.
        details: lines that a page shows on demand.
    """

    text: str
    place: int = 0
    value: float = math.nan
    details: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """Rows of text under headers.

    Attributes:
        caption: one line, said above the table.
        headers: of the columns.
        rows: as many cells each.
        align: ``l`` or ``r`` for each column.
        notes: lines said below it.
        shaded: whether a page may shade cells by their values.
        total: whether the last row sums up the others.
    """

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    align: str
    notes: Sequence[str] = ()
    shaded: bool = False
    total: bool = False

    @property
    def ranked(self) -> bool:
        """Whether best and second best are marked."""
        return any(isinstance(cell, Cell) and cell.place for row in self.rows for cell in row)


@dataclass(frozen=True)
class Variants:
    """The same table by each way of choosing trials. A page lets the reader switch; paper has some of them.

    Attributes:
        names: the ways of choosing; the first is the experiment's own.
        printed: those whose tables stand on paper.
        make: gives the table of one; None where there is nothing to show.
    """

    names: Sequence[str]
    printed: Sequence[str]
    make: Callable[[str], Table | None]

    def on_paper(self) -> Iterator[Table]:
        """The tables that stand on paper."""
        yield from filter(None, map(self.make, self.printed))


@dataclass(frozen=True)
class Drawing:
    """A figure, drawn where a form of the report can show it.

    Attributes:
        name: of its file.
        caption: one line.
        description: what a reader who cannot see it should know.
        draw: makes it.
        on_page: whether a page shows it, too (it may have the same as a shaded table).
    """

    name: str
    caption: str
    description: str
    draw: Callable[[], Figure]
    on_page: bool = True


@dataclass(frozen=True)
class Fold:
    """What a page shows when its title is opened; paper has it all.

    Attributes:
        title: one line.
        blocks: what is inside.
    """

    title: str
    blocks: Sequence[Table | Variants]


Block = Heading | str | Table | Items | Variants | Drawing | Fold


def text_of(cell: Cell | str) -> str:
    """What is printed in a cell."""
    return cell.text if isinstance(cell, Cell) else cell


def alignment(table: Table) -> tuple[str, ...]:
    """The columns' alignment in words."""
    return tuple("right" if letter == "r" else "left" for letter in table.align)
