"""What a reader sees of a report's tables."""

from __future__ import annotations

from transfer_sweep.reports.document.elements import Cell, Table, text_of
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.sections.context import Context, Group


def shown(cell: Cell | str) -> str:
    """A cell's text; the best of its column between stars, the second between underscores."""
    marks = {0: "", 1: "**", 2: "_"}[cell.place if isinstance(cell, Cell) else 0]
    return f"{marks}{text_of(cell)}{marks}"


def row(table: Table, first: str) -> list[str]:
    """The row that begins with ``first``."""
    (found,) = ([shown(cell) for cell in row] for row in table.rows if row[0] == first)
    return found


def column(table: Table, header: str) -> list[str]:
    """The column under a header."""
    return [text_of(row[list(table.headers).index(header)]) for row in table.rows]


def only_group(results: Results) -> Group:
    """The group of an experiment that has one."""
    (group,) = Context.of(results).groups
    return group
