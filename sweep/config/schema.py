"""What an experiment file says: its keys, their types, bounds and defaults."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

import transfer_sweep
from transfer_sweep.algorithms.representations.msda import MSDAParams
from transfer_sweep.reports import selection
from transfer_sweep.reports.drawn_labels import ByLabels
from transfer_sweep.sweep.config.distributions import Range, Space, read_space
from transfer_sweep.sweep.config.source import Place, merge

transfer_sweep.refuse_bare(__name__)

WHOLE = "whole"
"""The type of a pydantic error whose message says all there is to say, the value included."""


def _whole(message: str) -> PydanticCustomError:
    return PydanticCustomError(WHOLE, "{message}", {"message": message})


def _is_none(value: object) -> bool:
    return value is None


def _is_true(value: bool) -> bool:
    return value


def _is_empty(value: Mapping[str, str]) -> bool:
    return not value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _read_pairs(pairs: Any) -> Any:
    if pairs == "all":
        return pairs
    if not isinstance(pairs, list | tuple) or not pairs:
        raise _whole(f"pairs is `all` or a list like [a-b, b-a] (it is {pairs!r})")
    for pair in pairs:
        if isinstance(pair, list | tuple) and len(pair) != 2:
            raise _whole(f"a pair is source-target or [source, target] (it is {pair!r})")
    return tuple(tuple(map(str, pair)) if isinstance(pair, list | tuple) else str(pair) for pair in pairs)


Pairs = Literal["all"] | tuple[str | tuple[str, str], ...]
"""Pairs as a file names them: ``all``, or each as ``source-target`` or as ``[source, target]``."""

OWN_DATA = {"folders": "own_images", "tables": "own_tables"}
"""What a ``dataset`` of the user's own is made of → the data set that reads it."""
LabelCount = Annotated[int, Field(ge=0, le=10_000)]
"""Target labels per class."""


class ProtocolRequest(_Strict):
    """What a file asks for besides method and pair that decides a result: backbone, training, labels.

    :mod:`transfer_sweep.sweep.planning` makes a protocol of it for each method.
    """

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
    target_classes: Annotated[int, Field(ge=1)] | Literal["unknown"] | None = Field(
        None,
        exclude_if=_is_none,
        description="of how many of the source's classes the target has samples, or unknown; absent: of all of them",
    )

    @property
    def weights_file(self) -> Path | None:
        """The file of pretrained weights; None: the published ones."""
        return Path(self.weights) if self.weights else None

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
    controls: bool = Field(
        True,
        exclude_if=_is_true,
        description="also run source_only with the chosen params of methods that let batch norm see the target: what "
        "they gain without their loss",
    )
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


def _read_space(written: Any) -> Space:
    try:
        return read_space(written)
    except ValueError as error:
        raise _whole(str(error)) from None


class MethodEntry(BaseModel):
    """What a file says of a method: once, or one of several times, each under a protocol of its own.

    Its fields are the only keys of an entry that are no hyperparameters. All others are, see :attr:`space`.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Annotated[Space, PlainValidator(_read_space)]] = Field(init=False)

    samples: int | None = Field(None, description="so many draws of the space; absent: its grid")
    pairs: Annotated[Pairs | None, BeforeValidator(_read_pairs)] = Field(None, description="absent: the experiment's")
    protocol: dict[str, Any] = Field({}, description="merged into the experiment's")
    dataset_options: dict[str, Any] = Field({}, description="merged into the experiment's")

    @property
    def space(self) -> Mapping[str, Space]:
        """What the file says of each hyperparameter that it names, in its order."""
        return self.__pydantic_extra__

    def points(self, rng: np.random.Generator) -> list[dict[str, Any]]:
        """The points of the space to try: the grid of its lists, or ``samples`` draws.

        Args:
            rng: what draws are made with, hyperparameter by hyperparameter in the file's order; a grid needs none.

        Returns:
            Hyperparameter → value each, as many as the file names; equal ones may be among them.
        """
        if self.samples is not None:
            return [{name: space.draw(rng) for name, space in self.space.items()} for _ in range(self.samples)]
        grid = itertools.product(*(space.values for space in self.space.values()))
        return [dict(zip(self.space, values, strict=True)) for values in grid]

    @model_validator(mode="before")
    @classmethod
    def _is_an_entry(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            raise PydanticCustomError("dict_type", "Input should be a valid dictionary")
        return written

    @field_validator("samples", mode="before")
    @classmethod
    def _is_a_count(cls, samples: Any) -> Any:
        if samples is not None and (not isinstance(samples, int) or isinstance(samples, bool) or samples < 1):
            raise PydanticCustomError("samples", "samples is a whole number from 1")
        return samples

    @field_validator("protocol", "dataset_options", mode="before")
    @classmethod
    def _is_a_mapping(cls, overrides: Any) -> Any:
        if not isinstance(overrides, Mapping):
            raise PydanticCustomError("mapping", "is a mapping")
        return overrides

    @model_validator(mode="after")
    def _draws_from_ranges(self) -> Self:
        problem = _whole("a range needs `samples: N` beside it, the number of draws")
        problems = [
            InitErrorDetails(type=problem, loc=(name,), input=space.written())
            for name, space in self.space.items()
            if self.samples is None and isinstance(space, Range)
        ]
        if problems:
            raise ValidationError.from_exception_data("MethodEntry", problems)
        return self

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return fields | {name: space.written() for name, space in self.space.items()}


def _read_entries(written: Any, read: ValidatorFunctionWrapHandler) -> tuple[MethodEntry, ...]:
    if written == []:
        raise _whole("an empty list")
    if isinstance(written, list):
        entries: tuple[MethodEntry, ...] = read(written)
        return entries
    return (MethodEntry.model_validate(written),)  # not read([written]): problems stand where the file has no index


def _with_own_data(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """``dataset: {folders: {a: path, …}, option: …}`` as a data set's name, its paths and its options.

    Raises:
        PydanticCustomError: one line that says what is allowed.
    """
    if "paths" in data:
        raise _whole("unknown key 'paths': the user's own data is `dataset: {folders: {domain: path, …}}`")
    written = data.get("dataset")
    if not isinstance(written, Mapping):
        return data
    kinds = [kind for kind in OWN_DATA if kind in written]
    if len(kinds) != 1:
        raise _whole(
            "dataset: is a name, or {folders: {domain: path, …}} of pictures, or {tables: {domain: file, …}} of "
            f"vectors (it has {', '.join(map(str, written)) or 'nothing'})"
        )
    (kind,) = kinds
    paths = written[kind]
    if not isinstance(paths, Mapping) or len(paths) < 2 or not all(isinstance(path, str) for path in paths.values()):
        raise _whole(f"dataset.{kind}: maps two domains or more to where they lie, each a path (it is {paths!r})")
    if wrong := next((name for name in map(str, paths) if not name.strip() or set(name) & set(":@,=")), None):
        raise _whole(f"dataset.{kind}: the name of a domain has none of the characters : @ , = (it is {wrong!r})")
    places = list(paths.values())
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise _whole(f"dataset.{kind}: two domains lie at {twice}: each needs data of its own")
    options = {key: value for key, value in written.items() if key != kind}
    return {
        **data,
        "dataset": OWN_DATA[kind],
        "dataset_options": merge(options, data.get("dataset_options") or {}),
    } | {"paths": {str(name): path for name, path in paths.items()}}


class Experiment(_Strict):
    """A validated experiment file with its profile applied.

    ``model_dump`` gives it as the file has it, with all defaults; ledgers record that.
    """

    name: str
    description: str = ""
    dataset: str
    paths: dict[str, str] = Field(
        {}, exclude_if=_is_empty, description="of the user's own data: domain → where it lies"
    )
    dataset_options: dict[str, Any] = {}
    protocol: ProtocolRequest = ProtocolRequest()
    pairs: Annotated[Pairs, BeforeValidator(_read_pairs)] = "all"
    epochs: int = Field(30, ge=1, description="budget of a deep method")
    seed: int = Field(0, ge=0)
    confirm: Confirm = Confirm()
    early_stopping: EarlyStopping = EarlyStopping()
    criterion: str = selection.AUTO
    methods: dict[str, Annotated[tuple[MethodEntry, ...], WrapValidator(_read_entries)]]
    resources: Resources = Resources()
    proxy_a_distance: bool = Field(False, description="measure it at each trial's end, on inputs and representations")
    checkpoint_seconds: float = Field(20, ge=0, description="a trial that runs longer saves itself this often")
    profile: str = "default"
    _listed: frozenset[str] = PrivateAttr(frozenset())
    """The methods whose entries the file has in a list, be it of one."""

    @field_validator("criterion")
    @classmethod
    def _in_one_form(cls, criterion: str) -> str:
        return str(ByLabels.parse(criterion) or criterion)

    @property
    def stopping_criterion(self) -> str:
        """What rungs compare: a criterion by which a trial scores itself."""
        return self.early_stopping.criterion or selection.stopping_criterion_for(self.criterion)

    def entries(self) -> Iterator[tuple[str, MethodEntry, Place]]:
        """What the file says of its methods, in its order: a method's name, an entry, and where that stands."""
        for method, entries in self.methods.items():
            for i, entry in enumerate(entries):
                yield method, entry, ("methods", method, i) if method in self._listed else ("methods", method)

    def under(self, entry: MethodEntry) -> Experiment:
        """The experiment as one entry sees it: with its pairs, its protocol and its options of the dataset.

        Raises:
            ValidationError: the two protocols do not go together (never where :func:`loader.load` made it).
        """
        protocol = merge(self.protocol.model_dump(), entry.protocol)
        return self.model_copy(
            update={
                "pairs": self.pairs if entry.pairs is None else entry.pairs,
                "protocol": ProtocolRequest.model_validate(protocol),
                "dataset_options": merge(self.dataset_options, entry.dataset_options),
            }
        )

    @model_validator(mode="wrap")
    @classmethod
    def _note_lists(cls, data: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        experiment = read(_with_own_data(data) if isinstance(data, Mapping) else data)
        if isinstance(data, Mapping):
            listed = frozenset(method for method, entries in data["methods"].items() if isinstance(entries, list))
            experiment._listed = listed
        return experiment

    @field_serializer("methods")
    def _as_written(self, methods: Mapping[str, tuple[MethodEntry, ...]]) -> dict[str, Any]:
        return {name: list(entries) if name in self._listed else entries[0] for name, entries in methods.items()}
