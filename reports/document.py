"""Reports of experiments, as markdown, LaTeX, CSV or JSON, on stdout or in files."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from reports import figures, results, selection, tables
from reports.ledger import Ledger, LedgerError
from reports.results import METHOD, Results
from reports.selection import ORACLE
from reports.tables import Table


class Format(StrEnum):
    """Forms of a report."""

    MD = "md"
    TEX = "tex"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is an experiment's."""

    level: int
    text: str


@dataclass(frozen=True)
class Image:
    """A figure's file, as the document links it."""

    path: str
    caption: str


@dataclass(frozen=True)
class Items:
    """A line and the list that it introduces."""

    intro: str
    texts: Sequence[str]


Block = Heading | str | Table | Image | Items


def render(
    ledgers: Sequence[Path],
    form: Format = Format.MD,
    criterion: str | None = None,
    everything: bool = False,
) -> str:
    """The report of one or more experiments as one text.

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
) -> list[Path]:
    """Write reports to files.

    A name with a suffix is one file for all experiments. Any other is a folder, which gets ``<experiment>.<form>``
    and ``<experiment>.trials.csv.gz`` for each. Markdown and LaTeX get their figures in a folder beside them.

    Returns:
        The files written.

    Raises:
        LedgerError: there is no ledger, it cannot be read, or a file cannot be written.
    """
    written: list[Path] = []
    try:
        if output.suffix:
            read = [results.read(path, criterion, everything) for path in ledgers]
            written += _write_one(read, output, form)
            return written
        for path in ledgers:
            with Ledger(path) as ledger:
                own = results.read_open(ledger, criterion, everything)
                trials = results.trials_csv(ledger, everything)
            written += _write_one([own], output / f"{own.name}.{form}", form)
            archive = output / f"{own.name}.trials.csv.gz"
            archive.write_bytes(trials)
            written.append(archive)
    except OSError as error:
        raise LedgerError(f"cannot write the report to {output}: {error.strerror or error}") from error
    return written


def _write_one(read: Sequence[Results], file: Path, form: Format) -> list[Path]:
    file.parent.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, list[Path]] = {}
    if form in (Format.MD, Format.TEX):
        folder = file.with_suffix("")
        drawn = {own.name: figures.write(own, folder if len(read) == 1 else folder / own.name) for own in read}
    links = {name: [os.path.relpath(path, file.parent) for path in paths] for name, paths in drawn.items()}
    file.write_text(_render(read, form, links), encoding="utf-8")
    return [file, *(path for paths in drawn.values() for path in paths)]


def _render(read: Sequence[Results], form: Format, links: dict[str, list[str]] | None = None) -> str:
    if form == Format.CSV:
        return pd.concat([results.rounded(own.records) for own in read]).to_csv(index=False)
    if form == Format.JSON:
        return json.dumps({"experiments": [_as_json(own) for own in read]}, indent=1, ensure_ascii=False) + "\n"
    blocks = [block for own in read for block in document(own, (links or {}).get(own.name, []))]
    return _markdown(blocks) if form == Format.MD else _latex(blocks)


def _as_json(own: Results) -> dict[str, Any]:
    records = results.dicts(results.rounded(own.records).drop(columns="experiment"))
    for record in records:
        record["protocol"], record["params"] = json.loads(record["protocol"]), json.loads(record["params"])
    return {
        "name": own.name,
        "criterion": own.criterion,
        "experiment": own.experiment,
        "environments": own.environments,
        "trials": own.states,
        "records": [{k: None if _is_nan(v) else v for k, v in record.items()} for record in records],
    }


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


# --- what a report says, in this order ---


def document(own: Results, links: Sequence[str] = ()) -> Iterator[Block]:
    """The blocks of one experiment's report; ``links`` are paths of its figures."""
    yield Heading(1, own.name)
    yield from _standing(own)
    yield tables.provenance(own)
    if own.records.empty:
        yield "No trial has reported yet."
    groups = own.groups()
    for group in groups:
        yield Heading(2, "Results" + (f": {_group_name(group)}" if len(groups) > 1 else ""))
        yield from _some(tables.matrix(group, own.criterion))
        yield from _some(tables.matrix(group, ORACLE))
        yield from _some(tables.matrix(group, own.criterion, ranked=False))
        yield from _some(tables.gains(own, group))
    if not own.records.empty:
        yield Heading(2, "How the numbers were chosen")
        yield _choosing(own)
        yield from _some(tables.regrets(own))
        yield from _comparisons(own, groups)
    yield Heading(2, "What it took")
    yield tables.effort(own)
    yield from _some(tables.failures(own))
    if links:
        yield Heading(2, "Figures")
        yield from (Image(link, Path(link).stem.replace("_", " ")) for link in links)


def _some(table: Table | None) -> Iterator[Table]:
    if table is not None:
        yield table


def _standing(own: Results) -> Iterator[str]:
    """How far the experiment is; nothing to say where every trial ended well."""
    counts, total = own.states, len(own.trials)
    ended = counts.get("done", 0) + counts.get("stopped", 0)
    if ended == total and total:
        yield f"All {total} trials have ended."
        return
    missing = total - ended
    states = ", ".join(
        f"{counts[state]} {state}" for state in ("pending", "running", "failed", "oom") if state in counts
    )
    cells = own.trials[selection.CELL].drop_duplicates()
    reported = own.records[selection.CELL].drop_duplicates()
    yield (
        f"**Unfinished: {missing} of {total} trials are missing ({states}); {len(cells) - len(reported)} of "
        f"{len(cells)} cells have no result yet.** `python -m sweep run {own.name}` continues."
    )


def _group_name(group: pd.DataFrame) -> str:
    first = group.iloc[0]
    return f"{first['dataset']}, profile {first['profile']}" + (
        f", {first['options']}" if first["options"] != "{}" else ""
    )


def _choosing(own: Results) -> str:
    transductive = own.records["transductive"].any()
    seen = (
        "the unlabelled target samples, which are also the scored ones"
        if transductive
        else ("the unlabelled target training samples")
    )
    return (
        f"Inside each cell (method × pair) the trial with the best {tables.criterion_name(own.criterion)} "
        f"({selection.CRITERIA[own.criterion]}) at its last epoch is taken, trials that were stopped early included; "
        f"one that predicts at most half of the classes wins only where all do. Criteria look at {seen}; no target "
        "label takes part. Accuracy ± its sample standard deviation is over seeds of the chosen params; a number "
        "without ± is a single run. The oracle takes the best target accuracy among the same trials at their last "
        "epoch, as most papers do, and best over epochs the best of any epoch, too: both use the labels that they are "
        "scored on, and are for comparison only."
    )


def _comparisons(own: Results, groups: Sequence[pd.DataFrame]) -> Iterator[Block]:
    yield Heading(2, "Beside the published numbers")
    yield (
        "Accuracies and differences in percent. Of several published numbers, the one with our backbone stands here, "
        "else that of the first paper, in its best variant; of several replications the best plausible one."
    )
    references = tables.References()
    for group in groups:
        if len(groups) > 1:
            yield Heading(3, _group_name(group))
        for key in group[METHOD].drop_duplicates().itertuples(index=False, name=None):
            yield tables.comparison(own, group, key, references)
            if source := own.citations.get(key[0]):
                yield f"{key[0]}: {source}"
    if references.texts:
        sources = [f"[{number}] {text}" for text, number in references.texts.items()]
        yield Items("Sources of the published numbers:", sources)


# --- markdown ---


def _markdown(blocks: Iterable[Block]) -> str:
    return "\n\n".join(_markdown_block(block) for block in blocks) + "\n"


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Image(path, caption):
            return f"![{caption}]({path})"
        case Items():
            return f"{block.intro}\n\n" + "\n".join(f"- {text}" for text in block.texts)
        case Table():
            rows = [[_markdown_cell(text) for text in row] for row in block.rows]
            body = tabulate(
                rows,
                [_markdown_cell(text) for text in block.headers],
                tablefmt="pipe",
                colalign=_alignment(block) if block.rows else None,
                disable_numparse=True,
            )
            return "\n\n".join([f"**{block.caption}**", body, *block.notes])
        case str():
            return block


def _markdown_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _alignment(table: Table) -> tuple[str, ...]:
    return tuple("right" if letter == "r" else "left" for letter in table.align)


# --- LaTeX ---

_PREAMBLE = "% Needs \\usepackage{booktabs,graphicx}."
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"} | {c: f"\\{c}" for c in "&%$#_{}"}
_SYMBOLS = {
    "→": r"$\to$",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "–": "--",
    "…": r"\dots{}",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
}
_SECTIONS = {1: "section", 2: "subsection", 3: "subsubsection"}


def _latex(blocks: Iterable[Block]) -> str:
    return "\n\n".join([_PREAMBLE, *(_latex_block(block) for block in blocks)]) + "\n"


def _latex_block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"\\{_SECTIONS[level]}{{{_latex_text(text)}}}"
        case Image(path, caption):
            graphic = f"\\includegraphics[width=\\linewidth]{{{path}}}"
            return _float("figure", graphic, caption)
        case Items():
            items = "\n".join(f"\\item {_latex_text(text)}" for text in block.texts)
            return f"{_latex_text(block.intro)}\n\\begin{{itemize}}\n{items}\n\\end{{itemize}}"
        case Table():
            # tabulate escapes what LaTeX would read as commands.
            body = tabulate(
                block.rows,
                block.headers,
                tablefmt="latex_booktabs",
                colalign=_alignment(block) if block.rows else None,
                disable_numparse=True,
            )
            notes = "".join(f"\n\n\\footnotesize {_latex_text(note)}" for note in block.notes)
            fitted = f"\\resizebox{{\\linewidth}}{{!}}{{%\n{_latex_markup(body)}}}{notes}"
            return _float("table", fitted, block.caption)
        case str():
            return _latex_text(block)


def _float(kind: str, content: str, caption: str) -> str:
    title = f"\\caption{{{_latex_text(caption)}}}"
    return f"\\begin{{{kind}}}[htbp]\\centering\n{title}\n{content}\n\\end{{{kind}}}"


def _latex_text(text: str) -> str:
    return _latex_markup("".join(_SPECIAL.get(letter, letter) for letter in text))


def _latex_markup(text: str) -> str:
    """Light markdown (bold, code) and symbols, in text that is escaped already."""
    for symbol, command in _SYMBOLS.items():
        text = text.replace(symbol, command)
    text = re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", text)
    return re.sub(r"`(.+?)`", r"\\texttt{\1}", text)
