"""Tables of an experiment: methods × pairs, beside the published numbers, and what they cost.

A :class:`Table` holds finished text, which the forms of a report render. Methods that see target labels
stand in tables of their own and are never ranked among the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from transfer_sweep.reports import published as paper
from transfer_sweep.reports import selection, statistics
from transfer_sweep.reports.document.elements import Cell, Table
from transfer_sweep.reports.results import METHOD, Results, dicts
from transfer_sweep.reports.selection import CELL, ORACLE
from transfer_sweep.reports.statistics import Comparison, Importance

MethodKey = tuple[str, str, str, str]
"""A row of a matrix: the values of :data:`transfer_sweep.reports.results.METHOD`."""

MISSING = "–"
OTHER_BACKBONE = "†"
UNFINISHED = "‡"
STOPPED = "§"
_AVERAGE = "average"
_SHOWN_FAILURES = 20
_ERROR_LENGTH = 160
_SHOWN_VALUES = 8


@dataclass
class References:
    """Numbers the sources of published values, in the order in which they are first used."""

    texts: dict[str, int] = field(default_factory=dict)

    def number(self, reference: str, backbone: str, note: str) -> int:
        """The number of a source; sources that differ in backbone or note have their own."""
        text = f"{reference}; {backbone}" + (f"; {note}" if note else "")
        return self.texts.setdefault(text, len(self.texts) + 1)


def percent(value: float, std: float = math.nan, digits: int = 1) -> str:
    """``81.3``, ``81.3 ± 0.4`` or, where there is no number, a dash."""
    if pd.isna(value):
        return MISSING
    return f"{value:.{digits}f}" + ("" if pd.isna(std) else f" ± {std:.{digits}f}")


def signed(value: float, digits: int = 1) -> str:
    """``+1.2``, ``−1.2``, ``0.0`` (of what rounds to it) or, where there is no number, a dash."""
    if pd.isna(value):
        return MISSING
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if any(digit in text for digit in "123456789") else text[1:]


def _share(value: float) -> str:
    return f"{round(100 * value)} %".replace("-", "−")


def criterion_name(name: str) -> str:
    """A criterion as prose has it."""
    return name.replace("_", " ")


def initials(domains: Iterable[str]) -> dict[str, str]:
    """Domain → its initial, as the papers write A→W; the full names where two domains share an initial."""
    names = list(dict.fromkeys(domains))
    short = {name: name[0].upper() for name in names}
    return short if len(set(short.values())) == len(names) else {name: name for name in names}


def pairs_of(group: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of a group in plan order. A target that only an upper bound was run on makes no pair."""
    cells = group[["source", "target"]].drop_duplicates().itertuples(index=False, name=None)
    return [(source, target) for source, target in cells if source != target]


def _columns(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The headers of a table of pairs, and the legend of its initials."""
    short = initials(name for pair in pairs for name in pair)
    legend = [", ".join(f"{letter} = {name}" for name, letter in short.items()) + "."]
    headers = ["method", "backbone", *(f"{short[s]}→{short[t]}" for s, t in pairs), "average"]
    return headers, legend if any(name != letter for name, letter in short.items()) else []


def _backbone(backbone: str, training: str) -> str:
    return backbone if training == "raw" else f"{backbone}, {training}"


def _label(method: str, few: str) -> str:
    return f"{method} ({few})" if few else method


def names_of(records: pd.DataFrame) -> dict[MethodKey, str]:
    """A short name for each row of a matrix, see :func:`short_names`."""
    return short_names(records[METHOD].drop_duplicates().itertuples(index=False, name=None))


def short_names(rows: Iterable[MethodKey]) -> dict[MethodKey, str]:
    """A short name for each: the method's, with what tells it from its namesakes."""
    keys = list(rows)

    def name(key: MethodKey) -> str:
        namesakes = [other for other in keys if other[0] == key[0]]
        differs = [part for i, part in enumerate(key) if part and len({other[i] for other in namesakes}) > 1]
        return f"{key[0]} ({', '.join(differs)})" if differs else key[0]

    return {key: name(key) for key in keys}


def _rows_of(records: pd.DataFrame) -> list[tuple[MethodKey, pd.DataFrame]]:
    return [(key, rows) for key, rows in records.groupby(METHOD, sort=False)]  # type: ignore[misc]


def _by_pair(rows: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[Mapping[str, Any] | None]:
    """A method's record for each pair; what ran once for a target stands for every pair of that target."""
    found = {(r["source"], r["target"]): r for r in dicts(rows)}
    return [found.get(pair) or found.get((pair[1], pair[1])) for pair in pairs]


def _average(values: Sequence[float], digits: int = 1) -> str:
    known = [v for v in values if not pd.isna(v)]
    if not known:
        return MISSING
    mean = f"{sum(known) / len(known):.{digits}f}"
    return mean if len(known) == len(values) else f"{mean} ({len(known)} of {len(values)})"


def matrix(group: pd.DataFrame, chosen_by: str, access: str = "none") -> Table | None:
    """Methods × pairs: target accuracy in percent, with an average.

    Args:
        group: the records that may share a table: one of :meth:`Results.groups`.
        chosen_by: the criterion, or ``oracle``.
        access: which target labels the methods see; those that see none are ranked, the best of each column in bold.
    """
    pairs, ranked = pairs_of(group), access == "none"
    records = group[(group["selection"] == chosen_by) & (group["label_access"] == access)]
    if records.empty or not pairs:
        return None
    headers, legend = _columns(pairs)
    if not ranked:
        headers.insert(2, "target labels")
    of_methods = _rows_of(records)
    means = [[_mean(cell) for cell in _by_pair(own, pairs)] for _, own in of_methods]
    places = _places(means) if ranked else [[0] * (len(pairs) + 1) for _ in of_methods]
    rows: list[list[Cell | str]] = []
    for ((method, backbone, training, few), own), values, place in zip(of_methods, means, places, strict=True):
        row: list[Cell | str] = [method, _backbone(backbone, training)]
        if not ranked:
            row.append(few or "all but those scored (upper bound)")
        for cell, value, at in zip(_by_pair(own, pairs), values, place[:-1], strict=True):
            row.append(MISSING if cell is None else _accuracy_cell(cell, value, at))
        complete = sum(values) / len(values)
        rows.append([*row, Cell(_average(values), place[-1], complete)])
    notes = list(legend)
    if records["unfinished"].any():
        notes.append(f"{UNFINISHED} the search of this cell is not finished.")
    how = "the oracle (best target accuracy; for reporting only)" if chosen_by == ORACLE else criterion_name(chosen_by)
    what = _SEEING.get(access, "")
    caption = f"Target accuracy in percent, {what}chosen by {how}"
    align = "ll" + ("" if ranked else "l") + "r" * (len(pairs) + 1)
    return Table(caption, headers, rows, align, notes, shaded=ranked)


def _accuracy_cell(record: Mapping[str, Any], value: float, place: int) -> Cell:
    text = percent(value, record["target_accuracy_std"]) + (UNFINISHED if record["unfinished"] else "")
    return Cell(text, place, value, _details(record))


def _details(record: Mapping[str, Any]) -> list[str]:
    """What stands behind an accuracy: the runs, and the published numbers with their sources."""
    runs = _seeds(record["seeds"]) if record["seeds"] == 1 else f"{record['seeds']} seeds"
    lines = [f"{runs}, epoch {record['epoch']} of {record['budget']}"]
    for kind, name in (("paper", "paper"), ("replication", "earlier replication")):
        if not pd.isna(record[kind]):
            difference = signed(record["target_accuracy_mean"] - record[kind], 2)
            source = ", ".join(filter(None, (record[f"{kind}_backbone"], record[f"{kind}_reference"])))
            lines.append(f"{name} {percent(record[kind], digits=2)} ({difference}): {source}")
    return lines


_SEEING = {
    "target_train": "methods that see all other target labels (bounds, not competitors), ",
    "few": "methods that see a few target labels, ",
}


def _places(means: Sequence[Sequence[float]]) -> list[list[int]]:
    """1 for the best of each column as it is printed, 2 for the second, else 0; of the averages, too.

    Args:
        means: an accuracy for each method and pair. A column that fewer than two methods have is not ranked, nor is
            an average over some of the pairs.
    """
    printed = np.array([[float(f"{value:.1f}") for value in (*row, sum(row) / len(row))] for row in means])
    places = np.zeros(printed.shape, dtype=int)
    for column, place in zip(printed.T, places.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known) > 1:
            for number, value in enumerate(np.unique(known)[:-3:-1], start=1):
                place[column == value] = number
    return [[int(place) for place in row] for row in places]


def _mean(cell: Mapping[str, Any] | None) -> float:
    return math.nan if cell is None else float(cell["target_accuracy_mean"])


def gains(group: pd.DataFrame, chosen_by: str) -> Table | None:
    """Gain over ``source_only`` on the same backbone, and the share of the gap to ``target_only`` that it closes.

    Args:
        group: the records that may share a table: one of :meth:`Results.groups`.
        chosen_by: the criterion, or ``oracle``.
    """
    pairs = pairs_of(group)
    records = group[(group["selection"] == chosen_by) & group["gain_over_source_only"].notna()]
    records = records[records["label_access"] == "none"]
    if records.empty:
        return None
    headers, legend = _columns(pairs)
    rows = []
    for (method, backbone, training, few), own in _rows_of(records):
        cells = _by_pair(own, pairs)
        texts = [MISSING if cell is None else _gain(cell) for cell in cells]
        known = [cell for cell in cells if cell is not None]
        gain = sum(cell["gain_over_source_only"] for cell in known) / len(known)
        closed = [cell["gap_closed_percent"] for cell in known if not pd.isna(cell["gap_closed_percent"])]
        average = {
            "gain_over_source_only": gain,
            "gap_closed_percent": sum(closed) / len(closed) if closed else math.nan,
        }
        part = "" if len(known) == len(pairs) else f" ({len(known)} of {len(pairs)})"
        rows.append([_label(method, few), _backbone(backbone, training), *texts, _gain(average) + part])
    with_gap = records["gap_closed_percent"].notna().any()
    caption = "Gain over source_only in points" + (
        ", and the share of the gap between source_only and target_only that it closes" if with_gap else ""
    )
    title = f"{caption}, chosen by {'the oracle' if chosen_by == ORACLE else criterion_name(chosen_by)}"
    return Table(title, headers, rows, "ll" + "r" * (len(pairs) + 1), legend)


def _gain(cell: Mapping[str, Any]) -> str:
    gap = cell["gap_closed_percent"]
    share = "" if pd.isna(gap) else f" ({_share(gap / 100)})"
    return signed(cell["gain_over_source_only"]) + share


def comparison(
    results: Results, group: pd.DataFrame, key: MethodKey, references: References, settings: Settings
) -> Table:
    """One method beside the published numbers, pair by pair.

    Args:
        results: the experiment.
        group: one of its groups of records.
        key: method, backbone, training and few-label setting: one row of the matrix.
        references: gives each source of a published number its number.
        settings: of the method, see :func:`settings_of`.
    """
    method, backbone, training, _ = key
    own = group[(group[METHOD] == list(key)).all(axis=1)]
    by_criterion = dicts(own[own["selection"] == results.criterion])
    by_oracle = {(r["source"], r["target"]): r for r in dicts(own[own["selection"] == ORACLE])}
    several_epochs = (own["budget"] > 1).any()
    paper = _Published("paper", by_criterion, backbone, training, references)
    replication = _Published("replication", by_criterion, backbone, training, references)
    rows = []
    for record in by_criterion:
        oracle = by_oracle[record["source"], record["target"]]
        mine, best = record["target_accuracy_mean"], oracle["target_accuracy_mean"]
        pair = record["target"] if record["source"] == record["target"] else f"{record['source']} → {record['target']}"
        rows.append(
            [
                pair + (UNFINISHED if record["unfinished"] else ""),
                paper.cell(record),
                replication.cell(record),
                percent(mine, record["target_accuracy_std"], 2),
                _seeds(record["seeds"]),
                signed(mine - record["paper"], 2),
                percent(best, oracle["target_accuracy_std"], 2),
                signed(best - record["paper"], 2),
                percent(oracle["best_over_epochs"] if several_epochs else math.nan, digits=2),
                _params(record["params"], settings.varied),
                _params(oracle["params"], settings.varied),
            ]
        )
    total = len(by_criterion) > 1
    if total:
        rows.append(_average_row(by_criterion, [by_oracle[r["source"], r["target"]] for r in by_criterion]))
    name = criterion_name(results.criterion)
    headers = [
        "pair",
        f"paper{paper.heading}",
        f"earlier replication{replication.heading}",
        f"ours, by {name}",
        "seeds",
        "− paper",
        "ours, by oracle",
        "− paper",
        "best over epochs (oracle)",
        f"params by {name}",
        "params by oracle",
    ]
    notes = []
    if paper.other or replication.other:
        others = ", ".join(dict.fromkeys([*paper.other, *replication.other]))
        notes.append(
            f"{OTHER_BACKBONE} measured with {others}, which is trained; ours is {_backbone(backbone, training)}: "
            "the difference is not the method's alone."
        )
    if settings.fixed:
        notes.append(f"The same in every trial: {settings.fixed}.")
    if source := results.citations.get(method):
        notes.append(f"{method}: {source}.")
    table = Table(title(key), headers, rows, "lrrrlrrrrll", notes, total=total)
    return _without_empty_columns(table)


def title(key: MethodKey) -> str:
    """A row of the matrix in words: the method and what it works on."""
    method, backbone, training, few = key
    return f"{_label(method, few)} ({_backbone(backbone, training)})"


class _Published:
    """A column of published values: one reference in the heading where all share it, else one in each cell."""

    def __init__(
        self, kind: str, records: Sequence[Mapping[str, Any]], backbone: str, training: str, references: References
    ) -> None:
        self.kind, self.backbone, self.training = kind, backbone, training
        self.numbers = {
            i: references.number(r[f"{kind}_reference"], r[f"{kind}_backbone"], r[f"{kind}_note"])
            for i, r in enumerate(records)
            if not pd.isna(r[kind])
        }
        self.of = {(r["source"], r["target"]): self.numbers.get(i) for i, r in enumerate(records)}
        shared = set(self.numbers.values())
        self.heading = f" [{next(iter(shared))}]" if len(shared) == 1 else ""
        self.other = [r[f"{kind}_backbone"] for r in records if not pd.isna(r[kind]) and self._differs(r)]

    def _differs(self, record: Mapping[str, Any]) -> bool:
        # What is published of networks is of trained ones: our frozen features differ even with the same backbone.
        return bool(record[f"{self.kind}_backbone"] != self.backbone) or self.training == "frozen"

    def cell(self, record: Mapping[str, Any]) -> str:
        if pd.isna(record[self.kind]):
            return MISSING
        mark = OTHER_BACKBONE if self._differs(record) else ""
        number = "" if self.heading else f" [{self.of[record['source'], record['target']]}]"
        return f"{percent(record[self.kind], digits=2)}{mark}{number}"


def _average_row(by_criterion: Sequence[Mapping[str, Any]], by_oracle: Sequence[Mapping[str, Any]]) -> list[str]:
    def mean(records: Sequence[Mapping[str, Any]], column: str, minus: str | None = None) -> float:
        values = [r[column] - (r[minus] if minus else 0.0) for r in records]
        return sum(values) / len(values)

    return [
        _AVERAGE,
        percent(mean(by_criterion, "paper"), digits=2),
        percent(mean(by_criterion, "replication"), digits=2),
        percent(mean(by_criterion, "target_accuracy_mean"), digits=2),
        "",
        signed(mean(by_criterion, "target_accuracy_mean", "paper"), 2),
        percent(mean(by_oracle, "target_accuracy_mean"), digits=2),
        signed(mean(by_oracle, "target_accuracy_mean", "paper"), 2),
        percent(mean(by_oracle, "best_over_epochs"), digits=2),
        "",
        "",
    ]


def _without_empty_columns(table: Table) -> Table:
    """The table without the columns that hold nothing in any pair's row (no paper has the method, say)."""
    pairs = table.rows[:-1] if table.total else table.rows
    keep = [i for i in range(len(table.headers)) if any(row[i] not in ("", MISSING) for row in pairs)]
    return Table(
        table.caption,
        [table.headers[i] for i in keep],
        [[row[i] for i in keep] for row in table.rows],
        "".join(table.align[i] for i in keep),
        table.notes,
        total=table.total,
    )


def _seeds(number: int) -> str:
    return "single run" if number == 1 else str(number)


@dataclass(frozen=True)
class Settings:
    """A method's params: the names of those that the search varied, and a text of those that it did not."""

    varied: Sequence[str]
    fixed: str


def settings_of(results: Results, key: MethodKey) -> Settings:
    """What the search tried of a row of the matrix."""
    trials = results.trials
    own = trials[(trials[METHOD] == list(key)).all(axis=1) & (trials["role"] == "search")]
    settings = [json.loads(text) for text in own["params"].unique()]
    names = sorted({name for setting in settings for name in setting})
    varying = [name for name in names if len({value_text(setting.get(name)) for setting in settings}) > 1]
    fixed = [name for name in names if name not in varying]
    return Settings(varying, ", ".join(f"{name} {value_text(settings[0].get(name))}" for name in fixed))


def _params(text: str, names: Sequence[str]) -> str:
    params = json.loads(text)
    return ", ".join(f"{name} {value_text(params[name])}" for name in names if name in params)


def value_text(value: Any) -> str:
    """A param's value as prose has it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def regrets(results: Results) -> Table | None:
    """What choosing by each criterion costs against the oracle, over the cells where there was a choice."""
    pool = _with_a_choice(results)
    if pool.empty:
        return None
    rows = []
    for name in results.criteria:
        regret = selection.regret(pool, name)
        worst = max(dicts(regret.dropna(subset="regret")), key=lambda cell: cell["regret"], default=None)
        mark = " (used here)" if name == results.criterion else ""
        where = "" if worst is None else f" ({worst['method']}, {worst['source']} → {worst['target']})"
        rows.append(
            [
                criterion_name(name) + mark,
                percent(regret["chosen"].mean(), digits=2),
                percent(regret["regret"].mean(), digits=2),
                percent(regret["regret"].max(), digits=2) + where,
            ]
        )
    cells, at_random = _by_chance(pool)
    rows.append(
        ["a random trial", percent(cells["mean"].mean(), digits=2), percent(at_random.mean(), digits=2), MISSING]
    )
    rows.append(["oracle", percent(cells["max"].mean(), digits=2), percent(0.0, digits=2), MISSING])
    return Table(
        f"What choosing without target labels costs, over {len(cells)} cells with a choice (points of target accuracy)",
        ["chosen by", "mean accuracy", "mean regret to the oracle", "worst cell"],
        rows,
        "lrrl",
    )


def _with_a_choice(results: Results) -> pd.DataFrame:
    """The trials that compete, of cells with more than one, by methods that see no target labels."""
    return selection.with_choice(results.derived[results.unsupervised(results.derived)])


def _by_chance(pool: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Mean and best target accuracy of each cell, and the regret of a random choice."""
    cells = pool.groupby(CELL)["target_accuracy"].agg(["mean", "max"])
    return cells, cells["max"] - cells["mean"]


def mean_regrets(results: Results) -> tuple[float, float] | None:
    """The mean regret of the experiment's criterion and of a random choice, as in :func:`regrets`."""
    pool = _with_a_choice(results)
    if pool.empty:
        return None
    return float(selection.regret(pool, results.criterion)["regret"].mean()), float(_by_chance(pool)[1].mean())


def compared(group: pd.DataFrame, chosen_by: str) -> Comparison | None:
    """The tests between the methods of a group that see no target labels; None where there is too little to test."""
    records = group[(group["selection"] == chosen_by) & (group["label_access"] == "none")]
    names = names_of(records)
    keys = records[METHOD].itertuples(index=False, name=None)
    return statistics.compare(statistics.by_pair(records, [names[key] for key in keys]))


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


def searched(results: Results) -> dict[MethodKey, pd.DataFrame]:
    """What :func:`importance` learns from, of each method that sees no, or a few, target labels."""
    candidates = results.candidates[results.access(results.candidates) != "target_train"]
    return {
        key: candidates.loc[(candidates[METHOD] == list(key)).all(axis=1), statistics.LEARNT_FROM]
        for key in names_of(candidates)
    }


def importances(methods: Iterable[MethodKey], found: Mapping[MethodKey, Importance]) -> Table:
    """Which hyperparameters mattered, of the methods that :func:`searched`."""
    rows: list[list[Cell | str]] = []
    names = short_names(methods)
    for key, each in found.items():
        for param, share in each.shares.items():
            values = ", ".join(value_text(value) for value in each.values[param][:_SHOWN_VALUES])
            more = ", …" if len(each.values[param]) > _SHOWN_VALUES else ""
            holds = each.explained > 0
            text = f"{max(share, 0):.2f}" if holds else MISSING
            rows.append(
                [names[key], str(each.trials), _share(each.explained) if holds else "none", param, values + more, text]
            )
    return Table(
        "Importance of hyperparameters, by permutation",
        ["method", "trials", "explained on unseen pairs", "param", "values", "importance"],
        rows,
        "lrrllr",
        [
            "Explained: share of the variance of target accuracy inside cells that a random forest on the params "
            "explains on pairs that it has not seen. Importance: by how much that share drops where the param's "
            "values are shuffled. Both look at target labels, for understanding only."
        ],
    )


def single_params(results: Results, group: pd.DataFrame) -> Table | None:
    """What each value gave of methods that searched a single param: target accuracy by pair, of the search's seed.

    Args:
        results: the experiment.
        group: one of its :meth:`Results.groups`.

    Returns:
        None where no method searched one param alone, with few enough values to list.
    """
    rows: list[list[Cell | str]] = []
    own = selection.eligible(results.candidates)
    own = own[own["protocol"].isin(group["protocol"]) & results.unsupervised(own)]
    pairs, names = pairs_of(own), names_of(own)
    stopped = False
    for key, trials in _rows_of(own):
        varied = settings_of(results, key).varied
        if len(varied) != 1:
            continue
        (name,) = varied
        tried = trials["params"].map(json.loads).str.get(name)
        values = statistics.in_order(tried)
        if len(values) > _SHOWN_VALUES:
            continue
        for value in values:
            by_pair = _by_pair(trials[[other == value for other in tried]], pairs)
            accuracies = [math.nan if cell is None else float(cell["target_accuracy"]) for cell in by_pair]
            early = [cell is not None and cell["state"] == "stopped" for cell in by_pair]
            stopped |= any(early)
            texts = [percent(a) + (STOPPED if e else "") for a, e in zip(accuracies, early, strict=True)]
            rows.append([names[key], f"{name} {value_text(value)}", *texts, _average(accuracies)])
    if not rows or not pairs:
        return None
    (_, _, *headers), notes = _columns(pairs)
    if stopped:
        notes.append(f"{STOPPED} stopped early: the accuracy is that of its last epoch.")
    align = "ll" + "r" * len(headers)
    return Table(
        "Target accuracy in percent by the value of the only param searched, for understanding only",
        ["method", "param", *headers],
        rows,
        align,
        notes,
    )


def effort(results: Results) -> Table:
    """Trials and epochs of the search by method: what ran, what early stopping saved, and how long it took."""
    spent = results.candidates.set_index("id")[["epochs_spent", "seconds"]]
    trials = results.trials.join(spent, on="id")
    rows = []
    for method, own in trials.groupby("method", sort=False):
        search = own[own["role"] == "search"]
        states = search["state"].value_counts()
        ended = search[search["state"].isin(["done", "stopped"])]
        full, used = int(ended["budget"].sum()), int(ended["epochs_spent"].fillna(0).sum())
        failed = int(states.get("failed", 0)) + int(states.get("oom", 0))
        rows.append(
            [
                str(method),
                str(len(search)),
                str(states.get("done", 0)),
                str(states.get("stopped", 0)),
                str(failed),
                str(states.get("pending", 0) + states.get("running", 0)),
                str(full),
                str(used),
                _share((full - used) / full) if full else MISSING,
                str(len(own) - len(search)),
                f"{own['seconds'].sum() / 60:.1f}",
            ]
        )
    total = ["all", *(str(sum(int(row[i]) for row in rows)) for i in range(1, 8))]
    full, used = int(total[6]), int(total[7])
    total.append(_share((full - used) / full) if full else MISSING)
    total += [str(sum(int(row[9]) for row in rows)), f"{trials['seconds'].sum() / 60:.1f}"]
    headers = [
        "method",
        "search trials",
        "done",
        "stopped early",
        "failed",
        "to do",
        "epochs of the full grid",
        "epochs spent",
        "saved",
        "confirmation trials",
        "minutes of trial time",
    ]
    return Table(
        "Trials and epochs",
        headers,
        [*rows, total] if len(rows) > 1 else rows,
        "l" + "r" * 10,
        ["Epochs are those of search trials that ended (done or stopped); time is that of all epochs kept."],
        total=len(rows) > 1,
    )


_MEASURES = {
    "training_risk": "training risk",
    "validation_risk": "validation risk",
    "test_risk": "test risk",
    "iterations": "iterations",
    "pad_input": "PAD of inputs",
    "pad_representation": "PAD of representation",
}


def risks(results: Results, references: References) -> Table | None:
    """What the chosen trials measured of themselves, beside earlier replications, where they measure risks or PADs."""
    records = results.records[results.records["selection"] == results.criterion]
    losses = results.losses.rename(columns={"passes": "iterations"})
    measured = records.merge(losses, on="trial", suffixes=("", "_loss"))
    measured["test_risk"] = 1 - measured["target_accuracy"] / 100
    own = [name for name in _MEASURES if name in measured]
    if not {"training_risk", "pad_representation"} & set(own):
        return None
    measured = measured.dropna(subset=[name for name in own if name != "test_risk"], how="all")
    rows = [
        [
            f"{record['source']} → {record['target']}",
            record["method"],
            _backbone(record["backbone"], record["training"]),
            *(_measured(record, name, references) for name in own),
        ]
        for record in dicts(measured)
    ]
    return Table(
        "Risks (shares of wrong predictions), passes until the network was kept, and proxy A-distances (0 to 2)",
        ["pair", "method", "input", *(_MEASURES[name] for name in own)],
        rows,
        "lll" + "r" * len(own),
        ["In brackets: the earlier replication, then the paper's (read off a figure), with their sources."],
    )


def _measured(record: Mapping[str, Any], name: str, references: References) -> str:
    digits = 0 if name == "iterations" else 3
    found = paper.lookup(
        record["dataset"], record["method"], record["source"], record["target"], record["backbone"], name
    )
    others = [value for value in (found.replication, found.paper) if value and value.backbone == record["backbone"]]
    texts = [
        f"{value.value:.{digits}f} [{references.number(value.reference, value.backbone, value.note)}]"
        for value in others
    ]
    return percent(record[name], digits=digits) + (f" ({'; '.join(texts)})" if texts else "")


def failures(results: Results) -> Table | None:
    """Trials that failed, with the last line of the error."""
    failed = results.trials[results.trials["state"].isin(["failed", "oom"])]
    if failed.empty:
        return None
    rows = []
    for trial in dicts(failed.head(_SHOWN_FAILURES)):
        lines = [line.strip() for line in str(trial["error"] or "").splitlines() if line.strip()]
        error = lines[-1] if lines else "no error recorded"
        error = error if len(error) <= _ERROR_LENGTH else error[: _ERROR_LENGTH - 1] + "…"
        pair = f"{trial['source']} → {trial['target']}"
        params = _params(trial["params"], sorted(json.loads(trial["params"])))
        rows.append([trial["method"], pair, params, str(trial["seed"]), str(trial["attempts"]), error])
    more = len(failed) - len(rows)
    notes = ["The next `run` tries them again."] + ([f"{more} more are in the ledger."] if more else [])
    return Table(
        f"{len(failed)} of {len(results.trials)} trials failed",
        ["method", "pair", "params", "seed", "attempts", "last line of the error"],
        rows,
        "lllrrl",
        notes,
    )


def provenance(results: Results) -> Table:
    """What ran, where, when and from which commit."""
    experiment, trials = results.experiment, results.trials
    facts: dict[str, str] = {"experiment": results.name}
    if experiment.get("description"):
        facts["about"] = str(experiment["description"]).strip()
    source = f" ({experiment['dataset_source']})" if experiment.get("dataset_source") else ""
    facts["dataset"] = ", ".join(trials["dataset"].unique()) + source
    facts["checksums"] = ", ".join(f"{domain} {digest}" for domain, digest in results.data.items())
    facts["protocol"] = "; ".join(protocol_text(p) for p in _protocols(trials))
    if settings := [few for few in trials["few"].unique() if few]:
        facts["target labels"] = f"{'; '.join(settings)} (where no more is said, methods have the source too)"
    facts["profile"] = ", ".join(trials["profile"].unique())
    everything = experiment.get("confirm", {}).get("settings") == "all"
    seeds = {role: sorted(int(s) for s in own["seed"].unique()) for role, own in trials.groupby("role")}
    facts["seeds"] = f"search {_listed(seeds.get('search', []))}" + (
        f"; {'all' if everything else 'the chosen'} params again with {_listed(seeds['confirm'])}"
        if "confirm" in seeds
        else ""
    )
    stopping = experiment.get("early_stopping", {})
    if stopping.get("scheduler") == "asha":
        facts["early stopping"] = (
            f"ASHA in each cell, grace {_share(stopping['grace'])} of the epochs, one in {stopping['reduction']:g} "
            "survives a rung"
        )
    if results.environments:
        last = results.environments[-1]
        facts["hardware"] = _hardware(last.get("hardware", {}))
        first_day, last_day = (_day(e["started_at"]) for e in (results.environments[0], last))
        facts["date"] = first_day if first_day == last_day else f"{first_day} to {last_day}"
        facts["commit"] = ", ".join(dict.fromkeys(str(e["commit"]) for e in results.environments if e.get("commit")))
        facts["command"] = "; ".join(
            dict.fromkeys(f"`{e['command']}`" for e in results.environments if e.get("command"))
        )
        facts["versions"] = ", ".join(f"{k} {v}" for k, v in last.get("versions", {}).items())
    return Table("What ran", ["", ""], [[name, text] for name, text in facts.items() if text], "ll")


def protocol_text(protocol: Mapping[str, Any]) -> str:
    """A protocol in words."""
    parts = [_backbone(protocol["backbone"], protocol["training"])]
    parts += [f"{name} {value_text(value)}" for name, value in json.loads(protocol["options"]).items()]
    holdout = protocol["holdout"]
    parts.append(f"{_share(holdout)} of the source held out" if holdout else "nothing of the source held out")
    parts.append(
        "adapts to the unlabelled samples it is scored on" if protocol["transductive"] else "separate test set"
    )
    return ", ".join(parts)


def _protocols(trials: pd.DataFrame) -> list[dict[str, Any]]:
    columns = ["backbone", "training", "options", "holdout", "transductive"]
    return dicts(trials[columns].drop_duplicates())


def _hardware(hardware: Mapping[str, Any]) -> str:
    parts = []
    if hardware.get("cores"):
        parts.append(f"{hardware['cores']} CPU cores ({hardware.get('machine', '')})".replace(" ()", ""))
    if hardware.get("memory_gib"):
        parts.append(f"{hardware['memory_gib']:.0f} GiB of memory")
    gpus = hardware.get("gpus") or []
    parts += [f"{gpus.count(name)} × {name}" for name in dict.fromkeys(gpus)] or (["no GPU"] if parts else [])
    return ", ".join(parts)


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds)) or MISSING


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
