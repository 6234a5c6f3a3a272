"""Figures on a page and in files."""

import re

from matplotlib.figure import Figure

from transfer_sweep.reports.document import plotting
from transfer_sweep.reports.document.elements import Drawing


def dollars() -> Figure:
    figure = plotting.blank(2, 2)
    figure.add_subplot().set_title("$\\frac$")
    return figure


def test_letters_of_a_figure_have_the_pages_colour() -> None:
    drawn = plotting.svg(Drawing("one", "c", "d", dollars))
    assert drawn.startswith("<svg")
    assert "$\\frac$" in drawn
    assert "currentColor" in drawn
    assert "#012345" not in drawn
    assert all(name.startswith("one-") for name in re.findall(r'\bid="([^"]+)"', drawn))
