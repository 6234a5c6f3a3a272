"""What pydantic cannot know of an experiment: its data set, domains, methods, params, criteria and protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

import transfer_sweep
from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.algorithms.networks import BACKBONES, PUBLISHED, SCRATCH
from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.datasets.base import Dataset
from transfer_sweep.reports import selection
from transfer_sweep.reports.drawn_labels import FORM, ByLabels
from transfer_sweep.reports.ledger.records import Pair
from transfer_sweep.sweep.config.schema import WHOLE, Experiment, MethodEntry, ProtocolRequest
from transfer_sweep.sweep.config.source import Place, SourceFile, nearest
from transfer_sweep.sweep.errors import SweepError

transfer_sweep.refuse_bare(__name__)

BOTTLENECK_PARAMS = ("bottleneck", "batch_norm")  # published networks have dense layers of their own


def check_names(data: Mapping[str, Any], source: SourceFile) -> None:
    """Refuse an unknown method or param.

    It comes before types: what is wrong with a misspelt ``protocol`` is its name, not that its value is no range.

    Args:
        data: an experiment as its file, profile and overrides have it; what has a wrong type is passed over.
        source: the file.

    Raises:
        SweepError: one line that names the line and the nearest valid name.
    """
    methods = data.get("methods")
    for method, written in methods.items() if isinstance(methods, Mapping) else ():
        if method not in method_registry.names():
            hint = nearest(method, method_registry.names())
            raise SweepError(f"{source.at(('methods', method))}: unknown method {method!r}{hint}")
        params = method_registry.get(method).params_type.model_fields
        for place, entry in enumerate(written) if isinstance(written, list) else ((None, written),):
            for key in entry if isinstance(entry, Mapping) else ():
                if key not in params and key not in MethodEntry.model_fields:
                    where = source.at(("methods", method, *(() if place is None else (place,)), key))
                    raise SweepError(f"{where}: {method} has no param {key!r}{nearest(key, params)}")


def check(experiment: Experiment, source: SourceFile) -> None:
    """Refuse an experiment that cannot be planned.

    Args:
        experiment: of valid types, with known methods and params.
        source: its file.

    Raises:
        SweepError: one line that names the line and what is allowed there.
    """
    if experiment.dataset not in dataset_registry.names():
        hint = nearest(experiment.dataset, dataset_registry.names())
        raise SweepError(f"{source.at(('dataset',))}: unknown dataset {experiment.dataset!r}{hint}")
    dataset = dataset_registry.get(experiment.dataset)
    _check_options(experiment, dataset, source)
    if not selection.known(experiment.criterion):
        hint = nearest(experiment.criterion, (*selection.CRITERIA, selection.TARGET_LABELS, FORM))
        raise SweepError(f"{source.at(('criterion',))}: unknown criterion {experiment.criterion!r}{hint}")
    stopping = experiment.early_stopping.criterion
    if stopping is not None and stopping not in selection.PER_TRIAL:
        hint = nearest(stopping, selection.PER_TRIAL)
        raise SweepError(f"{source.at(('early_stopping', 'criterion'))}: no criterion {stopping!r} that can stop{hint}")
    _check_protocol(experiment.protocol, dataset, source)
    domains = domains_of(experiment)
    for i, pair in enumerate(experiment.pairs if experiment.pairs != "all" else ()):
        parse_pair(pair, domains, source.at(("pairs", i)))
    if not experiment.methods:
        raise SweepError(f"{source.at(('methods',))}: names no method{nearest('', method_registry.names())}")
    for method, entry, place in experiment.entries():
        for pair in entry.pairs if entry.pairs not in (None, "all") else ():
            parse_pair(pair, domains, source.at((*place, "pairs")))
        _check_space(method, entry, source, place)
        _check_overrides(experiment, method, entry, dataset, source, place)


def domains_of(experiment: Experiment) -> tuple[str, ...]:
    """The domains of an experiment's data: those that it names itself, or the data set's."""
    return tuple(experiment.paths) or dataset_registry.get(experiment.dataset).domains


def parse_pair(written: str | Sequence[str], domains: Sequence[str], where: str = "--only") -> Pair:
    """A pair as files and the command line have it: ``amazon-dslr``, or two names.

    Args:
        written: names of domains may have hyphens, where only one place to part them gives two domains.
        domains: of the dataset.
        where: what an error begins with.

    Raises:
        SweepError: one of the two is no domain of the dataset, both are the same, or there are two ways to read it.
    """
    if isinstance(written, str):
        pieces = written.split("-")
        ways = [Pair("-".join(pieces[:i]), "-".join(pieces[i:])) for i in range(1, len(pieces))]
        known = [pair for pair in ways if set(pair) <= set(domains)]
        if len(known) > 1:
            raise SweepError(f"{where}: {written!r} can be read in {len(known)} ways: write [source, target]")
        if not ways:
            raise SweepError(f"{where}: a pair is source-target, as in {domains[0]}-{domains[-1]} (it is {written!r})")
        pair = (known or ways)[0]
    else:
        pair = Pair(*written)
    for domain in pair:
        if domain not in domains:
            raise SweepError(f"{where}: unknown domain {domain!r}{nearest(domain, domains)}")
    if pair.source == pair.target:
        raise SweepError(f"{where}: source and target are the same domain ({str(pair)!r})")
    return pair


def explain(error: ValidationError, source: SourceFile, model: type[BaseModel], prefix: Place = ()) -> str:
    """The first problem of a pydantic error, as one line.

    Args:
        error: of a value in the file.
        source: the file.
        model: what refused the value; it knows the keys that are allowed.
        prefix: where the value stands in the file.
    """
    problem = error.errors()[0]
    location = tuple(problem["loc"])
    where = source.at((*prefix, *location))
    if problem["type"] == WHOLE:
        return f"{where}: {problem['msg']}"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key {location[-1]!r}{nearest(str(location[-1]), _allowed(model, location[:-1]))}"
    if problem["type"] == "missing":
        return f"{where}: {'.'.join(map(str, location))} is missing"
    message = _lower(problem["msg"]).partition(" or instance of ")[0]  # names of classes are none of a file's
    return f"{where}: {message} (it is {problem.get('input')!r})"


def _allowed(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that may stand in a place of a model."""
    owner: type[BaseModel] | None = model
    for key in place:
        field = owner.model_fields.get(str(key)) if owner else None
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()  # a model, or a model or None
        owner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return list(owner.model_fields) if owner else []


def _lower(message: str) -> str:
    return f"{message[0].lower()}{message[1:]}"


def _check_options(experiment: Experiment, dataset: type[Dataset], source: SourceFile, place: Place = ()) -> None:
    try:
        dataset.options_type.model_validate(experiment.dataset_options)
    except ValidationError as error:
        raise SweepError(explain(error, source, dataset.options_type, (*place, "dataset_options"))) from None


def _check_space(method: str, entry: MethodEntry, source: SourceFile, place: Place) -> None:
    """Whether the method takes each value of an entry, for its param alone: both ends of a range, each of a list."""
    params_type = method_registry.get(method).params_type
    for name, space in entry.space.items():
        for value in space.values:
            try:
                params_type.model_validate({name: value})
            except ValidationError as error:
                # Validators of several params together complain of the others too: their turn is at planning.
                wrong = [problem for problem in error.errors() if problem["loc"][:1] == (name,)]
                if wrong:
                    where = source.at((*place, name))
                    raise SweepError(f"{where}: {_lower(wrong[0]['msg'])} (it is {value!r})") from None


def _check_overrides(
    experiment: Experiment, method: str, entry: MethodEntry, dataset: type[Dataset], source: SourceFile, place: Place
) -> None:
    """A method's own protocol and options of the dataset."""
    try:
        own = experiment.under(entry)
    except ValidationError as error:
        raise SweepError(explain(error, source, ProtocolRequest, (*place, "protocol"))) from None
    _check_options(own, dataset, source, place)
    if "weights" in entry.protocol:
        raise SweepError(
            f"{source.at((*place, 'protocol', 'weights'))}: a method may not have weights of its own: all of an "
            "experiment share theirs, make another of it"
        )
    for key in entry.dataset_options:
        if key not in dataset.input_options:  # the arrays of a domain are those of the experiment's options
            raise SweepError(
                f"{source.at((*place, 'dataset_options', key))}: a method may not change {key!r}, which decides what "
                f"samples there are or what they look like: make another experiment of it"
            )
    _check_protocol(own.protocol, dataset, source, place)
    _check_labels(own, method_registry.get(method), dataset, source, place)
    if experiment.proxy_a_distance and dataset.raw_backbone == "pixels" and own.protocol.training != "frozen":
        raise SweepError(f"{source.at(('proxy_a_distance',))}: it is measured on vectors; {dataset.name} has images")
    for param in BOTTLENECK_PARAMS if own.protocol.backbone in PUBLISHED else ():
        if param in entry.space:
            where = source.at((*place, param))
            raise SweepError(f"{where}: {own.protocol.backbone} has dense layers of its own: leave {param} out")


def _check_labels(
    experiment: Experiment, method: type[Algorithm], dataset: type[Dataset], source: SourceFile, place: Place
) -> None:
    """Whether a method can do with the target labels that it is given.

    Args:
        experiment: as an entry of the method sees it.
        method: itself.
        dataset: the experiment's.
        source: its file.
        place: the entry's.
    """
    protocol = experiment.protocol

    def at(key: str) -> str:
        own = source.at((*place, "protocol", key))
        return own if own.endswith(key) else source.at(("protocol", key))

    if not protocol.label_counts:
        raise SweepError(f"{at('target_labels_per_class')}: an empty list")
    classes = protocol.target_labelled_classes
    if classes is not None and not dataset.of_user and classes >= len(dataset.classes):
        raise SweepError(
            f"{at('target_labelled_classes')}: leaves no class to score, {dataset.name} has {len(dataset.classes)} "
            f"(it is {classes})"
        )
    given = max(protocol.label_counts)
    if given and ByLabels.parse(experiment.criterion) is not None:
        raise SweepError(
            f"{at('target_labels_per_class')}: criterion: {experiment.criterion} draws labels that no trial is trained "
            "on: set it to 0, or choose without labels"
        )
    if method.label_access == "target_train":
        return
    if given and not method.takes_few_labels():
        raise SweepError(
            f"{source.at(place)}: {method.name} learns from no target labels: give it "
            "`protocol: {target_labels_per_class: 0}`, or leave it out"
        )
    if not given and (method.label_access == "few" or not protocol.source):
        what = method.name if protocol.source else f"{method.name} without a source"
        raise SweepError(f"{source.at(place)}: {what} needs target labels: set protocol.target_labels_per_class")


def _check_protocol(protocol: ProtocolRequest, dataset: type[Dataset], source: SourceFile, place: Place = ()) -> None:
    name, training = protocol.backbone, protocol.training
    where = source.at((*place, "protocol", "backbone"))
    if protocol.msda is not None and dataset.raw_backbone == "pixels":
        raise SweepError(f"{source.at((*place, 'protocol', 'msda'))}: mSDA is for vectors; {dataset.name} has images")
    if name is None:
        if training != "raw":
            raise SweepError(f"{source.at((*place, 'protocol'))}: training {training!r} needs a backbone")
        return
    if name not in (networks := {*SCRATCH, *BACKBONES}):
        raise SweepError(f"{where}: unknown backbone {name!r}{nearest(name, networks)}")
    if training in ("frozen", "finetune") and name not in BACKBONES:
        raise SweepError(
            f"{where}: training {training!r} needs a pretrained backbone ({', '.join(sorted(BACKBONES))}), not {name!r}"
        )
    if training != "raw" and dataset.raw_backbone != "pixels":
        raise SweepError(
            f"{where}: training {training!r} needs a dataset of images; {dataset.name} has vectors "
            f"({dataset.raw_backbone}): leave `protocol` out"
        )
