"""A report as one page that needs nothing else: no network, no other file.

The page is a Jinja template that escapes all it is given; nothing from a ledger is trusted as HTML. Its policy
(Content-Security-Policy) lets only its own script run, which is found by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from transfer_sweep.reports.document import plotting
from transfer_sweep.reports.document.elements import Block, Cell, Drawing, Heading, Table
from transfer_sweep.reports.document.text import criterion_name
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.selection import ORACLE, describe

_SHADE = 45  # percent of the shade's colour behind the best of a column: letters stay readable on it


@dataclass(frozen=True)
class Choice:
    """A way of choosing trials, as the page's selector offers it.

    Attributes:
        name: as in :class:`~transfer_sweep.reports.document.elements.Variants`.
        label: as prose has it.
        description: one line.
    """

    name: str
    label: str
    description: str


def choices(results: Results) -> list[Choice]:
    """The ways of choosing that an experiment's page offers: its own criterion, the others, and the oracle.

    Where no target has labels there is no oracle.
    """
    oracle = Choice(ORACLE, ORACLE, "the best target accuracy at the last epoch; for reporting only")
    criteria = [Choice(name, criterion_name(name), describe(name)) for name in results.criteria]
    return [*criteria, oracle] if results.has_labels else criteria


def render(title: str, blocks: Iterable[Block], choices: Sequence[Choice], refresh: int | None = None) -> str:
    """The text of a page.

    Args:
        title: of the page.
        blocks: what it says. They are rendered as they come, since some depend on those before them.
        choices: the ways of choosing trials that the selector offers, the experiment's own first.
        refresh: seconds after which the page loads itself again; None: never.
    """
    environment = _environment()
    macros: Any = environment.get_template("blocks.html.j2").module
    headings: list[Heading] = []
    body: list[Markup] = []
    for block in blocks:
        if isinstance(block, Drawing):
            if block.on_page:
                body.append(macros.figure(block, _described(plotting.svg(block), block)))
            continue
        body.append(macros.show(block))
        if isinstance(block, Heading) and block.level == 2:
            headings.append(block)
    script = _packaged("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.j2").render(
        title=title,
        body=body,
        headings=headings,
        choices=choices,
        refresh=refresh,
        style=Markup(_packaged("page.css")),
        script=Markup(script),
        script_hash=Markup(f"'sha256-{digest}'"),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("transfer_sweep.reports.formats", "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"kind": _kind, "marked": _marked, "anchor": _anchor}
    environment.globals |= {"as_cell": _as_cell, "shades": _shades}
    return environment


def _packaged(name: str) -> str:
    return resources.files("transfer_sweep.reports.formats").joinpath("page", name).read_text(encoding="utf-8")


def _kind(block: Block) -> str:
    return type(block).__name__


def _marked(text: str) -> Markup:
    """Light markdown (bold, code) in a text that is not trusted."""
    safe = str(escape(text))
    safe = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe)
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", safe))


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def _described(svg: str, drawing: Drawing) -> Markup:
    opening = Markup('<svg role="img" aria-label="{}"').format(drawing.description)
    return Markup(svg.replace("<svg", opening, 1))


def _as_cell(cell: Cell | str) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def _shades(table: Table) -> list[list[int | None]]:
    """Percent of the shade's colour for each cell: from none for the worst of its column to the most for the best."""
    values = [[_as_cell(cell).value for cell in row] for row in table.rows]
    shades: list[list[int | None]] = [[None] * len(table.headers) for _ in values]
    if table.shaded:
        for j, column in enumerate(zip(*values, strict=True)):
            known = [value for value in column if not math.isnan(value)]
            low, high = min(known, default=0.0), max(known, default=0.0)
            for i, value in enumerate(column):
                if high > low and not math.isnan(value):
                    shades[i][j] = round(_SHADE * (value - low) / (high - low))
    return shades
