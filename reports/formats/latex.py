"""A report as LaTeX, to be read by ``\\input``: tables with booktabs, the best in bold, the second best underlined."""

from __future__ import annotations

import re
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

PACKAGES = ("booktabs", "graphicx", "adjustbox")
_PREAMBLE = f"% Needs \\usepackage{{{','.join(PACKAGES)}}}."
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"} | {c: f"\\{c}" for c in "&%$#_{}"}
_KNOWN = 0x180  # pdflatex sets Latin letters up to here, and stops at what it does not know
_SYMBOLS = {
    "→": r"$\to$",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "²": r"$^2$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "‖": r"$^\parallel$",
    "–": "--",
    "…": r"\dots{}",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "α": r"$\alpha$",
    "χ": r"$\chi$",
}
_SECTIONS = {1: "section", 2: "subsection", 3: "subsubsection"}
# Letters that no text holds, which pass tabulate's escaping and become commands after it.
_MARKS = {0: "{}", 1: "\ue001{}\ue000", 2: "\ue002{}\ue000"}
_COMMANDS = {"\ue001": r"\textbf{", "\ue002": r"\underline{", "\ue000": "}"}
_LEGEND = "The best of each column is bold, the second best is underlined."
_WIDE = 60  # characters, from which on a column's text is broken into lines


def render(blocks: Iterable[Block], place: Callable[[Drawing], str] | None = None) -> str:
    """The text of a report.

    Args:
        blocks: what it says.
        place: draws a figure and gives the path that the text includes; None leaves figures out.
    """
    return "\n\n".join([_PREAMBLE, *(text for block in blocks for text in _block(block, place))]) + "\n"


def _block(block: Block, place: Callable[[Drawing], str] | None) -> Iterator[str]:
    match block:
        case Heading(level, text):
            yield f"\\{_SECTIONS[level]}{{{_text(text)}}}"
        case Items():
            items = "\n".join(f"\\item {{}}{_text(text)}" for text in block.texts)
            yield f"{_text(block.intro)}\n\\begin{{itemize}}\n{items}\n\\end{{itemize}}"
        case Table():
            yield _table(block)
        case Variants():
            yield from (_table(table) for table in block.on_paper())
        case Fold():
            for inner in block.blocks:
                yield from _block(inner, place)
        case Drawing():
            if place is not None:
                graphic = (
                    f"\\includegraphics[width=\\linewidth,height=.85\\textheight,keepaspectratio]{{{place(block)}}}"
                )
                yield _float("figure", graphic, block.caption)
        case str():
            yield _text(block)


def _table(table: Table) -> str:
    # tabulate escapes what LaTeX would read as commands.
    body = tabulate(
        [[_cell(cell) for cell in row] for row in table.rows],
        table.headers,
        tablefmt="latex_booktabs",
        colalign=alignment(table) if table.rows else None,
        disable_numparse=True,
    )
    body = _markup(body).replace(f"{{{table.align}}}", f"{{{_columns(table)}}}", 1)
    notes = [_LEGEND, *table.notes] if table.ranked else table.notes
    below = "".join(f"\n\n{{\\footnotesize {_text(note)}\\par}}" for note in notes)
    fitted = f"\\begin{{adjustbox}}{{max width=\\linewidth}}\n{body}\n\\end{{adjustbox}}"
    return _float("table", fitted + below, table.caption)


def _columns(table: Table) -> str:
    """A column's letter; long texts are set in lines."""
    widest = [max((len(text_of(row[i])) for row in table.rows), default=0) for i in range(len(table.headers))]
    return "".join(
        "p{.6\\linewidth}" if letter == "l" and width > _WIDE else letter
        for letter, width in zip(table.align, widest, strict=True)
    )


def _cell(cell: Cell | str) -> str:
    text = text_of(cell).replace("\n", " ")
    return _MARKS[cell.place].format(text) if isinstance(cell, Cell) else text


def _float(kind: str, content: str, caption: str) -> str:
    return f"\\begin{{{kind}}}[htbp]\\centering\n\\caption{{{_text(caption)}}}\n{content}\n\\end{{{kind}}}"


def _text(text: str) -> str:
    return _markup("".join(_SPECIAL.get(letter, letter) for letter in text))


def _markup(text: str) -> str:
    """Light markdown (bold, code), marks and symbols, in text that is escaped already."""
    for letter, command in (_SYMBOLS | _COMMANDS).items():
        text = text.replace(letter, command)
    text = "".join(letter if ord(letter) < _KNOWN else "?" for letter in text)
    text = re.sub(r"\*\*([^&]+?)\*\*", r"\\textbf{\1}", text)
    return re.sub(r"`([^&]+?)`", r"\\texttt{\1}", text)
