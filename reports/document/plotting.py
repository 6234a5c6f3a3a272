"""What every figure needs: an empty one, small panels, colours, and ways into a file and a page.

Matplotlib is imported where something is drawn: it takes more than a second, and most reports are read as text.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.reports.document.elements import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TARGET, SOURCE, OTHER = "#1b6ca8", "#d1802f", "#777777"
"""Colours of the target domain, of the source domain, and of what is of neither."""

_DPI = 110
_COLUMNS = 5
_INK = "#012345"  # of axes and letters in a page, where it stands for the page's own; nothing else has this colour
_PLAIN: dict[Any, Any] = {"text.parse_math": False}  # a name with dollars is a name
_ON_PAGE = _PLAIN | {
    "svg.fonttype": "none",  # letters stay letters: they are small, can be searched, and are the page's own font
    "svg.hashsalt": "report",
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


def blank(width: float, height: float) -> Figure:
    """An empty figure, its size in inches."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width, height), layout="constrained")


def panels(number: int) -> tuple[Figure, list[Axes]]:
    """A figure of small panels, and as many axes as asked for."""
    columns = min(_COLUMNS, number)
    rows = math.ceil(number / columns)
    figure = blank(1.0 + 2.2 * columns, 0.7 + 1.5 * rows)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[number:]:
        axes.set_axis_off()
    return figure, grid[:number]


def write(drawing: Drawing, file: Path) -> None:
    """Draw a figure as a PNG file; its folder is made if absent."""
    import matplotlib  # noqa: PLC0415

    with matplotlib.rc_context(_PLAIN):
        save(drawing.draw(), file)


def save(figure: Figure, file: Path) -> None:
    """Save a figure as a PNG file; its folder is made if absent."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # No dates or versions inside: the same results give the same bytes.
    figure.savefig(file, dpi=_DPI, metadata={"Software": None})


def svg(drawing: Drawing) -> str:
    """A figure as an ``<svg>`` element for a page: letters and axes in the page's colour, its names its own."""
    import matplotlib  # noqa: PLC0415

    with matplotlib.rc_context(_ON_PAGE):
        figure = drawing.draw()
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{drawing.name}-", text)


def answers(pictures: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8], str, float]]) -> Figure:
    """Pictures that a model classified, with what it saw of them.

    Args:
        pictures: of each (h, w, 3) the picture, (h, w) or (h, w, 3) what the model saw, the label and its
            confidence in percent.
    """
    columns = min(_COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure = blank(2.6 * columns, 1.75 * rows)
    grid = figure.subplots(rows, 2 * columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for index, (picture, seen, label, confidence) in enumerate(pictures):
        left, right = (grid[index // columns, 2 * (index % columns) + side] for side in (0, 1))
        left.imshow(picture)
        right.imshow(seen, cmap="gray", vmin=0, vmax=255)
        left.set_title(label, fontsize=13, fontweight="bold")
        right.set_title(f"{confidence:.0f} %", fontsize=9)
    return figure
