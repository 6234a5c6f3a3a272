"""From an experiment to its trials: pairs × methods × params × seeds, each with an identity of its own."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm, Params, TrainingError
from transfer_sweep.algorithms.representations.msda import MSDAParams
from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.datasets.base import Dataset, Progress
from transfer_sweep.reports import selection
from transfer_sweep.reports.ledger.ledger import TrialRow, canonical
from transfer_sweep.sweep.config.schema import Experiment, MethodEntry, ProtocolRequest
from transfer_sweep.sweep.config.validation import parse_pair
from transfer_sweep.sweep.errors import SweepError

MIN_CELL = 6  # cells with fewer search trials are not stopped early


@dataclass(frozen=True)
class Filter:
    """``--only``: methods and pairs to keep; None keeps all."""

    methods: frozenset[str] | None = None
    pairs: frozenset[tuple[str, str]] | None = None

    @classmethod
    def parse(cls, texts: Sequence[str], experiment: Experiment) -> Filter:
        """From ``method=a,b`` and ``pair=x-y``.

        Raises:
            SweepError: an unknown key, one without a value, or a method or pair that the experiment does not have.
        """
        chosen: dict[str, set[str]] = defaultdict(set)
        for text in texts:
            key, equals, values = text.partition("=")
            if not equals or key not in ("method", "pair"):
                raise SweepError(f"--only takes method=a,b or pair=source-target, not {text!r}")
            wanted = [v.strip() for v in values.split(",") if v.strip()]
            if not wanted:
                raise SweepError(f"--only {key}= names none: it takes method=a,b or pair=source-target")
            chosen[key].update(wanted)
        for method in chosen["method"]:
            if method not in experiment.methods:
                raise SweepError(
                    f"--only: {experiment.name} has no method {method!r} ({', '.join(experiment.methods)})"
                )
        domains = dataset_registry.get(experiment.dataset).domains
        pairs = {parse_pair(text, domains) for text in chosen["pair"]}
        known = {pair for _, entry, _ in experiment.entries() for pair in _pairs(experiment.under(entry))}
        for source, target in pairs - known:
            names = ", ".join("-".join(p) for p in sorted(known))
            raise SweepError(f"--only: {experiment.name} has no pair {source}-{target} ({names})")
        return cls(frozenset(chosen["method"]) or None, frozenset(pairs) or None)

    def keeps(self, method: str, source: str, target: str) -> bool:
        """Whether a trial is wanted; a method scored once per target is, if any pair of its target is."""
        if self.methods is not None and method not in self.methods:
            return False
        if self.pairs is None:
            return True
        return (source, target) in self.pairs or (source == target and target in {t for _, t in self.pairs})


def dataset_of(
    experiment: Experiment, root: Path | None, cache: Path | None = None, progress: Progress | None = None
) -> Dataset:
    """The experiment's dataset over a data root."""
    cls = dataset_registry.get(experiment.dataset)
    options = cls.options_type.model_validate(experiment.dataset_options)
    return cls(root if cls.needs_root else None, options, cache, progress)


def search(experiment: Experiment) -> list[TrialRow]:
    """The search trials, interleaved across cells: every cell gets its first trial before any gets its second.

    Inside a cell they come in an order drawn from the seed. A grid in its own order often climbs, from a small
    learning rate to a large one, and asynchronous halving stops none of those who arrive as the best so far.

    Raises:
        SweepError: params that do not go together.
    """
    cells: list[list[TrialRow]] = []
    for method, entry, _ in experiment.entries():
        cls = method_registry.get(method)
        own = experiment.under(entry)
        settings = configurations(method, entry, experiment.seed)
        for protocol in protocols_of(own, cls):
            for source, target in _scored_pairs(own, cls, protocol):
                order = _generator(experiment.seed, f"{method} {source} {target}").permutation(len(settings))
                cells.append(
                    [
                        _row(experiment, cls, protocol, source, target, settings[i], experiment.seed, "search")
                        for i in order
                    ]
                )
    rounds = itertools.zip_longest(*cells)
    rows = {row.id: row for group in rounds for row in group if row is not None}
    return list(rows.values())  # entries of a method that overlap plan a trial once


def present(rows: Sequence[TrialRow], dataset: Dataset) -> tuple[list[TrialRow], dict[str, str]]:
    """The trials whose data is there, and what the others lack.

    Returns:
        ``(rows, skipped)``; ``skipped`` is pair → why, such as "svhn lacks …: `python -m sweep data fetch …`".

    Raises:
        SweepError: no pair's data is there.
    """
    lacks = {domain: dataset.lacking(domain) for domain in {d for row in rows for d in (row.source, row.target)}}
    skipped = {
        f"{row.source}-{row.target}": why for row in rows if (why := lacks[row.source] or lacks[row.target]) is not None
    }
    kept = [row for row in rows if lacks[row.source] is None and lacks[row.target] is None]
    if rows and not kept:
        raise SweepError(f"no pair has its data: {'; '.join(dict.fromkeys(skipped.values()))}")
    return kept, skipped


def confirmation(experiment: Experiment, candidates: pd.DataFrame) -> list[TrialRow]:
    """More seeds for each cell's chosen params (or all of its params, if the experiment says so).

    The cells are those of ``candidates``, whose search is complete.

    As many whole runs as the experiment wants seeds. The search's own counts among them unless it was stopped early,
    for then it is shorter than they are. A method for which :func:`varies` does not hold has one.
    """
    if experiment.confirm.seeds == 1 or candidates.empty:
        return []
    rows = []
    if experiment.confirm.settings == "all":
        repeated = selection.eligible(candidates)
    else:
        repeated = selection.choose(candidates, experiment.criterion)
    for chosen in repeated.to_dict("records"):
        cls = method_registry.get(str(chosen["method"]))
        protocol = json.loads(str(chosen["protocol"]))
        if not varies(cls, protocol):
            continue
        params = cls.params_type.model_validate_json(str(chosen["params"]))
        seeds = experiment.confirm.seeds + (chosen["state"] == "stopped")
        rows += [
            _row(experiment, cls, protocol, str(chosen["source"]), str(chosen["target"]), params, seed, "confirm")
            for seed in range(experiment.seed + 1, experiment.seed + seeds)
        ]
    return rows


def varies(cls: type[Algorithm], protocol: Mapping[str, Any]) -> bool:
    """Whether seeds differ: not those of a deterministic method on samples of which none are drawn."""
    return not cls.deterministic or bool(protocol["holdout"]) or protocol["few"] is not None


def stoppable_cells(rows: Iterable[TrialRow]) -> set[tuple[str, str, str, str]]:
    """The cells that ASHA may stop trials of: six search trials or more, of more than one epoch and one stage."""
    sizes: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for row in rows:
        if row.role == "search" and row.budget > 1 and method_registry.get(row.method).stages == 1:
            sizes[row.cell] += 1
    return {cell for cell, size in sizes.items() if size >= MIN_CELL}


def configurations(method: str, entry: MethodEntry, seed: int) -> list[Params]:
    """The params that an entry asks for: the grid of its lists, or ``samples`` draws; equal ones once.

    Draws depend on the seed and the method's name alone, so that adding a method changes no other's.

    Args:
        method: the entry's.
        entry: what the experiment's file says of it.
        seed: the experiment's.

    Raises:
        SweepError: params that do not go together.
    """
    params_type = method_registry.get(method).params_type
    unique: dict[str, Params] = {}
    for point in entry.points(_generator(seed, method)):
        try:
            params = params_type.model_validate(point)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise SweepError(f"methods.{method}: {problem} (params {canonical(point)})") from None
        unique.setdefault(params.model_dump_json(), params)
    return list(unique.values())


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:4])])


def protocols_of(experiment: Experiment, cls: type[Algorithm]) -> Iterator[dict[str, Any]]:
    """The protocols under which a method's cells run, as the ledger keeps them: one for each few-label setting."""
    protocol = _protocol_of(experiment, cls)
    for few in _few_labels(experiment.protocol, cls):
        yield {**protocol, "few": few}


def _few_labels(wanted: ProtocolRequest, cls: type[Algorithm]) -> Iterator[dict[str, Any] | None]:
    """The few-label settings of a method; None is the one without labels, and that of all target training labels."""
    if cls.label_access == "target_train":
        yield None
        return
    for count in wanted.label_counts:
        if count or (wanted.source and cls.label_access != "few"):
            few = {"per_class": count, "classes": wanted.target_labelled_classes, "source": wanted.source}
            yield few if count or few["classes"] else None


def _protocol_of(experiment: Experiment, cls: type[Algorithm]) -> dict[str, Any]:
    """All of a method's protocol but its few-label setting.

    Shallow methods work on vectors: on the frozen features of a pretrained backbone, or on the dataset's own.
    """
    dataset = dataset_registry.get(experiment.dataset)
    wanted = experiment.protocol
    backbone, training = wanted.backbone or dataset.raw_backbone, str(wanted.training)
    if cls.family == "shallow":
        training = "frozen" if training in ("frozen", "finetune") else "raw"
        backbone = backbone if training == "frozen" else dataset.raw_backbone
    options = dataset.options_type.model_validate(experiment.dataset_options).model_dump(mode="json")
    # What changes the vectors and nothing else stands beside the backbone: such numbers may share a table.
    inputs = {name: options.pop(name) for name in dataset.input_options} if training == "raw" else {}
    if wanted.msda is not None and training == "raw":
        inputs["msda"] = wanted.msda.model_dump(mode="json")
    return {
        "backbone": "_".join([backbone, *_changes(dataset, inputs)]),
        "training": training,
        "weights": _digest(wanted.weights) if wanted.weights and training in ("frozen", "finetune") else None,
        "options": options,
        **({"inputs": inputs} if inputs else {}),
        "holdout": dataset.holdout if wanted.holdout is None else wanted.holdout,
        "transductive": dataset.transductive,
        "profile": experiment.profile,
    }


def _changes(dataset: type[Dataset], inputs: Mapping[str, Any]) -> Iterator[str]:
    """What tells inputs from the dataset's usual ones, as names of backbones have it: ``tfidf``, ``msda``."""
    usual = dataset.options_type().model_dump(mode="json")
    yield from (str(value) for name, value in inputs.items() if name in usual and value != usual[name])
    if "msda" in inputs:
        yield "msda"
        standard = MSDAParams().model_dump(mode="json")
        for name, value in inputs["msda"].items():
            if name != "rotate" and value != standard[name]:
                yield f"{name}{value:g}"


def _digest(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise SweepError(f"protocol.weights: {path} cannot be read: {error.strerror}") from None


def _pairs(experiment: Experiment) -> list[tuple[str, str]]:
    """The pairs of an experiment, each once."""
    domains = dataset_registry.get(experiment.dataset).domains
    if experiment.pairs == "all":
        return list(itertools.permutations(domains, 2))
    return list(dict.fromkeys(parse_pair(text, domains, "pairs") for text in experiment.pairs))


def _scored_pairs(experiment: Experiment, cls: type[Algorithm], protocol: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs of a method; one that trains on the target alone runs once per target, as target → target."""
    pairs = _pairs(experiment)
    few = protocol["few"]
    if not cls.uses_source or (few is not None and not few["source"]):
        return [(target, target) for target in dict.fromkeys(t for _, t in pairs)]
    return pairs


def _row(
    experiment: Experiment,
    cls: type[Algorithm],
    protocol: Mapping[str, Any],
    source: str,
    target: str,
    params: Params,
    seed: int,
    role: Literal["search", "confirm"],
) -> TrialRow:
    resolved = params.model_dump(mode="json")
    try:
        budget = cls.budget(params, experiment.epochs)
    except TrainingError as error:
        raise SweepError(f"epochs: {error}") from error
    identity = {
        "dataset": experiment.dataset,
        "protocol": {k: v for k, v in protocol.items() if k != "profile"},
        "pair": [source, target],
        "method": cls.name,
        "params": resolved,
        "epochs": budget,
        "seed": seed,
    }
    return TrialRow(
        id=hashlib.sha256(canonical(identity).encode()).hexdigest()[:16],
        role=role,
        dataset=experiment.dataset,
        protocol=canonical(dict(protocol)),
        method=cls.name,
        source=source,
        target=target,
        params=canonical(resolved),
        seed=seed,
        budget=budget,
    )
