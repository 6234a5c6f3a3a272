"""Experiment files: YAML in ``search_spaces/``, validated before anything runs.

Everything wrong in a file is said with its line and, for a misspelt name, the nearest valid one.
"""

from __future__ import annotations

import difflib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from transfer_sweep.algorithms import registry as method_registry
from transfer_sweep.algorithms.base import Algorithm
from transfer_sweep.algorithms.networks import BACKBONES, PUBLISHED, SCRATCH
from transfer_sweep.algorithms.representations.msda import MSDAParams
from transfer_sweep.datasets import registry as dataset_registry
from transfer_sweep.datasets.base import Dataset
from transfer_sweep.reports import selection
from transfer_sweep.sweep.errors import SweepError

SEARCH_SPACES = Path(__file__).resolve().parents[2] / "search_spaces"
RESERVED = ("samples", "pairs", "protocol", "dataset_options")  # keys of a method's entry, not hyperparameters
DENSE = ("bottleneck", "batch_norm")  # params of the bottleneck, which published networks do not have
NOT_SET = {"name": "an experiment's name is that of its file", "profile": "a profile is chosen with --profile"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


LabelCount = Annotated[int, Field(ge=0, le=10_000)]


class Protocol(_Strict):
    """What, besides method and pair, decides a result: backbone and how it is trained."""

    backbone: str | None = Field(None, description="a network's name; absent: the dataset's own vectors")
    training: Literal["raw", "frozen", "finetune", "scratch"] = "raw"
    weights: str | None = Field(None, description="file of pretrained weights, instead of the published ones")
    holdout: float | None = Field(None, ge=0, lt=1, description="share of the source held out; absent: the dataset's")
    msda: MSDAParams | None = Field(None, description="vectors are replaced by their mSDA representation, pair by pair")
    target_labels_per_class: LabelCount | list[LabelCount] = Field(
        0, description="drawn with the trial's seed, never scored; several numbers: cells of their own for each"
    )
    target_labelled_classes: int | None = Field(
        None, ge=1, description="only so many drawn classes get labels, and only the others are scored; absent: all"
    )
    source: bool = Field(True, description="false: methods learn from the few target labels alone, once per target")

    @property
    def label_counts(self) -> list[int]:
        """The numbers of target labels per class, each once."""
        counts = self.target_labels_per_class
        return list(dict.fromkeys(counts)) if isinstance(counts, list) else [counts]


class EarlyStopping(_Strict):
    """One ASHA per cell (Li 2020); cells of fewer than six trials and one-shot methods are not stopped."""

    scheduler: Literal["asha", "none"] = "asha"
    grace: float = Field(1 / 3, gt=0, le=1, description="share of the budget that every trial gets")
    reduction: float = Field(3, gt=1, description="one in this many trials survives a rung")
    criterion: str | None = Field(None, description="what rungs compare; absent: the experiment's, where it can stop")


class Confirm(_Strict):
    """More seeds for each cell's chosen params."""

    seeds: int = Field(1, ge=1, le=100, description="seeds in all, the search's included")
    settings: Literal["chosen", "all"] = Field(
        "chosen", description="all: for every trial of the search, where params are not chosen among but compared"
    )


class Resources(_Strict):
    """What one trial takes."""

    cpu: float = Field(1, gt=0)
    gpu: float | Literal["auto"] = Field(
        "auto",
        description="share of a GPU for deep methods; auto: the smallest whose memory is enough, by measurement",
    )

    @field_validator("gpu")
    @classmethod
    def _whole_above_one(cls, gpu: float | Literal["auto"]) -> float | Literal["auto"]:
        if gpu != "auto" and (gpu < 0 or (gpu > 1 and not gpu.is_integer())):
            raise PydanticCustomError("gpu", "Should be auto, a share from 0 to 1, or a whole number above 1")
        return gpu


class Experiment(_Strict):
    """A validated experiment file with its profile applied."""

    name: str
    description: str = ""
    dataset: str
    dataset_options: dict[str, Any] = {}
    protocol: Protocol = Protocol()
    pairs: Literal["all"] | list[str] = "all"
    epochs: int = Field(30, ge=1, description="budget of a deep method")
    seed: int = Field(0, ge=0)
    confirm: Confirm = Confirm()
    early_stopping: EarlyStopping = EarlyStopping()
    criterion: str = selection.DEFAULT
    methods: dict[str, dict[str, Any] | list[dict[str, Any]]]
    resources: Resources = Resources()
    proxy_a_distance: bool = Field(False, description="measure it at each trial's end, on inputs and representations")
    checkpoint_seconds: float = Field(20, ge=0, description="a trial that runs longer saves itself this often")
    profile: str = "default"

    @property
    def stopping_criterion(self) -> str:
        """What rungs compare: a criterion by which a trial scores itself."""
        return self.early_stopping.criterion or selection.of_one_trial(self.criterion)

    def entries(self, method: str) -> list[dict[str, Any]]:
        """What the file says of a method: once, or under several protocols."""
        entry = self.methods[method]
        return entry if isinstance(entry, list) else [entry]

    def under(self, entry: Mapping[str, Any]) -> Experiment:
        """The experiment with an entry's own ``protocol`` and ``dataset_options`` merged in."""
        protocol = _merge(self.protocol.model_dump(), entry.get("protocol", {}))
        return self.model_copy(
            update={
                "protocol": Protocol.model_validate(protocol),
                "dataset_options": _merge(self.dataset_options, entry.get("dataset_options", {})),
            }
        )


def names() -> list[str]:
    """The experiments there are files for."""
    return sorted(path.stem for path in SEARCH_SPACES.glob("*.yaml"))


def describe(name: str) -> str:
    """The ``description`` of an experiment."""
    return str(_read(_find(name))[1].get("description", ""))


def load(name: str, profile: str | None = None, overrides: Sequence[str] = ()) -> Experiment:
    """Read and validate an experiment.

    Args:
        name: of a file in ``search_spaces/``, or a path to a YAML file.
        profile: of its ``profiles``; None: the file without any.
        overrides: ``path.to.value=YAML`` each, applied last.

    Raises:
        SweepError: one line that names the file, the line and what is allowed there.
    """
    path = _find(name)
    raw, data = _read(path)
    lines = _Lines(path, raw)
    profiles = _profiles(data, lines)
    data.pop("profiles", None)
    for where, layer in ((), data), *((("profiles", key), value) for key, value in profiles.items()):
        for key, why in NOT_SET.items():
            if key in layer:
                raise SweepError(f"{lines.at((*where, key))}: {key!r} cannot be set: {why}")
    if profile is not None and profile != "default":
        if profile not in profiles:
            raise SweepError(f"{path.name} has no profile {profile!r}{nearest(profile, profiles)}")
        data = _merge(data, profiles[profile])
    for override in overrides:
        data = _merge(data, _parse_override(override))
    data |= {"name": path.stem, "profile": profile or "default"}
    try:
        experiment = Experiment.model_validate(data)
    except ValidationError as error:
        raise SweepError(_explain(error, lines, Experiment)) from None
    _check(experiment, lines)
    return experiment


def profiles(name: str) -> list[str]:
    """The profiles that an experiment file names.

    Raises:
        SweepError: there is no such file, or it cannot be read, or its profiles are none.
    """
    path = _find(name)
    raw, data = _read(path)
    return list(_profiles(data, _Lines(path, raw)))


def _profiles(data: Mapping[str, Any], lines: _Lines) -> dict[str, dict[str, Any]]:
    found = data.get("profiles")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise SweepError(f"{lines.at(('profiles',))}: is a mapping of names to overrides (it is {found!r})")
    for name, overrides in found.items():
        if overrides is not None and not isinstance(overrides, dict):
            raise SweepError(
                f"{lines.at(('profiles', name))}: a profile is a mapping like {{epochs: 20}} (it is {overrides!r})"
            )
    return {name: overrides or {} for name, overrides in found.items()}


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise SweepError(f"no experiment file {name}")
        return path
    path = SEARCH_SPACES / f"{name}.yaml"
    if "/" in name or not path.is_file():
        raise SweepError(f"no experiment {name!r}{nearest(name, names())}")
    return path


def _read(path: Path) -> tuple[CommentedMap, dict[str, Any]]:
    """A file with the lines its values stand on, and the same without ruamel's types."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SweepError(f"{path.name} cannot be read: {error}") from None
    raw, plain = _parse(text, path.name, "rt")
    if not isinstance(raw, CommentedMap):
        raise SweepError(f"{path.name} is not an experiment: it should be a mapping that starts with `dataset:`")
    return raw, plain


def _parse(text: str, where: str, kind: Literal["rt", "safe"]) -> tuple[Any, Any]:
    """YAML as ruamel gives it, and the same without ruamel's types.

    Raises:
        SweepError: it is not valid, or too deep; one line that starts with ``where``.
    """
    try:
        raw = YAML(typ=kind, pure=True).load(io.StringIO(text))
        return raw, _plain(raw)
    except MarkedYAMLError as error:
        if error.problem_mark and kind == "rt":
            where += f", line {error.problem_mark.line + 1}"
        problem: object = error.problem or error.context or "no reason given"
    except RecursionError:
        problem = "nested too deeply"
    except (YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:  # some tags raise the latter
        problem = error
    raise SweepError(f"{where}: not valid YAML: {' '.join(str(problem).split())}")


def _plain(value: Any) -> Any:
    """``value`` without ruamel's types."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SweepError(f"--set takes path.to.value=…, not {text!r}")
    if key.partition(".")[0] in NOT_SET:
        raise SweepError(f"--set {key}: {NOT_SET[key.partition('.')[0]]}")
    _, parsed = _parse(value, f"--set {key}", "safe")
    for part in reversed(key.split(".")):
        parsed = {part: parsed}
    return parsed


class _Lines:
    """Where in the file a value stands."""

    def __init__(self, path: Path, root: CommentedMap) -> None:
        self.path, self.root = path, root

    def at(self, location: Iterable[Any]) -> str:
        """``file, line n: a.b.c`` for the deepest part of ``location`` that stands in the file."""
        node: Any = self.root
        line: int | None = None
        known = []
        for key in location:
            if isinstance(node, CommentedMap) and key in node:
                if key in (node.lc.data or {}):  # what a merge key (<<) brings has no line of its own
                    line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
                line = node.lc.item(key)[0] + 1
            else:
                break
            node = node[key]
            known.append(str(key))
        where = f"{self.path.name}, line {line}" if line else self.path.name
        return f"{where}: {'.'.join(known)}" if known else where


def nearest(name: str, allowed: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest allowed one, and all of them."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (there are: {', '.join(allowed) or 'none'})"


def _explain(error: ValidationError, lines: _Lines, model: type[BaseModel], prefix: tuple[Any, ...] = ()) -> str:
    """The first problem of a pydantic error, as one line."""
    problem = error.errors()[0]
    location = tuple(problem["loc"])
    where = lines.at((*prefix, *location))
    if problem["type"] == "extra_forbidden":
        owner: Any = model
        for key in location[:-1]:
            field = (
                owner.model_fields.get(str(key)) if isinstance(owner, type) and issubclass(owner, BaseModel) else None
            )
            kinds = (field.annotation, *get_args(field.annotation)) if field else ()  # a model, or a model or None
            owner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        allowed = owner.model_fields if isinstance(owner, type) and issubclass(owner, BaseModel) else ()
        return f"{where}: unknown key {location[-1]!r}{nearest(str(location[-1]), allowed)}"
    if problem["type"] == "missing":
        return f"{where}: {'.'.join(map(str, location))} is missing"
    value = problem.get("input")
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]} (it is {value!r})"


def _check(experiment: Experiment, lines: _Lines) -> None:
    """What pydantic cannot know: names of datasets, domains, methods, params, criteria."""
    if experiment.dataset not in dataset_registry.names():
        hint = nearest(experiment.dataset, dataset_registry.names())
        raise SweepError(f"{lines.at(('dataset',))}: unknown dataset {experiment.dataset!r}{hint}")
    dataset = dataset_registry.get(experiment.dataset)
    _check_options(experiment, dataset, lines)
    if experiment.criterion not in selection.CRITERIA:
        hint = nearest(experiment.criterion, selection.CRITERIA)
        raise SweepError(f"{lines.at(('criterion',))}: unknown criterion {experiment.criterion!r}{hint}")
    stopping = experiment.early_stopping.criterion
    if stopping is not None and stopping not in selection.OWN:
        hint = nearest(stopping, selection.OWN)
        raise SweepError(f"{lines.at(('early_stopping', 'criterion'))}: no criterion {stopping!r} that can stop{hint}")
    _check_protocol(experiment.protocol, dataset, lines)
    if not experiment.pairs:
        raise SweepError(f"{lines.at(('pairs',))}: {_PAIRS} (it is [])")
    if experiment.pairs != "all":
        for i, pair in enumerate(experiment.pairs):
            parse_pair(pair, dataset.domains, lines.at(("pairs", i)))
    if not experiment.methods:
        raise SweepError(f"{lines.at(('methods',))}: names no method{nearest('', method_registry.names())}")
    for method, entry in experiment.methods.items():
        several = isinstance(entry, list)
        if not entry and several:
            raise SweepError(f"{lines.at(('methods', method))}: an empty list")
        for i, one in enumerate(experiment.entries(method)):
            place = ("methods", method, i) if several else ("methods", method)
            _check_method(method, one, dataset.domains, lines, place)
            _check_protocol_of(experiment, method, one, dataset, lines, place)
            for key in DENSE if experiment.under(one).protocol.backbone in PUBLISHED else ():
                if key in one:
                    where, backbone = lines.at((*place, key)), experiment.under(one).protocol.backbone
                    raise SweepError(f"{where}: {backbone} has dense layers of its own: leave {key} out")


def _check_options(experiment: Experiment, dataset: type[Dataset], lines: _Lines, place: tuple[Any, ...] = ()) -> None:
    try:
        dataset.options_type.model_validate(experiment.dataset_options)
    except ValidationError as error:
        raise SweepError(_explain(error, lines, dataset.options_type, (*place, "dataset_options"))) from None


def _check_protocol_of(
    experiment: Experiment,
    method: str,
    entry: Mapping[str, Any],
    dataset: type[Dataset],
    lines: _Lines,
    place: tuple[Any, ...],
) -> None:
    """A method's own protocol and options of the dataset."""
    for key in ("protocol", "dataset_options"):
        if not isinstance(entry.get(key, {}), dict):
            raise SweepError(f"{lines.at((*place, key))}: is a mapping (it is {entry[key]!r})")
    try:
        own = experiment.under(entry)
    except ValidationError as error:
        raise SweepError(_explain(error, lines, Protocol, (*place, "protocol"))) from None
    _check_options(own, dataset, lines, place)
    if "weights" in entry.get("protocol", {}):
        raise SweepError(
            f"{lines.at((*place, 'protocol', 'weights'))}: a method may not have weights of its own: all of an "
            "experiment share theirs, make another of it"
        )
    for key in entry.get("dataset_options", {}):
        if key not in dataset.input_options:  # the arrays of a domain are those of the experiment's options
            raise SweepError(
                f"{lines.at((*place, 'dataset_options', key))}: a method may not change {key!r}, which decides what "
                f"samples there are or what they look like: make another experiment of it"
            )
    _check_protocol(own.protocol, dataset, lines, place)
    _check_labels(own.protocol, method_registry.get(method), dataset, lines, place)
    if experiment.proxy_a_distance and dataset.raw_backbone == "pixels" and own.protocol.training != "frozen":
        raise SweepError(f"{lines.at(('proxy_a_distance',))}: it is measured on vectors; {dataset.name} has images")


def _check_labels(
    protocol: Protocol, method: type[Algorithm], dataset: type[Dataset], lines: _Lines, place: tuple[Any, ...]
) -> None:
    """Whether a method can do with the target labels that it is given."""

    def at(key: str) -> str:
        own = lines.at((*place, "protocol", key))
        return own if own.endswith(key) else lines.at(("protocol", key))

    if not protocol.label_counts:
        raise SweepError(f"{at('target_labels_per_class')}: an empty list")
    classes = protocol.target_labelled_classes
    if classes is not None and classes >= len(dataset.classes):
        raise SweepError(
            f"{at('target_labelled_classes')}: leaves no class to score, {dataset.name} has {len(dataset.classes)} "
            f"(it is {classes})"
        )
    given = max(protocol.label_counts)
    if method.label_access == "target_train":
        return
    if given and not method.takes_few_labels():
        raise SweepError(
            f"{lines.at(place)}: {method.name} learns from no target labels: give it "
            "`protocol: {target_labels_per_class: 0}`, or leave it out"
        )
    if not given and (method.label_access == "few" or not protocol.source):
        what = method.name if protocol.source else f"{method.name} without a source"
        raise SweepError(f"{lines.at(place)}: {what} needs target labels: set protocol.target_labels_per_class")


def _check_protocol(protocol: Protocol, dataset: type[Dataset], lines: _Lines, place: tuple[Any, ...] = ()) -> None:
    name, training = protocol.backbone, protocol.training
    where = lines.at((*place, "protocol", "backbone"))
    if protocol.msda is not None and dataset.raw_backbone == "pixels":
        raise SweepError(f"{lines.at((*place, 'protocol', 'msda'))}: mSDA is for vectors; {dataset.name} has images")
    if name is None:
        if training != "raw":
            raise SweepError(f"{lines.at((*place, 'protocol'))}: training {training!r} needs a backbone")
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


_PAIRS = "pairs is `all` or a list like [a-b, b-a]"


def _check_method(
    method: str, entry: Mapping[str, Any], domains: Sequence[str], lines: _Lines, place: tuple[Any, ...]
) -> None:
    if method not in method_registry.names():
        raise SweepError(f"{lines.at(place)}: unknown method {method!r}{nearest(method, method_registry.names())}")
    params_type = method_registry.get(method).params_type
    samples = entry.get("samples")
    if samples is not None and (not isinstance(samples, int) or isinstance(samples, bool) or samples < 1):
        raise SweepError(f"{lines.at((*place, 'samples'))}: samples is a whole number from 1 (it is {samples!r})")
    pairs = entry.get("pairs", "all")
    if pairs != "all" and (not isinstance(pairs, list) or not pairs):
        raise SweepError(f"{lines.at((*place, 'pairs'))}: {_PAIRS} (it is {pairs!r})")
    for pair in pairs if pairs != "all" else ():
        parse_pair(str(pair), domains, lines.at((*place, "pairs")))
    for key, value in entry.items():
        if key in RESERVED:
            continue
        where = lines.at((*place, key))
        if key not in params_type.model_fields:
            raise SweepError(f"{where}: {method} has no param {key!r}{nearest(key, params_type.model_fields)}")
        for choice in _extremes(value, where, samples):
            try:
                params_type.model_validate({key: choice})
            except ValidationError as error:
                # Validators of several params together complain of the others too: their turn is at planning.
                wrong = [e for e in error.errors() if e["loc"][:1] == (key,)]
                if wrong:
                    message = wrong[0]["msg"]
                    raise SweepError(f"{where}: {message[0].lower()}{message[1:]} (it is {choice!r})") from None


DISTRIBUTIONS = {"uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3, "randint": 2, "lograndint": 2}


def _extremes(value: Any, where: str, samples: int | None) -> list[Any]:
    """The values to validate: each of a grid; both ends of a range."""
    if isinstance(value, list):
        if not value:
            raise SweepError(f"{where}: an empty list")
        return value
    if not isinstance(value, dict):
        return [value]
    if len(value) != 1 or next(iter(value)) not in DISTRIBUTIONS:
        kind = next(iter(value), "")
        raise SweepError(f"{where}: a range is one of {', '.join(DISTRIBUTIONS)}{nearest(str(kind), DISTRIBUTIONS)}")
    ((kind, bounds),) = value.items()
    if not isinstance(bounds, list) or len(bounds) != DISTRIBUTIONS[kind] or not all(_is_number(b) for b in bounds):
        raise SweepError(f"{where}: {kind} takes {DISTRIBUTIONS[kind]} numbers (it is {bounds!r})")
    if bounds[0] >= bounds[1] or ("log" in kind and bounds[0] <= 0):
        raise SweepError(f"{where}: {kind} needs lower < upper{', both positive' * ('log' in kind)} (it is {bounds!r})")
    if "randint" in kind and not all(float(b).is_integer() for b in bounds):
        raise SweepError(f"{where}: {kind} takes whole numbers (it is {bounds!r})")
    if kind.startswith("q") and not _divides(bounds[2], bounds[:2]):
        raise SweepError(
            f"{where}: {kind} takes lower, upper, step: step above 0, both bounds multiples of it (it is {bounds!r})"
        )
    if samples is None:
        raise SweepError(f"{where}: a range needs `samples: N` beside it, the number of draws")
    return [bounds[0], bounds[1] - 1 if "randint" in kind else bounds[1]]


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _divides(step: float, bounds: Sequence[float]) -> bool:
    """Whether the bounds are multiples of the step, as Ray's quantized ranges demand."""
    try:
        return step > 0 and all(math.isclose(b / step, round(b / step)) for b in bounds)
    except OverflowError:
        return False


def parse_pair(text: str, domains: Sequence[str], where: str = "--only") -> tuple[str, str]:
    """``amazon-dslr`` → (source, target).

    Raises:
        SweepError: one of the two is no domain of the dataset.
    """
    source, dash, target = text.partition("-")
    if not dash:
        raise SweepError(f"{where}: a pair is source-target, as in {domains[0]}-{domains[-1]} (it is {text!r})")
    for domain in (source, target):
        if domain not in domains:
            raise SweepError(f"{where}: unknown domain {domain!r}{nearest(domain, domains)}")
    if source == target:
        raise SweepError(f"{where}: source and target are the same domain ({text!r})")
    return source, target
