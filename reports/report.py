"""Reports of experiments, as markdown, a page, LaTeX, CSV or JSON, on stdout or in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from transfer_sweep.reports import regret, results
from transfer_sweep.reports.document import plotting
from transfer_sweep.reports.document.elements import Block, Drawing
from transfer_sweep.reports.formats import Format, data, latex, markdown
from transfer_sweep.reports.ledger.artefacts import write_whole
from transfer_sweep.reports.ledger.ledger import LedgerError
from transfer_sweep.reports.results import Results
from transfer_sweep.reports.sections import registry
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part


def blocks(experiment: Results) -> Iterator[Block]:
    """What the report of one experiment says: its sections in order, each made as it is asked for."""
    context = Context.of(experiment)
    sections = registry.find()
    for part in Part:
        # Where numbers may not share a table, all that is said of the first comes before the second.
        spoken_of = [context.only(group) for group in context.groups] if part is Part.RESULTS else [context]
        for each in spoken_of:
            for section in sections:
                if section.PLACE.part is part:
                    yield from section.blocks(each)


def render(
    ledgers: Sequence[Path], form: Format = Format.MD, criterion: str | None = None, everything: bool = False
) -> str:
    """The report of one or more experiments as one text; a page holds one experiment.

    Args:
        ledgers: the experiments' ledgers.
        form: what to write.
        criterion: what chooses trials; None: each experiment's own.
        everything: show trials of former plans, too.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        KeyError: there is no such criterion.
    """
    return _render([results.read(path, criterion, everything) for path in ledgers], form)


def write(
    ledgers: Sequence[Path],
    output: Path,
    form: Format = Format.MD,
    criterion: str | None = None,
    everything: bool = False,
    refresh: int | None = None,
) -> list[Path]:
    """Write reports to files.

    A name with a suffix is one file for all experiments. Any other is a folder, which gets ``<experiment>.<form>``
    and ``<experiment>.trials.csv.gz`` for each. Markdown and LaTeX get their figures in a folder beside them; a page
    has them inside.

    Args:
        ledgers, form, criterion, everything: as for :func:`render`.
        output: the file or folder.
        refresh: seconds after which a page loads itself again; None: never.

    Returns:
        The files written.

    Raises:
        LedgerError: there is no ledger, it cannot be read, a file cannot be written, or one page is to hold several
            experiments.
    """
    try:
        if output.suffix:
            experiments = [results.read(path, criterion, everything) for path in ledgers]
            return _write_one(experiments, output, form, refresh)
        written: list[Path] = []
        for path in ledgers:
            experiment = results.read(path, criterion, everything)
            written += _write_one([experiment], output / f"{experiment.name}.{form}", form, refresh)
            archive = output / f"{experiment.name}{regret.SUFFIX}"
            _write_archive(experiment, archive)
            written.append(archive)
        return written
    except OSError as error:
        raise LedgerError(f"cannot write the report to {output}: {error.strerror or error}") from error


def _write_one(experiments: Sequence[Results], file: Path, form: Format, refresh: int | None) -> list[Path]:
    file.parent.mkdir(parents=True, exist_ok=True)
    written = [file]

    def place(experiment: Results, drawing: Drawing) -> str:
        folder = file.with_suffix("")
        picture = (folder if len(experiments) == 1 else folder / experiment.name) / f"{drawing.name}.png"
        plotting.write(drawing, picture)
        written.append(picture)
        return os.path.relpath(picture, file.parent)

    text = _page(experiments, refresh) if form is Format.HTML else _render(experiments, form, place)
    write_whole(file, lambda part: part.write_text(text, encoding="utf-8"))
    return written


def _write_archive(experiment: Results, file: Path) -> None:
    content = data.trials_csv(experiment)
    write_whole(file, lambda part: part.write_bytes(content))


def _render(
    experiments: Sequence[Results], form: Format, place: Callable[[Results, Drawing], str] | None = None
) -> str:
    match form:
        case Format.CSV:
            return data.as_csv(experiments)
        case Format.JSON:
            return data.as_json(experiments)
        case Format.HTML:
            return _page(experiments)
    renderer = markdown if form is Format.MD else latex
    return "\n\n".join(renderer.render(blocks(each), place and partial(place, each)) for each in experiments)


def _page(experiments: Sequence[Results], refresh: int | None = None) -> str:
    if len(experiments) > 1:
        raise LedgerError("a page holds one experiment: name a folder, which gets one for each")
    from transfer_sweep.reports.formats import html  # noqa: PLC0415 - brings Jinja, which nothing else needs

    (experiment,) = experiments
    return html.render(experiment.name, blocks(experiment), html.choices(experiment), refresh)
