"""What an experiment's ledger says, as data: one record per cell and way of choosing, and what surrounds them.

:func:`read` is the only reader of ledgers among the reports; sections and files are made of its result.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer_sweep.reports import drawn_labels, published, selection
from transfer_sweep.reports.criteria import registry
from transfer_sweep.reports.criteria.outputs import Outputs
from transfer_sweep.reports.drawn_labels import ByLabels, Drawn
from transfer_sweep.reports.ledger import records as nouns
from transfer_sweep.reports.ledger.artefacts import LOGITS, predicted_classes
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import TrialState, canonical
from transfer_sweep.reports.selection import CELL, ORACLE

GROUP = ["dataset", "profile", "options", "holdout", "transductive"]
"""Numbers share a table only where these agree. Backbone and training may differ, and are printed in each row."""

COMPARED = frozenset({"transferability"})
"""Methods whose params are not chosen among but compared, in a part of the report of their own."""

METHOD = ["method", "backbone", "training", "few"]
"""A row of a table."""

MethodKey = tuple[str, str, str, str]
"""The values of :data:`METHOD`."""

SAME_INPUT = [*GROUP, "backbone", "training", "selection"]
"""Where these and the few-label setting agree, a method's gain over ``source_only`` is the method's own."""


@dataclass(frozen=True)
class DomainSamples:
    """How many samples a domain has, and which labels.

    Attributes:
        total: with and without labels.
        by_class: of each class, in the order of the classes, how many samples bear its label.
    """

    total: int
    by_class: tuple[int, ...]

    @property
    def labelled(self) -> int:
        """How many have a label."""
        return sum(self.by_class)

    @property
    def shares(self) -> NDArray[np.float64] | None:
        """(K,) the share of each class among the samples with labels; None where none has one."""
        return np.array(self.by_class) / self.labelled if self.labelled else None


class Predictions(NamedTuple):
    """What a trial predicts for the unlabelled target training inputs.

    Attributes:
        classes: (n,) of each input.
        number: of classes, K.
    """

    classes: NDArray[np.intp]
    number: int


@dataclass(frozen=True)
class Controls:
    """Trials of ``source_only`` or ``adabn`` with the batch-norm statistics and shared hyperparameters of a chosen one.

    Attributes:
        trials: those that are nothing else: rows as :attr:`Results.trials`, with what they reported as columns.
        accuracies: one row per chosen trial and control: ``trial``, the control's ``method``, ``seed`` and
            ``target_accuracy``, the last two NaN where it has not ended. An ordinary trial of these methods may be a
            control, too. None where the driver planned no controls, or none yet.
        cells: the cells of these chosen trials, as values of :data:`CELL`.
    """

    trials: pd.DataFrame
    accuracies: pd.DataFrame | None
    cells: frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Results:
    """An experiment, read once.

    Attributes:
        name: the experiment's, which is its folder's.
        experiment: what the driver recorded of the experiment file (may be empty).
        folder: the experiment's.
        data: domain → checksum of its arrays when trials ran.
        samples: domain → its samples, where the driver recorded them.
        environments: of each driver run, oldest first.
        criterion: what chooses trials.
        trials: the ledger's trials but for controls, with the protocol's parts as columns.
        candidates: see :func:`transfer_sweep.reports.selection.candidates`, with the protocol's parts as columns;
            already as :attr:`derived` where what chooses compares trials.
        records: one row per cell and way of choosing (the criterion, then ``oracle``, which there is only of
            targets with labels), in plan order; columns as in :data:`transfer_sweep.reports.formats.data.COLUMNS`
            and :data:`GROUP`.
        curves: every epoch of the trials that the criterion chose: ``trial``, ``epoch``, ``target_accuracy`` and
            one column a criterion.
        losses: what those trials said of themselves at their last epoch: ``trial``, and one column a loss.
        controls: the trials that tell what a method gains from what batch norm does.
        outdated: how many trials are left out because an earlier version of their method made them.
        drawn: target → the labels that were drawn of it to choose by; empty where none were.
        ensembles: what the driver measured of each pair's, see :mod:`transfer_sweep.reports.ensembles`.
    """

    name: str
    experiment: dict[str, Any]
    folder: Path
    data: dict[str, str]
    samples: dict[str, DomainSamples]
    environments: list[dict[str, Any]]
    criterion: str
    trials: pd.DataFrame
    candidates: pd.DataFrame
    records: pd.DataFrame
    curves: pd.DataFrame
    losses: pd.DataFrame
    controls: Controls
    outdated: int = 0
    drawn: Mapping[str, Drawn] = field(default_factory=dict)
    ensembles: Mapping[str, Any] = field(default_factory=dict)
    _predictions: dict[str, Predictions | None] = field(default_factory=dict, repr=False, compare=False)
    """What was read; the same experiment by other criteria shares it."""

    @property
    def citations(self) -> dict[str, str]:
        """Method → where it comes from."""
        return dict(self.experiment.get("citations", {}))

    @cached_property
    def derived(self) -> pd.DataFrame:
        """The candidates with what their stored predictions give, see :func:`selection.with_derived`.

        They are read when this is first asked for, which takes a while where trials are many.
        """
        return selection.with_derived(self.candidates)

    @cached_property
    def criteria(self) -> list[str]:
        """The criteria that can choose here, the own one first: some trial has what they need.

        One by family is not among them where another one does the same, since all methods are of one family.
        """
        families = self.candidates["family"].unique()
        found = list(dict.fromkeys([self.criterion, *selection.available(self.derived)]))
        once: dict[str, None] = {}
        for name in found:
            others = [
                each for each in found if each not in selection.BY_FAMILY and selection.same(name, each, families)
            ]
            once.setdefault(others[0] if name in selection.BY_FAMILY and others else name)
        return list(once)

    @cached_property
    def every_trial(self) -> pd.DataFrame:
        """:attr:`trials` and the controls, in plan order."""
        if self.controls.trials.empty:
            return self.trials
        rows = pd.concat([self.trials, self.controls.trials[[*self.trials]]])
        return rows.sort_values("position", kind="stable", ignore_index=True)

    def and_controls(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """:attr:`candidates` or :attr:`derived`, and below them the controls that reported."""
        reported = self.controls.trials.dropna(subset="epoch")
        return candidates if reported.empty else pd.concat([candidates, reported], ignore_index=True)

    @cached_property
    def states(self) -> dict[str, int]:
        """Number of trials by state, controls among them."""
        return {str(state): int(n) for state, n in self.every_trial["state"].value_counts().items()}

    @cached_property
    def unlabelled(self) -> list[str]:
        """The target domains without a label on any scored sample, in plan order: nothing there has an accuracy."""
        return _unlabelled(self.candidates)

    @property
    def has_labels(self) -> bool:
        """Whether some target domain has labels; also where nothing has reported yet."""
        return set(self.candidates["target"]) != set(self.unlabelled) or self.candidates.empty

    @property
    def partly_labelled(self) -> dict[str, DomainSamples]:
        """The target domains of whose samples some have a label and some have none, in plan order."""
        targets = {domain: self.samples.get(domain) for domain in self.trials["target"].unique()}
        return {domain: counts for domain, counts in targets.items() if counts and 0 < counts.labelled < counts.total}

    def has_predictions(self, trial: str) -> bool:
        """Whether the ledger names a file of what a trial predicts."""
        return bool(self._logits.get(trial))

    def logits(self, trial: str) -> NDArray[Any] | None:
        """The (n, K) logits of a trial on the target's training inputs; None if they are not stored."""
        path = self._logits.get(trial, "")
        return selection.stored_logits(str(self.folder / path)) if path else None

    def predictions(self, trial: str) -> Predictions | None:
        """What a trial predicts; None where that is not stored, or not defined."""
        if trial not in self._predictions:
            logits = self.logits(trial)
            outputs = None if logits is None else Outputs.of_logits(logits)
            self._predictions[trial] = (
                None if outputs is None or outputs.undefined else Predictions(outputs.classes, outputs.logits.shape[1])
            )
        return self._predictions[trial]

    def without_drawn(self, trial: str, target: str, confusion: NDArray[np.int64]) -> NDArray[np.int64]:
        """The (K, K) confusion of a trial on its scored samples without those whose labels were drawn to choose by.

        All 0 where predictions are not stored and some would have to be taken out.
        """
        drawn = self.drawn.get(target)
        if drawn is None or drawn.scored is None:
            return confusion
        predicted = predicted_classes(str(self.folder / self._logits[trial])) if self._logits.get(trial) else None
        if predicted is None:
            return np.zeros_like(confusion)
        rest = confusion.copy()
        np.subtract.at(rest, (np.array(drawn.labels), predicted[list(drawn.rows)].astype(np.intp)), 1)
        return rest

    @cached_property
    def _logits(self) -> dict[str, str]:
        kept = zip(self.trials["id"], self.trials["artefacts"], strict=True)
        return {trial: json.loads(artefacts).get(LOGITS, "") for trial, artefacts in kept}

    def access(self, rows: pd.DataFrame) -> pd.Series:
        """Which target labels took part in each row with the columns ``method`` and ``few``."""
        return _access(self.experiment, self.trials, rows)

    def unsupervised(self, rows: pd.DataFrame) -> pd.Series:
        """Of each row with the columns ``method`` and ``few``, whether no target label took part in it."""
        return self.access(rows) == "none"

    def by(self, criterion: str) -> Results:
        """The same experiment, its trials chosen by another criterion; ``curves`` stay those of the own one.

        Raises:
            KeyError: there is no such criterion.
        """
        records = _judged(self.name, self.experiment, self.trials, self.derived, self.controls, criterion)
        return dataclasses.replace(self, criterion=criterion, candidates=self.derived, records=records)

    def groups(self) -> list[pd.DataFrame]:
        """The records, one frame for each protocol that may share a table, in plan order.

        Those of methods in :data:`COMPARED` are left out: nothing is chosen of them.
        """
        records = self.records[~self.records["method"].isin(COMPARED)]
        return [group for _, group in records.groupby(GROUP, sort=False, dropna=False)]


def dicts(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, each as a mapping from column to value."""
    # pandas' own to_dict("records") looks every cell up: ten times as slow.
    names = [str(name) for name in rows]
    return [dict(zip(names, row, strict=True)) for row in zip(*(rows[name].tolist() for name in rows), strict=True)]


def pairs_of(records: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of some records in plan order. A target that only an upper bound was run on makes no pair."""
    cells = records[["source", "target"]].drop_duplicates().itertuples(index=False, name=None)
    return [(source, target) for source, target in cells if source != target]


def by_method(rows: pd.DataFrame) -> list[tuple[MethodKey, pd.DataFrame]]:
    """The rows of each method, methods in the order in which they come."""
    return [(key, group) for key, group in rows.groupby(METHOD, sort=False)]  # type: ignore[misc]


def in_pairs(rows: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> list[Mapping[str, Any] | None]:
    """A method's row for each pair; what ran once for a target stands for every pair of that target."""
    found = {(row["source"], row["target"]): row for row in dicts(rows)}
    return [found.get(pair) or found.get((pair[1], pair[1])) for pair in pairs]


def read(path: Path, criterion: str | None = None, everything: bool = False) -> Results:
    """Read a ledger.

    Args:
        path: the ledger's file; its folder's name is the experiment's.
        criterion: what chooses trials; None: the experiment's own.
        everything: trials of former plans, too.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        KeyError: there is no such criterion.
    """
    with Ledger(path) as ledger:
        return read_open(ledger, criterion, everything)


def read_open(ledger: Ledger, criterion: str | None = None, everything: bool = False) -> Results:
    """:func:`read`, of a ledger that is open."""
    experiment = ledger.meta("experiment") or {}
    name = ledger.path.resolve().parent.name
    criterion = criterion or experiment.get("criterion") or selection.DEFAULT
    criterion = str(ByLabels.parse(criterion) or criterion)
    drawn = drawn_labels.decode(ledger.meta(drawn_labels.META))
    outdated = selection.outdated(ledger) if everything else frozenset()
    trials = ledger.trials(everything)
    trials = _with_protocol(trials[~trials["id"].isin(outdated)])
    reported = _with_protocol(selection.reported(ledger, everything))
    controls = _controls(ledger.meta("controls"), trials, reported)
    trials = trials[trials["role"] != selection.CONTROL]
    candidates = reported[reported["role"] != selection.CONTROL]
    if selection.compares_trials(criterion, candidates["family"].unique()):
        candidates = selection.with_derived(candidates, criterion)
    records = _judged(name, experiment, trials, candidates, controls, criterion)
    epochs = history(ledger, records[records["selection"] == criterion]["trial"])
    data = ledger.meta("data", {})
    return Results(
        name,
        experiment,
        ledger.path.parent,
        data.get("checksums", {}),
        {domain: DomainSamples(n["total"], tuple(n["by_class"])) for domain, n in data.get("samples", {}).items()},
        ledger.environments(),
        criterion,
        trials,
        candidates,
        records,
        _curves(epochs),
        _losses(epochs),
        controls,
        len(outdated),
        drawn,
        ledger.meta("ensembles", {}),
    )


def history(ledger: Ledger, chosen: Iterable[str]) -> pd.DataFrame:
    """Every reported epoch of some trials, see :meth:`Ledger.history`.

    Target accuracies that drawn labels took part in are missing: of epochs before the last no predictions are kept.
    """
    epochs = ledger.history(chosen)
    drawn = drawn_labels.decode(ledger.meta(drawn_labels.META))
    taken_out = {target for target, labels in drawn.items() if labels.scored is not None}
    targets = ledger.trials(everything=True).set_index("id")["target"]
    return epochs.assign(target_accuracy=epochs["target_accuracy"].mask(epochs["trial"].map(targets).isin(taken_out)))


def _controls(
    controls_of: Mapping[str, Sequence[str]] | None, trials: pd.DataFrame, reported: pd.DataFrame
) -> Controls:
    rows = trials[trials["role"] == selection.CONTROL]
    measured = reported[["id", *(name for name in reported if name not in rows)]]
    rows = rows.merge(measured, on="id", how="left")
    if not controls_of:
        return Controls(rows, None, frozenset())
    pairs = pd.DataFrame([(of, each) for of, ids in controls_of.items() for each in ids], columns=["trial", "id"])
    whole = reported[reported["state"] == TrialState.DONE][["id", "seed", "target_accuracy"]]
    cells = trials[trials["id"].isin(list(controls_of))][CELL].itertuples(index=False, name=None)
    pairs = pairs.merge(trials[["id", "method"]], on="id", how="left").merge(whole, on="id", how="left")
    return Controls(rows, pairs.drop(columns="id"), frozenset(cells))


def _judged(
    name: str,
    experiment: dict[str, Any],
    trials: pd.DataFrame,
    candidates: pd.DataFrame,
    controls: Controls,
    criterion: str,
) -> pd.DataFrame:
    """The records of an experiment by one criterion, and by the oracle."""
    records = _records(candidates, trials, criterion)
    records["experiment"] = name
    family = experiment.get("family", {})
    records["family"] = [family.get(method, "") for method in records["method"]]
    records["label_access"] = _access(experiment, trials, records)
    return _with_gains(_with_controls(_with_published(records), controls))


def _with_protocol(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the parts of the protocol's JSON as columns."""
    protocols = nouns.protocols(rows["protocol"])
    return rows.assign(
        backbone=[p.backbone for p in protocols],
        training=[p.training for p in protocols],
        profile=[p.profile for p in protocols],
        options=[canonical(dict(p.options)) for p in protocols],
        holdout=[p.holdout for p in protocols],
        transductive=[p.transductive for p in protocols],
        few=[p.few_text for p in protocols],
        labels_per_class=[p.few.per_class if p.few else 0 for p in protocols],
        labelled_classes=[(p.few.classes if p.few else None) or 0 for p in protocols],
        few_kind=[p.few.text(count=False) if p.few else "" for p in protocols],
    )


def _access(experiment: dict[str, Any], trials: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Which target labels each row saw: those that its method declares, or ``few`` where the protocol gives a few."""
    declared = experiment.get("label_access", {})
    # A method that only a former experiment file named: one that runs from a target to itself saw its labels.
    to_itself = set(trials.loc[(trials["source"] == trials["target"]) & (trials["few"] == ""), "method"])
    guessed = {m: "target_train" if m in to_itself else "none" for m in rows["method"].unique()}
    return rows["method"].map({**guessed, **declared}).where(rows["few"] == "", "few")


def _records(candidates: pd.DataFrame, trials: pd.DataFrame, criterion: str) -> pd.DataFrame:
    by_criterion = selection.summarize(candidates, selection.choose(candidates, criterion))
    by_oracle = selection.summarize(candidates, selection.choose(candidates, ORACLE))
    by_criterion["best_over_epochs"] = by_criterion["best_accuracy_mean"]
    by_oracle = by_oracle.join(
        selection.eligible(candidates).groupby(CELL)["best_accuracy"].max().rename("top"), on=CELL
    )
    # The best epoch of any trial of the search, of which there is one seed: several seeds may be better on average.
    by_oracle["best_over_epochs"] = by_oracle[["top", "best_accuracy_mean"]].max(axis=1)
    by_oracle = by_oracle.drop(columns="top")
    # Both are in plan order of the chosen trials; tables want that of the cells.
    order = {cell: i for i, cell in enumerate(trials[CELL].drop_duplicates().itertuples(index=False, name=None))}
    by_oracle = by_oracle[~by_oracle["target"].isin(_unlabelled(candidates))]
    seeds = by_criterion.set_index(CELL)["seeds"].rename("confirmed")
    by_oracle = by_oracle.join(seeds, on=CELL)
    by_criterion["single_run"] = False
    by_oracle["single_run"] = by_oracle["seeds"] < by_oracle.pop("confirmed")
    records = pd.concat([by_criterion, by_oracle], ignore_index=True)
    records["order"] = [order[cell] for cell in records[CELL].itertuples(index=False, name=None)]
    waiting = trials[(trials["role"] == "search") & trials["state"].isin([TrialState.PENDING, TrialState.RUNNING])]
    records = records.join(waiting.groupby(CELL).size().rename("unfinished"), on=CELL)
    records["unfinished"] = records["unfinished"].fillna(0).astype(int)
    records["epochs_spent"] = records["epochs_spent_cell"]
    records["trial"] = records["id"]
    return records.sort_values("order", kind="stable", ignore_index=True)


def _unlabelled(candidates: pd.DataFrame) -> list[str]:
    """Targets on which sound predictions have no accuracy; those of a diverged trial are not sound, and never have."""
    sound = candidates[candidates["predicted_classes"].notna()]
    known = sound["target_accuracy"].notna().groupby(sound["target"], sort=False).any()
    return [str(target) for target, any_known in known.items() if not any_known]


def _losses(epochs: pd.DataFrame) -> pd.DataFrame:
    last = epochs.drop_duplicates("trial", keep="last")
    recorded = pd.DataFrame([json.loads(text) for text in last["losses"]], index=last.index, dtype=float)
    return last[["trial"]].join(recorded)


def _curves(epochs: pd.DataFrame) -> pd.DataFrame:
    criteria = [registry.by_name(json.loads(text)) for text in epochs["criteria"]]
    recorded = pd.DataFrame(criteria, index=epochs.index, dtype=float)
    return epochs[["trial", "epoch"]].join(epochs["target_accuracy"].astype(float)).join(recorded)


def _with_published(records: pd.DataFrame) -> pd.DataFrame:
    settings = [published.setting_of(json.loads(r["options"]), r["source"], r["target"]) for r in dicts(records)]
    # What is published was measured without a few target labels.
    found = [
        published.Published()
        if r["few"]
        else published.lookup(
            r["dataset"],
            r["method"],
            r["source"],
            r["target"],
            r["backbone"],
            setting=setting,
            params=json.loads(r["params"]),
        )
        for r, setting in zip(dicts(records), settings, strict=True)
    ]
    columns: dict[str, list[Any]] = {"setting": settings}
    for kind in ("paper", "replication"):
        values = [getattr(each, kind) for each in found]
        columns[kind] = [math.nan if v is None else v.value for v in values]
        for part in ("backbone", "reference", "note", "setting"):
            columns[f"{kind}_{part}"] = ["" if v is None else getattr(v, part) for v in values]
        columns[f"{kind}_params"] = [
            "" if v is None else canonical(dict(v.others_than(json.loads(own))))
            for v, own in zip(values, records["params"], strict=True)
        ]
    return records.assign(**columns)


def _with_controls(records: pd.DataFrame, controls: Controls) -> pd.DataFrame:
    """Add the method and the accuracy of each chosen trial's controls, and whether it needs none."""
    if controls.accuracies is None:
        return records.assign(
            control="",
            control_accuracy_mean=math.nan,
            control_accuracy_std=math.nan,
            control_seeds=0,
            needs_control=True,
        )
    over_seeds = controls.accuracies.groupby("trial").agg(
        control=("method", "first"),
        control_accuracy_mean=("target_accuracy", "mean"),
        control_accuracy_std=("target_accuracy", "std"),
        control_seeds=("target_accuracy", "count"),
    )
    records = records.join(over_seeds, on="trial")
    # Another trial of the cell has controls: this one would, too, had the driver's criterion chosen it. The driver
    # plans them where the search is complete.
    of_cell = np.array([cell in controls.cells for cell in records[CELL].itertuples(index=False, name=None)], bool)
    needed = records["trial"].isin(over_seeds.index) | of_cell | (records["unfinished"] > 0)
    return records.assign(
        control=records["control"].fillna(""),
        control_seeds=records["control_seeds"].fillna(0).astype(int),
        needs_control=needed,
    )


def _with_gains(records: pd.DataFrame) -> pd.DataFrame:
    """Add the gain over source_only, in points, and the share of the gap to target_only that it closes.

    Of both, what batch norm gives (the control over source_only) and what the method gives (over the control), where
    that is known: where no control is needed, all is the method's.
    """
    accuracy = "target_accuracy_mean"
    # With target statistics in its batch norms, source_only is a control and no baseline.
    as_it_is = ["batch_norm_domains" not in json.loads(text) for text in records["params"]]
    lower = records[(records["method"] == "source_only") & np.array(as_it_is, bool)]
    upper = records[(records["method"] == "target_only") & (records["source"] == records["target"])]
    same_pair = [*SAME_INPUT, "few", "source", "target"]
    lower = lower.drop_duplicates(same_pair).set_index(same_pair)
    upper = upper.drop_duplicates([*SAME_INPUT, "target"]).set_index([*SAME_INPUT, "target"])
    lower = lower.rename(columns={accuracy: "lower", "target_accuracy_std": "lower_std", "seeds": "lower_seeds"})
    records = records.join(lower[["lower", "lower_std", "lower_seeds"]], on=same_pair)
    records = records.join(upper[accuracy].rename("upper"), on=[*SAME_INPUT, "target"])
    own = records["method"].isin(["source_only", "target_only"])
    gain = (records[accuracy] - records["lower"]).mask(own)
    gap = (records["upper"] - records["lower"]).where(lambda g: g > 0)
    # The upper bound is of all classes, where these rows are scored on those without labels.
    gap = gap.mask(records["labelled_classes"] > 0)
    by_method = (records[accuracy] - records["control_accuracy_mean"]).mask(own).where(records["needs_control"], gain)
    return records.drop(columns=["lower", "upper"]).assign(
        gain_over_source_only=gain,
        gain_by_batch_norm=gain - by_method,
        gain_by_method=by_method,
        gap_closed_percent=100 * gain / gap,
        gap_closed_by_method_percent=100 * by_method / gap,
    )
