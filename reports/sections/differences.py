"""Which differences between methods hold: tests over the pairs, average ranks, and their critical difference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from transfer_sweep.reports.comparison import ALPHA, Comparison
from transfer_sweep.reports.document.elements import Block, Cell, Drawing, Heading, Table
from transfer_sweep.reports.document.plotting import SOURCE, TARGET, blank
from transfer_sweep.reports.document.text import MISSING, criterion_name, percent
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACE = Place(Part.RESULTS, 30)


def blocks(context: Context) -> Iterator[Block]:
    """The tests in words, the ranks, and their diagram; nothing where there is too little to test."""
    for group in context.with_labels:
        comparison = group.comparison
        if comparison is None:
            continue
        yield Heading(3, "Which differences hold")
        yield _prose(comparison)
        yield ranking(comparison, context.results.criterion)
        yield Drawing(
            group.figure_name("critical_difference"),
            f"Average ranks; bars join methods that Nemenyi's test does not tell apart (critical difference "
            f"{comparison.critical_difference:.2f} at α = 0.05)",
            "The average ranks of the table above on a line, the best at the left.",
            partial(draw, comparison),
        )


def _prose(comparison: Comparison) -> str:
    pairs, methods = comparison.accuracies.shape
    statistic, p = comparison.friedman
    text = (
        f"Ranks over the {pairs} pairs that these {methods} methods ran on. Friedman's test (χ² = {statistic:.1f}, "
        f"{_p_value(p)}) finds {'a difference' if comparison.differ else 'no difference'} between them. One method is "
        "called better than another only where Friedman's test and, after Holm's correction for all "
        f"{comparison.comparisons} comparisons, Wilcoxon's signed-rank test over the pairs say so (p < 0.05 each)."
    )
    if comparison.differ and not comparison.can_tell:
        text += (
            f" With {pairs} pairs Wilcoxon's p-value is {comparison.smallest_p:.2g} at best, which the correction "
            "takes above 0.05: no two methods can be told apart in that way here."
        )
    return f"{text} Pairs that share a domain are not independent, which makes p-values somewhat too small."


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def ranking(comparison: Comparison, chosen_by: str) -> Table:
    """Average ranks, and which methods are better than which as far as the tests say."""
    rows: list[list[Cell | str]] = []
    for method, rank in comparison.ranks.items():
        worse = comparison.better_than(method)
        name = ", ".join(worse) if len(worse) < len(comparison.ranks) - 1 else "all others"
        rows.append([method, f"{rank:.2f}", percent(comparison.accuracies[method].mean()), name or MISSING])
    return Table(
        f"Average ranks over {len(comparison.accuracies)} pairs, chosen by {criterion_name(chosen_by)}",
        ["method", "average rank", "average accuracy", "better than (Friedman, Wilcoxon with Holm, p < 0.05)"],
        rows,
        "lrrl",
    )


def draw(comparison: Comparison) -> Figure:
    """Average ranks on a line, the best at the left; bars join what Nemenyi's test cannot tell apart (Demšar 2006)."""
    import scikit_posthocs  # noqa: PLC0415
    from matplotlib import rcParams  # noqa: PLC0415

    rows = math.ceil(len(comparison.ranks) / 2) + 3
    figure = blank(8.5, 0.9 + 0.24 * rows)
    axes = figure.add_subplot()
    ink = rcParams["text.color"]
    drawn = scikit_posthocs.critical_difference_diagram(
        comparison.ranks,
        comparison.nemenyi,
        alpha=ALPHA,
        ax=axes,
        label_fmt_left="{label}  {rank:.1f} ",
        label_fmt_right=" {rank:.1f}  {label}",
        label_props={"fontsize": 9},
        elbow_props={"color": ink, "linewidth": 0.7},
        marker_props={"color": TARGET, "s": 16},
        crossbar_props={"color": SOURCE, "linewidth": 3},
        text_h_margin=0.02 * len(comparison.ranks),
    )
    for bar in (bar for bars in drawn["crossbars"] for bar in bars):
        bar.set_xdata(sorted(bar.get_xdata()))  # they come in the order of a set, another one in each process
    axes.set_xlabel("average rank", fontsize=9)
    axes.xaxis.set_label_position("top")
    return figure
