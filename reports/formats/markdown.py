"""A report as markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tabulate import tabulate

from transfer_sweep.reports.document.elements import (
    Block,
    Cell,
    Drawing,
    Fold,
    Heading,
    Items,
    Table,
    Variants,
    alignment,
    text_of,
)

_MARKS = {0: "{}", 1: "**{}**", 2: "_{}_"}
_LEGEND = "The best of each column is bold, the second best is italic."


def render(blocks: Iterable[Block], place: Callable[[Drawing], str] | None = None) -> str:
    """The text of a report.

    Args:
        blocks: what it says.
        place: draws a figure and gives the path that the text links; None leaves figures out.
    """
    return "\n\n".join(text for block in blocks for text in _block(block, place)) + "\n"


def _block(block: Block, place: Callable[[Drawing], str] | None) -> Iterator[str]:
    match block:
        case Heading(level, text):
            yield f"{'#' * level} {text}"
        case Items():
            yield f"{block.intro}\n\n" + "\n".join(f"- {text}" for text in block.texts)
        case Table():
            yield from _table(block)
        case Variants():
            for table in block.on_paper():
                yield from _table(table)
        case Fold():
            for inner in block.blocks:
                yield from _block(inner, place)
        case Drawing():
            if place is not None:
                yield f"![{block.caption}]({place(block)})"
        case str():
            yield block


def _table(table: Table) -> Iterator[str]:
    yield f"**{table.caption}**"
    yield tabulate(
        [[_cell(cell) for cell in row] for row in table.rows],
        [_cell(header) for header in table.headers],
        tablefmt="pipe",
        colalign=alignment(table) if table.rows else None,
        disable_numparse=True,
    )
    if table.ranked:
        yield _LEGEND
    yield from table.notes


def _cell(cell: Cell | str) -> str:
    text = text_of(cell).replace("|", "\\|").replace("\n", " ")
    return _MARKS[cell.place].format(text) if isinstance(cell, Cell) else text
