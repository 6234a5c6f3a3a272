"""``try``: from two folders or tables to predictions, in one command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import transfer_sweep
from transfer_sweep.sweep.cli.options import RESULTS, Plugins, Results, err, new_table, out, say
from transfer_sweep.sweep.environment import cache_folder
from transfer_sweep.sweep.errors import SweepError

if TYPE_CHECKING:
    from transfer_sweep.datasets._own import OwnDataset
    from transfer_sweep.reports.document.elements import Table as Ranking

_FILE = """\
# Made by `sweep try`; edit it, and `python -m sweep run {file}` runs what is new. See search_spaces/README.md.
description: {description}
dataset:
  {kind}:
    {source_name}: {source}
    {target_name}: {target}
{options}pairs: [[{source_name}, {target_name}]]
protocol: {protocol}
epochs: 20
seed: 0
early_stopping: {{scheduler: asha, grace: 0.33, reduction: 3}}
methods:
  source_only: {{lr: [0.003, 0.01, 0.03]}}
  nearest_neighbor: {{}}
  linear_svm: {{C: [0.1, 1]}}
  coral: {{regularization: [1, 10]}}
  tca: {{n_components: [10, 30], mu: [0.1, 1]}}
  jda: {{n_components: [10, 30], mu: 1}}
  dan: {{lr: [0.003, 0.01, 0.03], trade_off: [1, 3]}}
  dann: {{lr: [0.003, 0.01, 0.03], trade_off: [0.3, 1]}}
  cdan: {{lr: [0.003, 0.01, 0.03], trade_off: [0.3, 1]}}
  mcc: {{lr: [0.003, 0.01, 0.03], trade_off: [0.3, 1]}}
"""


def try_(
    source: Annotated[
        Path, typer.Argument(help="Labelled: a folder of class folders, or a table with a label column.")
    ],
    target: Annotated[Path, typer.Argument(help="A folder or table of the same kind, with labels or without.")],
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so long, with the best answer so far; again goes on.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the experiment, and of its file NAME.yaml here; after the two if absent.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The label column of tables.")] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave pictures out that cannot be read, and count them.")
    ] = False,
    results: Results = RESULTS,
    _plugins: Plugins = None,
) -> None:
    """Which method works on my pair? A sensible set of them, a recommendation without target labels, predictions.

    It writes an experiment file that is yours to edit, and leaves predictions, the model and a page in the results.
    """
    from transfer_sweep.datasets._own import OwnDataset
    from transfer_sweep.sweep.config import loader
    from transfer_sweep.sweep.engine.cluster import Cluster
    from transfer_sweep.sweep.runner import Run, RunOptions

    known = set(Path().glob("*.yaml"))
    file = experiment_file(source, target, name, label)
    options = RunOptions(
        results=results, data_root=None, cache=cache_folder(), skip_damaged=skip_damaged, minutes=minutes
    )
    try:
        sweep = Run(loader.load(str(file)), options, err, Cluster(err))
    except transfer_sweep.UserError:
        if file not in known:
            file.unlink()  # it is about what cannot be
        raise
    dataset = sweep.dataset
    assert isinstance(dataset, OwnDataset)
    say(f"{file} as it stands" if file in known else f"wrote {file}")
    for line in _findings(dataset):
        say(line)
    outcome = sweep.execute()
    if outcome.interrupted:
        say(f"stopped; `python -m sweep try {source} {target}` continues")
        raise typer.Exit(outcome.exit_code)
    _answer(sweep.folder, dataset)
    if outcome.out_of_time:
        say(f"the time is over; `python -m sweep run {file}` goes on")
    raise typer.Exit(outcome.exit_code)


def experiment_file(source: Path, target: Path, name: str | None, label: str | None) -> Path:
    """The experiment file: a new one, or that of an earlier try as the user left it.

    Raises:
        SweepError: one of the two does not exist, both are the same, they are of different kinds, a folder cannot
            have that name, or a file of that name is about other data.
    """
    from transfer_sweep.datasets.io.tables import SUFFIXES
    from transfer_sweep.sweep.config import loader

    if name is not None and not re.fullmatch(r"\w[\w.-]*", name):
        raise SweepError(f"--name: letters, digits and _.- name an experiment (it is {name!r})")
    for place in (source, target):
        if not place.exists():
            raise SweepError(f"{place} does not exist: name a folder of pictures, or a table ({', '.join(SUFFIXES)})")
    if source.resolve() == target.resolve():
        raise SweepError(f"source and target are the same: {source}")
    kinds = [_kind(place) for place in (source, target)]
    if kinds[0] != kinds[1]:
        raise SweepError(f"{source} holds {kinds[0]}, {target} {kinds[1]}: both have to be of one kind")
    names = [_name(place) for place in (source, target)]
    if names[0] == names[1]:
        names = [f"{each}_{role}" for each, role in zip(names, ("source", "target"), strict=True)]
    file = Path(f"{name or '_to_'.join(names)}.yaml")
    if file.exists():
        paths = {Path(path).resolve() for path in loader.load(str(file)).paths.values()}
        if not {source.resolve(), target.resolve()} <= paths:
            raise SweepError(f"{file} is there already and about other data: give this try another --name")
        return file
    pictures = kinds[0] == "pictures"
    column = "label_column" if pictures else "label"
    options = f"  {column}: {_quoted(label)}\n" if label else ""
    text = _FILE.format(
        file=file,
        kind="folders" if pictures else "tables",
        description=_quoted(f"{source} to {target}"),
        source=_quoted(source),
        target=_quoted(target),
        source_name=names[0],
        target_name=names[1],
        options=options,
        protocol="{backbone: efficientnet_lite0, training: frozen}" if pictures else "{}",
    )
    file.write_text(text, encoding="utf-8")
    return file


def _answer(folder: Path, dataset: OwnDataset) -> None:
    """Print the methods in their order and the recommendation; leave predictions and the page beside the ledger."""
    from transfer_sweep.reports import recommendation, report
    from transfer_sweep.reports import results as experiments
    from transfer_sweep.reports.formats import Format
    from transfer_sweep.reports.ledger.ledger import FILE
    from transfer_sweep.reports.sections.recommendation import expectations, ranking, warnings
    from transfer_sweep.sweep.trial import predictions

    found = experiments.read(folder / FILE)
    recommended = recommendation.recommend(found)
    if not recommended:
        raise SweepError("no method has a result yet: give it more --minutes, or look at `python -m sweep status`")
    for pair, answer in recommended.items():
        _print(ranking(found, pair))
        say(f"recommended: {answer.cell.name}, {answer.how}", out)
        for expectation in expectations({pair: answer}):
            say(expectation.replace("**", ""), out)
        for warning in warnings({pair: answer}):
            say(warning.replace("**", ""), out)
        names = dataset.sample_names(pair.target)
        logits = found.logits(answer.trial.id)
        file = folder / ("predictions.csv" if len(recommended) == 1 else f"predictions_{pair.source}_{pair.target}.csv")
        if logits is not None:
            predictions.write(file, predictions.of_logits(names, logits, dataset.classes), tabular=False)
            say(f"wrote {file}: {len(names)} predictions")
    for page in report.write([folder / FILE], folder / "report.html", Format.HTML):
        say(f"wrote {page}")


def _print(ranking: Ranking) -> None:
    from transfer_sweep.reports.document.elements import text_of

    table = new_table(*ranking.headers, title=ranking.caption)
    for column, align in zip(table.columns, ranking.align, strict=True):
        column.justify = "right" if align == "r" else "left"
    for row in ranking.rows:
        table.add_row(*map(text_of, row))
    out.print(table)
    for note in ranking.notes:
        say(note, out)


def _findings(dataset: OwnDataset) -> Iterator[str]:
    """What the domains were found to hold, in sentences."""
    for domain in dataset.domains:
        yield from dataset.findings(domain).lines


def _quoted(text: object) -> str:
    """A YAML scalar that is this text, whatever it holds."""
    plain = str(text.absolute() if isinstance(text, Path) else text)
    return "'" + plain.replace("'", "''") + "'"


def _kind(place: Path) -> str:
    """What a folder or file holds: ``pictures`` or ``vectors``."""
    from transfer_sweep.datasets.io.tables import SUFFIXES

    if place.is_dir():
        return "pictures"
    if not place.name.lower().endswith(SUFFIXES):
        raise SweepError(f"{place} is neither a folder nor a table ({', '.join(SUFFIXES)})")
    return "vectors"


def _name(place: Path) -> str:
    """The name of a domain, after its folder or file."""
    from transfer_sweep.datasets.io.tables import SUFFIXES

    stem = place.resolve().name.lower()
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    return re.sub(r"\W+", "_", stem).strip("_") or "data"
