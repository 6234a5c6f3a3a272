"""Reports of experiments, as markdown, a page, LaTeX, CSV or JSON, on stdout or in files."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from transfer_sweep.reports import results, selection, statistics
from transfer_sweep.reports.aside import HERE, Aside
from transfer_sweep.reports.document import plotting as figures
from transfer_sweep.reports.document.elements import Block, Drawing, Fold, Heading, Items, Table, Variants
from transfer_sweep.reports.formats import Format, latex, markdown
from transfer_sweep.reports.ledger.ledger import LedgerError
from transfer_sweep.reports.results import METHOD, Results
from transfer_sweep.reports.sections import few_labels as semi_supervised
from transfer_sweep.reports.sections import representations, summary, tables, transferability
from transfer_sweep.reports.selection import ORACLE
from transfer_sweep.reports.statistics import Comparison, Importance


def render(
    ledgers: Sequence[Path],
    form: Format = Format.MD,
    criterion: str | None = None,
    everything: bool = False,
    aside: Aside = HERE,
) -> str:
    """The report of one or more experiments as one text; a page holds one experiment.

    Args:
        ledgers: the experiments' ledgers.
        form: what to write.
        criterion: what chooses trials; None: each experiment's own.
        everything: show trials of former plans, too.
        aside: where statistics are computed and figures drawn, see :func:`transfer_sweep.reports.aside.second_process`.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        KeyError: there is no such criterion.
    """
    return _render([results.read(path, criterion, everything) for path in ledgers], form, aside)


def write(
    ledgers: Sequence[Path],
    output: Path,
    form: Format = Format.MD,
    criterion: str | None = None,
    everything: bool = False,
    refresh: int | None = None,
    aside: Aside = HERE,
) -> list[Path]:
    """Write reports to files.

    A name with a suffix is one file for all experiments. Any other is a folder, which gets ``<experiment>.<form>``
    and ``<experiment>.trials.csv.gz`` for each. Markdown and LaTeX get their figures in a folder beside them; a page
    has them inside.

    Args:
        ledgers, form, criterion, everything, aside: as for :func:`render`.
        output: the file or folder.
        refresh: seconds after which a page loads itself again; None: never.

    Returns:
        The files written.

    Raises:
        LedgerError: there is no ledger, it cannot be read, a file cannot be written, or one page is to hold several
            experiments.
    """
    written: list[Path] = []
    try:
        if output.suffix:
            read = [results.read(path, criterion, everything) for path in ledgers]
            written += _write_one(read, output, form, refresh, aside)
            return written
        for path in ledgers:
            own = results.read(path, criterion, everything)
            written += _write_one([own], output / f"{own.name}.{form}", form, refresh, aside)
            archive = output / f"{own.name}.trials.csv.gz"
            archive.write_bytes(results.trials_csv(own))
            written.append(archive)
    except OSError as error:
        raise LedgerError(f"cannot write the report to {output}: {error.strerror or error}") from error
    return written


def _write_one(read: Sequence[Results], file: Path, form: Format, refresh: int | None, aside: Aside) -> list[Path]:
    file.parent.mkdir(parents=True, exist_ok=True)
    written = [file]
    drawn: list[Callable[[], None]] = []

    def place(own: Results, drawing: Drawing) -> str:
        folder = file.with_suffix("")
        picture = (folder if len(read) == 1 else folder / own.name) / f"{drawing.name}.png"
        drawn.append(aside.begin(figures.write, drawing, picture))
        written.append(picture)
        return os.path.relpath(picture, file.parent)

    text = _page(read, aside, refresh) if form is Format.HTML else _render(read, form, aside, place)
    for finish in reversed(drawn):  # the other process draws the first ones meanwhile
        finish()
    _replace(file, text)
    return written


def _replace(file: Path, text: str) -> None:
    """Write a file so that who reads it meanwhile gets the old or the new one, whole."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _render(
    read: Sequence[Results],
    form: Format,
    aside: Aside,
    place: Callable[[Results, Drawing], str] | None = None,
) -> str:
    match form:
        case Format.CSV:
            return pd.concat([results.rounded(own.records) for own in read]).to_csv(index=False)
        case Format.JSON:
            return json.dumps({"experiments": [_as_json(own) for own in read]}, indent=1, ensure_ascii=False) + "\n"
        case Format.HTML:
            return _page(read, aside)
    renderer = markdown if form == Format.MD else latex
    return "\n\n".join(renderer.render(document(own, aside), place and partial(place, own)) for own in read)


def _page(read: Sequence[Results], aside: Aside, refresh: int | None = None) -> str:
    if len(read) > 1:
        raise LedgerError("a page holds one experiment: name a folder, which gets one for each")
    from transfer_sweep.reports.formats import html  # noqa: PLC0415 - brings Jinja, which nothing else needs

    own = read[0]
    blocks = document(own, aside)  # before the choices, which have the predictions read
    choices = [html.Choice(name, tables.criterion_name(name), selection.CRITERIA[name]) for name in own.criteria]
    oracle = html.Choice(ORACLE, ORACLE, "the best target accuracy at the last epoch; for reporting only")
    return html.render(own.name, blocks, [*choices, oracle], refresh, aside)


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


def document(own: Results, aside: Aside = HERE) -> Iterator[Block]:
    """The blocks of one experiment's report.

    Args:
        own: the experiment.
        aside: begins at once with what rests on statistics; the rest is done as blocks are asked for.
    """
    searched = tables.searched(own)
    tests = [aside.begin(tables.compared, group, own.criterion) for group in own.groups()]
    return _blocks(own, tests, searched, aside.begin(statistics.importances, searched))


Trials = Mapping[tables.MethodKey, pd.DataFrame]
Importances = Callable[[], dict[tables.MethodKey, Importance]]


def _blocks(
    own: Results, tests: Sequence[Callable[[], Comparison | None]], searched: Trials, importances: Importances
) -> Iterator[Block]:
    views = _Views(own)
    groups = own.groups()
    comparisons = [result() for result in tests]
    yield Heading(1, own.name)
    yield f"{_standing(own)} {summary.summary(own, comparisons)}"
    for why, pairs in by_reason(own.experiment.get("skipped", {})).items():
        yield f"Skipped for want of data: {', '.join(pairs)} ({why})."
    yield Fold("What ran: data and its checksums, protocol, machine, command", [tables.provenance(own)])
    if own.records.empty:
        yield "No trial has reported yet."
    for number, group in enumerate(groups):
        yield Heading(2, "Results" + (f": {_group_name(group)}" if len(groups) > 1 else ""))
        yield from _results(own, views, number)
        yield from _differences(own, comparisons[number], _numbered("critical_difference", number, len(groups)))
        yield from _few_labels(own, group, number)
    yield from _transferability(own)
    if groups:
        yield Heading(2, "How the numbers were chosen")
        yield _choosing(own)
        yield from _some(tables.regrets(own))
        yield from _comparisons(own, views)
        yield from _learning(own)
        yield from _representations(own)
        yield from _stopping(own)
        yield from _hyperparameters(own, searched, importances)
    yield Heading(2, "What it took")
    yield tables.effort(own)
    yield from _some(tables.failures(own))


class _Views:
    """An experiment by each way of choosing its trials; each is made when it is first asked for."""

    def __init__(self, own: Results) -> None:
        self.own = own
        self.criteria = own.criteria  # which has the predictions read
        self.by = cache(lambda name: own if name in (own.criterion, ORACLE) else own.by(name))
        self._groups = cache(lambda name: self.by(name).groups())

    def group(self, number: int, name: str) -> pd.DataFrame:
        """The records of a group: ``name`` is a criterion or ``oracle``."""
        return self._groups(name)[number]

    def variants(self, make: Callable[[str], Table | None], oracle: bool = True) -> Variants:
        """A table by each criterion and, with ``oracle``, by the oracle; paper has the own criterion's and that."""
        names = [*self.criteria, ORACLE] if oracle else self.criteria
        return Variants(names, [self.own.criterion, ORACLE] if oracle else [self.own.criterion], make)


def _some(table: Table | None) -> Iterator[Table]:
    if table is not None:
        yield table


def _numbered(name: str, number: int, groups: int) -> str:
    return f"{name}_{number + 1}" if groups > 1 else name


def _results(own: Results, views: _Views, number: int) -> Iterator[Block]:
    yield views.variants(lambda name: tables.matrix(views.group(number, name), name))
    group, groups = views.group(number, own.criterion), len(own.groups())
    if tables.pairs_of(group):
        yield Drawing(
            _numbered("accuracy", number, groups),
            f"Target accuracy in percent, chosen by {tables.criterion_name(own.criterion)}",
            "The numbers of the table above, as a heat map.",
            partial(figures.heat_map, group[(group["selection"] == own.criterion) & (group["few"] == "")]),
            on_page=False,
        )
    yield from _some(tables.matrix(group, own.criterion, access="target_train"))
    gains = views.variants(lambda name: tables.gains(views.group(number, name), name))
    yield dataclasses.replace(gains, printed=[own.criterion])


def _few_labels(own: Results, group: pd.DataFrame, number: int) -> Iterator[Block]:
    """What a few target labels give, apart from what is reached without any."""
    curves = semi_supervised.curves(own, group)
    if curves.empty:
        return
    yield Heading(3, "With a few target labels")
    yield semi_supervised.INTRODUCTION
    yield from semi_supervised.accuracy_tables(curves, own.criterion)
    yield from _some(tables.matrix(group, own.criterion, access="few"))
    yield Drawing(
        _numbered("labels_per_class", number, len(own.groups())),
        "Target accuracy in percent over labels per class (bars: one standard deviation over seeds)",
        "A panel for the average and for each pair, a line per method.",
        partial(semi_supervised.figure, curves),
    )


def _transferability(own: Results) -> Iterator[Block]:
    found = transferability.curves(own)
    if found.empty:
        return
    yield Heading(2, "How transferable layers are")
    yield transferability.introduction(found)
    yield transferability.table(found)
    yield Drawing(
        "transferability",
        "Target accuracy over layers copied, and the difference to a network that copies none",
        "A line per kind of network; plus signs are those whose copied layers learn on.",
        partial(transferability.figure, found),
    )


def _differences(own: Results, comparison: Comparison | None, name: str) -> Iterator[Block]:
    """Which methods differ, as far as tests over the pairs can say."""
    if comparison is None:
        return
    pairs, methods = comparison.accuracies.shape
    statistic, p = comparison.friedman
    yield Heading(3, "Which differences hold")
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
    yield f"{text} Pairs that share a domain are not independent, which makes p-values somewhat too small."
    yield tables.ranking(comparison, own.criterion)
    yield Drawing(
        name,
        f"Average ranks; bars join methods that Nemenyi's test does not tell apart (critical difference "
        f"{comparison.critical_difference:.2f} at α = 0.05)",
        "The average ranks of the table above on a line, the best at the left.",
        partial(figures.critical_difference, comparison),
    )


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _stopping(own: Results) -> Iterator[Block]:
    found = summary.stopping(own)
    if found is not None:
        text, lengths = found
        yield Heading(2, "How early stopping went")
        yield text
        yield Drawing(
            "early_stopping",
            "After how many epochs the trials of the search ended",
            "A bar per method, in parts by the number of epochs: stopped early at the left, whole runs at the right.",
            partial(figures.stopping, lengths),
        )


def _hyperparameters(own: Results, searched: Trials, importances: Importances) -> Iterator[Block]:
    found = importances()
    single = [table for group in own.groups() for table in _some(tables.single_params(own, group))]
    if found or single:
        yield Heading(2, "Hyperparameters")
    yield from single
    if found:
        yield tables.importances(searched, found)
        yield Drawing(
            "hyperparameters",
            "What each value of a hyperparameter gave: target accuracy in points above the average of the cell "
            "(a thin line is a pair, the thick one their mean)",
            "A panel per method and hyperparameter, the most important of each method first.",
            partial(figures.slices, searched, found),
        )


def _learning(own: Results) -> Iterator[Block]:
    groups = own.groups()
    learned = [figures.that_learned(own, group) for group in groups]
    if any(not records.empty for records in learned):
        yield Heading(2, "Learning curves")
    for number, records in enumerate(learned):
        if not records.empty:
            yield Drawing(
                _numbered("learning_curves", number, len(groups)),
                "Learning curves of the chosen trials",
                "Source validation, target accuracy and the criterion over the epochs, for each method and pair.",
                partial(figures.learning_curves, own.curves, records, own.criterion),
            )


def _representations(own: Results) -> Iterator[Block]:
    groups = own.groups()
    found = [representations.panels(own, group) for group in groups]
    if any(found):
        yield Heading(2, "Features")
    for number, rows in enumerate(found):
        if rows:
            yield Drawing(
                _numbered("features", number, len(groups)),
                "Features before and after adaptation, by t-SNE",
                "Source and target samples as the last classifier sees them: without adaptation in the first column, "
                "and with the most accurate methods.",
                partial(representations.t_sne, rows),
            )
            yield Drawing(
                _numbered("confusions", number, len(groups)),
                "Confusions on the scored target samples, in percent of the true class",
                "A square per method and pair: rows are true classes, columns predicted ones.",
                partial(representations.confusions, rows),
            )


def _standing(own: Results) -> str:
    """How far the experiment is."""
    counts, total = own.states, len(own.trials)
    ended = counts.get("done", 0) + counts.get("stopped", 0)
    if ended == total and total:
        return f"All {total} trials have ended."
    missing = total - ended
    states = ", ".join(
        f"{counts[state]} {state}" for state in ("pending", "running", "failed", "oom") if state in counts
    )
    cells = own.trials[selection.CELL].drop_duplicates()
    reported = own.records[selection.CELL].drop_duplicates()
    return (
        f"**Unfinished: {missing} of {total} trials are missing ({states}); {len(cells) - len(reported)} of "
        f"{len(cells)} cells have no result yet.** `python -m sweep run {own.name}` continues."
    )


def by_reason(skipped: Mapping[str, str]) -> dict[str, list[str]]:
    """Pair → why it was skipped, turned around."""
    reasons: dict[str, list[str]] = {}
    for pair, why in skipped.items():
        reasons.setdefault(why, []).append(pair)
    return reasons


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
    blind = "no label of a scored sample" if own.records["few"].any() else "no target label"
    return (
        f"Inside each cell (method × pair) the trial with the best {tables.criterion_name(own.criterion)} "
        f"({selection.CRITERIA[own.criterion]}) at its last epoch is taken, trials that were stopped early included; "
        f"one that predicts at most half of the classes wins only where all do. Criteria look at {seen}; {blind} "
        "takes part. Accuracy ± its sample standard deviation is over seeds of the chosen params; a number "
        "without ± is a single run. The oracle takes the best target accuracy among the same trials at their last "
        "epoch, as most papers do, and best over epochs the best of any epoch, too: both use the labels that they are "
        "scored on, and are for comparison only."
    )


def _comparisons(own: Results, views: _Views) -> Iterator[Block]:
    yield Heading(2, "Beside the published numbers")
    yield (
        "Accuracies and differences in percent. Of several published numbers, the one with our backbone stands here, "
        "else that of the first paper, in its best variant; of several replications the best plausible one."
    )
    references = tables.References()
    yield from _some(tables.risks(own, references))
    measured = figures.with_distances(own)
    if not measured.empty:
        yield Drawing(
            "proxy_a_distance",
            "Proxy A-distance of the representations over that of the inputs",
            "The distances of the table of risks; below the dotted line, the representation hides the domain better.",
            partial(figures.distances, measured),
        )
    groups = own.groups()
    for number, group in enumerate(groups):
        if len(groups) > 1:
            yield Heading(3, _group_name(group))
        for key in group[group["few"] == ""][METHOD].drop_duplicates().itertuples(index=False, name=None):
            make = partial(_comparison, views, number, key, references, tables.settings_of(own, key))
            yield Fold(tables.title(key), [views.variants(make, oracle=False)])
    if references.texts:
        sources = [f"[{number}] {text}" for text, number in references.texts.items()]
        yield Items("Sources of the published numbers:", sources)


def _comparison(
    views: _Views,
    number: int,
    key: tables.MethodKey,
    references: tables.References,
    settings: tables.Settings,
    name: str,
) -> Table:
    return tables.comparison(views.by(name), views.group(number, name), key, references, settings)
