"""``evaluate``, ``predict`` and ``export``: what a saved model says of its target, of other inputs, and elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from transfer_sweep.sweep.trial.forms import ExportFormat

if TYPE_CHECKING:
    from transfer_sweep.sweep.trial.predictions import Answer, Listing
    from transfer_sweep.sweep.trial.saved_model import Chosen, SavedModel

MOST_DRAWN = 100
"""Pictures that one figure shows."""

_CELL = "method:source-target, of its chosen trial; method:source-target@backbone where there are several."
Cell = Annotated[str, typer.Option("--cell", help=_CELL)]
RecommendedCell = Annotated[
    str | None, typer.Option("--cell", help=f"{_CELL} The recommended one if absent.", show_default=False)
]
OfPair = Annotated[
    str | None, typer.Option("--pair", help="source-target: whose recommended cell, where there are several pairs.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def evaluate(
    name: Name, cell: Cell, data_root: DataRoot = None, results: Results = RESULTS, _plugins: Plugins = None
) -> None:
    """A cell's saved model on its target: accuracy and confusion matrix."""
    chosen, model = _saved_model(name, cell, None, data_root, results)
    found = model.evaluate(chosen.drawn)
    total = int(found.confusion.sum())
    say(f"{cell}: {found.accuracy:.2f} % of {total} samples (when it was trained: {chosen.accuracy:.2f} %)", out)
    table = new_table("", *model.classes, "accuracy", title="true class by row, predicted by column")
    for column in table.columns[1:]:
        column.justify = "right"
    for true, (label, counts) in enumerate(zip(model.classes, found.confusion.tolist(), strict=True)):
        share = f"{100 * counts[true] / sum(counts):.1f}" if any(counts) else "–"
        table.add_row(label, *(str(count) if count else "·" for count in counts), share)
    out.print(table)


def predict(
    name: Name,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER_OR_FILES…",
            help="Pictures of any size and colour, each of one object; or tables of vectors (.csv, .parquet, .npz) for "
            "a data set of such. Folders are searched at any depth.",
        ),
    ],
    cell: RecommendedCell = None,
    pair: OfPair = None,
    output: Annotated[
        Path | None, typer.Option("--out", help="A .csv, .jsonl or .parquet file for the answers; a table if absent.")
    ] = None,
    overwrite: Overwrite = False,
    annotate: Annotated[
        Path | None, typer.Option(help="A PNG file: the pictures, what the model saw of them, and its answers.")
    ] = None,
    data_root: DataRoot = None,
    results: Results = RESULTS,
    _plugins: Plugins = None,
) -> None:
    """Classify pictures, or rows of tables, with a saved model.

    A file that cannot be read does not keep the others from being classified: the exit code is 1 then, and 2 where
    none can be read.
    """
    from transfer_sweep.datasets.images import pictures
    from transfer_sweep.datasets.io import tables
    from transfer_sweep.sweep.progress.live_view import ProgressPrinter
    from transfer_sweep.sweep.trial import predictions

    if annotate is not None and annotate.suffix.lower() != ".png":
        raise SweepError(f"--annotate writes a PNG file, not {annotate.name!r}")
    if output is not None:
        predictions.check_output(output, overwrite)
    chosen, model = _saved_model(name, cell, pair, data_root, results)
    tabular = model.takes == "vectors"
    listing = predictions.listed(files, tables.SUFFIXES if tabular else pictures.SUFFIXES)
    _check(listing, model, annotate)
    if cell is None:
        say(f"recommended: {chosen.cell}, {chosen.recommended}")
    tally = predictions.Tally()
    found: Iterable[Answer] = tally.count(predictions.answers(model, listing, ProgressPrinter(err)))
    if output is None or annotate is not None:
        found = list(found)
        if annotate is not None:
            _draw(model, listing, found, annotate)
        if output is None:
            _print(found)
    if output is not None:
        predictions.write(output, found, tabular)
        say(f"wrote {output}: {tally.total - tally.failed} of {tally.total} {'rows' if tabular else 'pictures'}")
    if tally.first is not None:
        say(f"{tally.failed} of {tally.total} could not be read; the first: {predictions.error_line(tally.first)}")
        raise typer.Exit(1)


def export(
    name: Name,
    output: Annotated[Path, typer.Option("--out", help="A folder: for the model, its classes and its card.")],
    form: Annotated[
        ExportFormat, typer.Option("--format", help="onnx needs transfer-sweep[export]; the others nothing more.")
    ] = ExportFormat.ONNX,
    cell: RecommendedCell = None,
    pair: OfPair = None,
    overwrite: Overwrite = False,
    data_root: DataRoot = None,
    results: Results = RESULTS,
    _plugins: Plugins = None,
) -> None:
    """A saved model as one file for use elsewhere: raw pixels or vectors in, logits and probabilities out."""
    from transfer_sweep.sweep.trial import export as exporting
    from transfer_sweep.sweep.trial.model_card import model_card

    exporting.check_packages(form)
    exporting.check_folder(output, form, overwrite)
    chosen, model = _saved_model(name, cell, pair, data_root, results, device="cpu")
    if cell is None:
        say(f"recommended: {chosen.cell}, {chosen.recommended}")
    path, check = exporting.export(model, form, output, lambda c, used: model_card(model, chosen, form, c, used))
    say(str(check))
    say(f"wrote {path}, {path.with_name('classes.json').name} and {path.with_name('README.md').name}")


def _check(listing: Listing, model: SavedModel, annotate: Path | None) -> None:
    """Say what was left out, and refuse where nothing is left."""
    if listing.left_out:
        parts = ", ".join(f"{count} {what}" for what, count in sorted(listing.left_out.items()))
        say(f"left out: {parts}")
    if not listing.files and not listing.unreadable:
        raise SweepError(f"there are no {'tables' if model.takes == 'vectors' else 'pictures'} to predict")
    if annotate is not None and model.takes == "vectors":
        raise SweepError("--annotate draws pictures, and this model takes vectors")
    if annotate is not None and len(listing.files) > MOST_DRAWN:
        raise SweepError(f"--annotate draws {MOST_DRAWN} pictures at most, not {len(listing.files)}")


def _print(answers: Sequence[Answer]) -> None:
    rows = any(answer.row is not None for answer in answers)
    table = new_table("table" if rows else "picture", *(["row"] if rows else []), "label", "confidence", "else")
    table.columns[-2].justify = "right"
    for answer in answers:
        if answer.error is not None:
            continue
        (label, confidence), *others = answer.guesses
        row = [answer.row or ""] if rows else []
        runners_up = ", ".join(f"{other} {100 * share:.1f} %" for other, share in others)
        table.add_row(escape(answer.path), *row, escape(label), f"{100 * confidence:.1f} %", escape(runners_up))
    out.print(table)


def _draw(model: SavedModel, listing: Listing, answers: Sequence[Answer], annotate: Path) -> None:
    """The pictures, what the model saw of them, and its answers."""
    import numpy as np

    from transfer_sweep.datasets.images.pictures import open_picture
    from transfer_sweep.reports.document import plotting

    shown = []
    for path, answer in zip(listing.files, answers[len(listing.unreadable) :], strict=True):
        if answer.error is None:
            image = open_picture(path).image
            seen = np.squeeze(model.sample(image).transpose(1, 2, 0))
            label, confidence = answer.guesses[0]
            shown.append((np.asarray(image), seen, label, 100 * confidence))
    plotting.save(plotting.answers(shown), annotate)
    say(f"wrote {annotate}")


def _saved_model(
    name: str,
    cell: str | None,
    pair: str | None,
    data_root: Path | None,
    results: Path,
    device: str | None = None,
) -> tuple[Chosen, SavedModel]:
    from transfer_sweep.sweep.progress.live_view import ProgressPrinter
    from transfer_sweep.sweep.trial.saved_model import choose, open_chosen

    chosen = choose(results / Path(name).stem, cell, pair)
    return chosen, open_chosen(chosen, existing_folder(data_root), cache_folder(), ProgressPrinter(err), device)
