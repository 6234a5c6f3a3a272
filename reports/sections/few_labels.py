"""What a few target labels give: accuracy over labels per class, as a table and a figure of its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from transfer_sweep.reports import selection
from transfer_sweep.reports.document.elements import Block, Cell, Drawing, Heading, Table
from transfer_sweep.reports.document.plotting import panels
from transfer_sweep.reports.document.text import MISSING, criterion_name, percent, short_pairs
from transfer_sweep.reports.results import Results, pairs_of
from transfer_sweep.reports.sections.accuracy import matrix
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACE = Place(Part.RESULTS, 40)

_INTRODUCTION = (
    "The labelled target samples are drawn with the trial's seed, the draw of more containing that of fewer, and are "
    "never scored; where only some classes have labels, only samples of the others are. Such numbers are not ranked "
    "among those above. With 0 labels per class a method is the unsupervised one."
)
_ROW = ["method", "backbone", "training", "few_kind"]


def blocks(context: Context) -> Iterator[Block]:
    """Accuracy over labels per class, of all pairs together and of each; nothing where no method has labels."""
    for group in context.with_labels:
        found = curves(context.results, group.records)
        if found.empty:
            continue
        criterion = context.results.criterion
        yield Heading(3, "With a few target labels")
        yield _INTRODUCTION
        yield from accuracy_tables(found, criterion)
        by_pair = matrix(group, criterion, access="few")
        if by_pair is not None:
            yield by_pair
        yield Drawing(
            group.figure_name("labels_per_class"),
            "Target accuracy in percent over labels per class (bars: one standard deviation over seeds)",
            "A panel for the average and for each pair, a line per method.",
            partial(draw, found),
        )


def curves(results: Results, group: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of the methods that some cell of the group gives a few target labels.

    Args:
        results: the experiment.
        group: the records that may share a table: one of :meth:`Results.groups`.

    Returns:
        One row per method, labels per class, pair and seed of the chosen params: the columns of ``_ROW``, ``name``,
        ``labelled_classes``, ``labels_per_class``, ``source``, ``target``, ``seed``, ``target_accuracy``. What ran
        once for a target stands for every pair of that target.
    """
    records = group[(group["selection"] == results.criterion) & (group["label_access"] != "target_train")]
    with_some = set(records.loc[records["few"] != "", "method"])
    chosen = records[records["method"].isin(with_some)]
    runs = selection.runs(results.candidates, chosen)
    pairs = pairs_of(group)
    of_target = runs[runs["source"] == runs["target"]]
    expanded = [of_target[of_target["target"] == target].assign(source=source) for source, target in pairs]
    runs = pd.concat([runs[runs["source"] != runs["target"]], *expanded])
    place = {pair: i for i, pair in enumerate(pairs)}
    order = [place[pair] for pair in zip(runs["source"], runs["target"], strict=True)]
    runs = runs.iloc[np.argsort(order, kind="stable")]
    rows = runs[_ROW].drop_duplicates()
    names = {tuple(row): _name(row, rows) for row in rows.itertuples(index=False, name=None)}
    columns = [*_ROW, "labelled_classes", "labels_per_class", "source", "target", "seed", "target_accuracy"]
    return runs[columns].assign(name=[names[tuple(row)] for row in runs[_ROW].itertuples(index=False, name=None)])


def _name(row: tuple[str, ...], rows: pd.DataFrame) -> str:
    namesakes = rows[rows["method"] == row[0]]
    parts = [part for part, column in zip(row, _ROW, strict=True) if part and namesakes[column].nunique() > 1]
    return f"{row[0]} ({', '.join(parts)})" if parts else row[0]


def averages(curves: pd.DataFrame) -> pd.DataFrame:
    """The average over pairs of each seed that ran on all of them: its mean and standard deviation over seeds.

    Returns:
        One row per ``name`` and ``labels_per_class``, in the order of ``curves``: ``mean``, ``std`` (NaN of one seed),
        ``count`` of seeds.
    """
    pairs = len(curves[["source", "target"]].drop_duplicates())
    keys = ["labelled_classes", "name", "labels_per_class"]
    by_seed = curves.groupby([*keys, "seed"], sort=False)["target_accuracy"].agg(["mean", "size"])
    whole = by_seed.loc[by_seed["size"] == pairs, "mean"]
    return whole.groupby(keys, sort=False).agg(["mean", "std", "count"]).reset_index()


def accuracy_tables(curves: pd.DataFrame, criterion: str) -> Iterator[Table]:
    """Methods × labels per class, averaged over pairs; one table for each set of classes that is scored."""
    for classes, found in averages(curves).groupby("labelled_classes", sort=False):
        counts = sorted(found["labels_per_class"].unique())
        rows: list[list[Cell | str]] = []
        for name, averaged in found.groupby("name", sort=False):
            values = averaged.set_index("labels_per_class")[["mean", "std"]]
            shown = [percent(*values.loc[n]) if n in values.index else MISSING for n in counts]
            rows.append([str(name), *shown])
        scored = f"; {int(str(classes))} classes have labels, the others are scored" if classes != 0 else ""
        yield Table(
            f"Target accuracy in percent over labels per class, average over all pairs, chosen by "
            f"{criterion_name(criterion)}; {_seeds(found['count'])}{scored}",
            ["method", *map(str, counts)],
            rows,
            "l" + "r" * len(counts),
        )


def _seeds(counts: pd.Series) -> str:
    least, most = counts.min(), counts.max()
    return f"over {most} {'seed' if most == 1 else 'seeds'}" if least == most else f"over {least} to {most} seeds"


def draw(curves: pd.DataFrame) -> Figure:
    """Accuracy over labels per class: a panel for the average and for each pair, a line per method."""
    names = list(dict.fromkeys(curves["name"]))
    pairs = list(dict.fromkeys(zip(curves["source"], curves["target"], strict=True)))
    figure, grid = panels(1 + len(pairs))
    by_pair = curves.groupby(["source", "target", "name", "labels_per_class"])["target_accuracy"].agg(["mean", "std"])
    parts = {"average": averages(curves).set_index(["name", "labels_per_class"])[["mean", "std"]]}
    parts |= {name: by_pair.loc[pair] for name, pair in zip(short_pairs(pairs), pairs, strict=True)}
    counts = sorted(curves["labels_per_class"].unique())
    places = {count: i for i, count in enumerate(counts)}
    for axes, (title, values) in zip(grid, parts.items(), strict=True):
        for i, name in enumerate(names):
            if name not in values.index:
                continue
            line = values.loc[name].sort_index()
            axes.errorbar(
                [places[count] for count in line.index],
                line["mean"],
                yerr=np.nan_to_num(line["std"]),
                color=f"C{i % 10}",
                marker="os^vDPX"[i // 10 % 7],
                markersize=3,
                linewidth=1.2,
                elinewidth=0.7,
                label=name,
            )
        axes.set_title(title, fontsize=8)
        axes.set_xticks(range(len(counts)), [str(count) for count in counts])
        axes.minorticks_off()
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
    figure.supylabel("%", fontsize=8)
    figure.supxlabel("labels per class", fontsize=8)
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        handles.values(), handles, loc="outside upper center", ncols=min(4, len(handles)), fontsize=8, frameon=False
    )
    return figure
