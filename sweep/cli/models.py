"""``evaluate`` and ``predict``: what a saved model says of its target and of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from transfer_sweep.sweep.cli.options import (
    RESULTS,
    DataRoot,
    Name,
    Plugins,
    Results,
    err,
    new_table,
    out,
    say,
)
from transfer_sweep.sweep.environment import cache_folder, existing_folder
from transfer_sweep.sweep.errors import SweepError

if TYPE_CHECKING:
    from transfer_sweep.sweep.trial.saved_model import SavedModel

Cell = Annotated[
    str,
    typer.Option(
        "--cell",
        help="method:source-target, of its chosen trial; method:source-target@backbone where there are several.",
    ),
]


def evaluate(
    name: Name, cell: Cell, data_root: DataRoot = None, results: Results = RESULTS, _plugins: Plugins = None
) -> None:
    """A cell's saved model on its target: accuracy and confusion matrix."""
    model = _saved_model(name, cell, data_root, results)
    found = model.evaluate()
    total = int(found.confusion.sum())
    say(f"{cell}: {found.accuracy:.2f} % of {total} samples (when it was trained: {found.recorded:.2f} %)", out)
    table = new_table("", *model.classes, "accuracy", title="true class by row, predicted by column")
    for column in table.columns[1:]:
        column.justify = "right"
    for true, (label, counts) in enumerate(zip(model.classes, found.confusion.tolist(), strict=True)):
        share = f"{100 * counts[true] / sum(counts):.1f}" if any(counts) else "–"
        table.add_row(label, *(str(count) if count else "·" for count in counts), share)
    out.print(table)


def predict(
    name: Name,
    images: Annotated[list[Path], typer.Argument(help="Pictures of any size and colour, each of one object.")],
    cell: Cell,
    annotate: Annotated[
        Path | None, typer.Option(help="A PNG file: the pictures, what the model saw of them, and its answers.")
    ] = None,
    data_root: DataRoot = None,
    results: Results = RESULTS,
    _plugins: Plugins = None,
) -> None:
    """Classify pictures with a cell's saved model."""
    if annotate is not None and annotate.suffix.lower() != ".png":
        raise SweepError(f"--annotate writes a PNG file, not {annotate.name!r}")
    answers = _saved_model(name, cell, data_root, results).predict(images)
    table = new_table("picture", "label", "confidence")
    for column in table.columns[1:]:
        column.justify = "right"
    for path, answer in zip(images, answers, strict=True):
        table.add_row(escape(str(path)), answer.label, f"{answer.confidence:.1f} %")
    out.print(table)
    if annotate is not None:
        from transfer_sweep.reports.document import plotting

        figure = plotting.answers([(a.picture, a.seen, a.label, a.confidence) for a in answers])
        plotting.save(figure, annotate)
        say(f"wrote {annotate}")


def _saved_model(name: str, cell: str, data_root: Path | None, results: Path) -> SavedModel:
    from transfer_sweep.sweep.progress.live_view import ProgressPrinter
    from transfer_sweep.sweep.trial.saved_model import SavedModel

    folder = results / Path(name).stem
    return SavedModel(folder, cell, existing_folder(data_root), cache_folder(), ProgressPrinter(err))
