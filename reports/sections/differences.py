"""Which differences hold: gains with their intervals, average ranks, and how likely the best method is better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from transfer_sweep.reports.comparison import ALIKE, ALPHA, FEWEST_PAIRS, Comparison
from transfer_sweep.reports.document.elements import Block, Drawing, Heading, Table
from transfer_sweep.reports.document.plotting import SOURCE, TARGET, blank
from transfer_sweep.reports.document.text import (
    MISSING,
    counted,
    criterion_name,
    interval,
    names_of,
    percent,
    signed,
)
from transfer_sweep.reports.gain import Interval, MeanGain, MethodGain
from transfer_sweep.reports.results import by_method, pairs_of
from transfer_sweep.reports.sections.context import Context, Group
from transfer_sweep.reports.sections.registry import Part, Place

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACE = Place(Part.RESULTS, 30)

_MISSES = "One such interval in twenty misses by chance."
_INTERVALS = ["95 % over pairs", "95 % over seeds"]


def blocks(context: Context) -> Iterator[Block]:
    """Ranks and gains with what holds of them, and the diagram of ranks where it tells methods apart."""
    criterion = context.results.criterion
    for group in context.with_labels:
        shown = table(group, criterion)
        if shown is None:
            continue
        yield Heading(3, "Which differences hold")
        comparison = group.comparison
        if comparison is not None:
            yield _ranks_in_words(comparison)
        if group.gains:
            yield _gains_in_words(group)
        yield shown
        if comparison is not None and comparison.tells_apart:
            yield Drawing(
                group.figure_name("critical_difference"),
                f"Average ranks; bars join methods that Nemenyi's test does not tell apart (critical difference "
                f"{comparison.critical_difference:.2f} at α = {ALPHA:g})",
                "The average ranks of the table above on a line, the best at the left.",
                partial(draw, comparison),
            )


def _ranks_in_words(comparison: Comparison) -> str:
    pairs, methods = comparison.accuracies.shape
    statistic, p = comparison.friedman
    return (
        f"Friedman's test on the ranks of {methods} methods over {pairs} pairs (χ² = {statistic:.1f}, "
        f"{_p_value(p)}) finds {'a difference' if comparison.differ else 'no difference'} between them."
    )


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _gains_in_words(group: Group) -> str:
    text = _held({name: each.total for name, each in group.gains.items()}, "source_only")
    own = {name: each.own for name, each in group.gains.items() if each.own is not None}
    if _split(group.gains):
        text += f" {_held(own, 'the control with the same batch-norm statistics')}"
    single = [name for name, each in group.gains.items() if each.total.over_seeds is None]
    if single:
        text += (
            f" There are single runs behind {_listed(single, of=len(group.gains))}, which have no interval over seeds."
        )
    return f"{text} {_MISSES}"


def _listed(names: list[str], of: int) -> str:
    return "all gains" if len(names) == of else f"the gains of {', '.join(names)}"


def _split(gains: Mapping[str, MethodGain]) -> bool:
    """Whether some gain is known to be batch norm's in part."""
    return any(each.own is not None and each.by_batch_norm for each in gains.values())


def holds(gains: Mapping[str, MethodGain]) -> str:
    """Which methods gain over ``source_only``, as far as intervals tell, and how often such intervals miss."""
    return f"{_held({name: each.total for name, each in gains.items()}, 'source_only')} {_MISSES}".strip()


def _held(gains: Mapping[str, MeanGain], over: str) -> str:
    texts = [
        _told(where, {name: found for name, found in intervals.items() if found is not None}, over)
        for where, intervals in (
            ("on other pairs like these", {name: each.over_pairs for name, each in gains.items()}),
            (
                "on these very pairs, run again with other seeds,",
                {name: each.over_seeds for name, each in gains.items()},
            ),
        )
    ]
    told = f"By 95 % intervals of the mean gain, {'. And '.join(filter(None, texts))}." if any(texts) else ""
    if any(each.over_pairs is None for each in gains.values()):
        told = f"{told} Of fewer than {FEWEST_PAIRS} pairs nothing can be said of others like them.".strip()
    return told


def _told(where: str, found: Mapping[str, Interval], over: str) -> str:
    """Which methods' intervals of the mean gain lie above 0, and which below; empty where there are no intervals."""
    if not found:
        return ""
    better = [name for name, each in found.items() if each.low > 0]
    worse = [name for name, each in found.items() if each.high < 0]
    said = [f"{_enumerated(better)} {'gains' if len(better) == 1 else 'gain'} over {over}"] if better else []
    said += [f"{_enumerated(worse)} {'loses' if len(worse) == 1 else 'lose'} against {over}"] if worse else []
    open_ = [name for name in found if name not in (*better, *worse)]
    said += [f"{_enumerated(open_)} cannot be told from {over}"] if open_ else []
    return f"{where} {'; '.join(said)}"


def _enumerated(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def table(group: Group, chosen_by: str) -> Table | None:
    """Methods with rank, average, gains and their intervals, and the best one's chance to be better; None of nothing.

    Args:
        group: the numbers that may share a table.
        chosen_by: the criterion.
    """
    comparison, gains = group.comparison, group.gains
    records = group.chosen(chosen_by)
    pairs = len(pairs_of(group.records))
    if comparison is None and not gains:
        return None
    split = _split(gains)
    names = names_of(records)
    averages = {names[key]: rows["target_accuracy_mean"] for key, rows in by_method(records)}
    ranks = comparison.ranks if comparison is not None else {}
    against = comparison.against_best if comparison is not None else {}
    headers = ["method"]
    headers += ["average rank"] if ranks else []
    headers.append("average accuracy")
    headers += ["gain over source_only", *_INTERVALS] if gains else []
    headers += ["by batch norm", "by the method", *_INTERVALS] if split else []
    headers += [f"{comparison.best} better by more than ½ point"] if comparison is not None and against else []
    rows = []
    for name in [*ranks, *(name for name in averages if name not in ranks)]:
        known = len(averages[name])
        row = [name]
        row += [f"{ranks[name]:.2f}" if name in ranks else MISSING] if ranks else []
        row.append(percent(averages[name].mean()) + ("" if known == pairs else f" ({known} of {pairs})"))
        each = gains.get(name)
        over = f" ({each.pairs} of {pairs})" if each and each.pairs < pairs else ""
        row += _gain(each.total if each else None, over) if gains else []
        by_batch_norm = signed(each.by_batch_norm) + over * (not math.isnan(each.by_batch_norm)) if each else MISSING
        row += [by_batch_norm, *_gain(each.own if each else None, over)] if split else []
        row += [f"{against[name].better:.2f}" if name in against else MISSING] if against else []
        rows.append(row)
    notes = []
    if gains:
        notes.append(
            "95 % intervals of the mean gain: over pairs (Student's t), of what is gained on pairs like these; over "
            "seeds (Welch), of what is gained on these very pairs. Pairs that share a domain are not independent, "
            "which makes the first somewhat too narrow."
        )
    if against:
        notes.append(
            "Last column: probability by the Bayesian signed-rank test over pairs (Benavoli 2017), where methods up "
            f"to {ALIKE:g} points apart are equal."
        )
    caption = f"What holds over {counted(pairs, 'pair')}, chosen by {criterion_name(chosen_by)}"
    return Table(caption, headers, rows, "l" + "r" * (len(headers) - 1), notes)


def _gain(each: MeanGain | None, over: str) -> list[str]:
    if each is None:
        return [MISSING] * 3
    over_pairs = interval(each.over_pairs) if each.over_pairs else "too few pairs"
    over_seeds = interval(each.over_seeds) if each.over_seeds else "single runs"
    return [signed(each.mean) + over, over_pairs, over_seeds]


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
