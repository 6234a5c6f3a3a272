"""The array types that every package shares, and the interface of a dataset.

A dataset is a set of domains over the same classes. It turns the files of its published layout below a
data root (or nothing, where it is built from installed packages) into arrays; splitting, hiding labels and
scoring happen elsewhere.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.sparse import csr_array

from transfer_sweep import UserError

ValueRange = Literal["symmetric", "unit"]
"""What networks that are trained from scratch see of grey levels 0–255: [−1, 1] or [0, 1]. A dataset whose options
have a field ``values`` of this type leaves the choice to the experiment; of others they see [−1, 1]."""

_BEFORE = "before"


class DataError(UserError, ValueError):
    """Data that is missing, damaged or not what was asked for. Its text is one line for the user."""


class Progress(Protocol):
    """What long work (a download, decoding images) calls as it goes on; whoever passes it owns the look."""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` units of ``what`` are there (bytes of a file, images of a domain).

        ``total`` is None where it is unknown. The last call has ``done == total``.
        """


UNLABELLED = -1
"""The label of a sample of which no class is known."""


@dataclass(frozen=True)
class Samples:
    """Samples, of which all, some or none have labels.

    Attributes:
        inputs: (n, d) vectors, float32, float16 or a CSR matrix of float32; or (n, channels, height, width) uint8
            images.
        labels: (n,) int64 class indices in [0, number of classes), :data:`UNLABELLED` where none is known.
    """

    inputs: NDArray[Any] | csr_array
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.inputs.shape[0] != len(self.labels):
            raise DataError(f"{self.inputs.shape[0]} inputs but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(n,) whether a sample's class is known."""
        known: NDArray[np.bool_] = self.labels != UNLABELLED
        return known

    def take(self, indices: NDArray[np.integer]) -> Samples:
        """The samples at ``indices``. Their inputs are copied when they are first looked at."""
        return _Taken(self, indices)

    def rows(self) -> tuple[NDArray[Any], NDArray[np.integer] | None]:
        """An array that holds the inputs, and in which of its rows (None: all, in order); nothing is copied.

        For a reader of batches: many trials read their own part of one array that they share.
        """
        return self.inputs, None


class _Taken(Samples):
    """Some rows of other samples."""

    _array: NDArray[Any]
    _rows: NDArray[np.integer]

    def __init__(self, whole: Samples, indices: NDArray[np.integer]) -> None:
        array, rows = whole.rows()
        object.__setattr__(self, "_array", array)
        object.__setattr__(self, "_rows", indices if rows is None else rows[indices])
        object.__setattr__(self, "labels", whole.labels[indices])

    @cached_property
    def inputs(self) -> NDArray[Any]:
        taken: NDArray[Any] = self._array[self._rows]
        return taken

    def rows(self) -> tuple[NDArray[Any], NDArray[np.integer] | None]:
        return self._array, self._rows


@dataclass(frozen=True)
class Domain:
    """One distribution of one dataset.

    Attributes:
        name: as in ``paper_results.csv`` (``amazon``).
        train: what methods train on or adapt to.
        test: what a target is scored on; None where the published protocol is transductive, that is,
            where the (unlabelled) training samples are the scored ones.
        train_size: how many of the training samples a trial has, drawn with its seed; None: all of them.
    """

    name: str
    train: Samples
    test: Samples | None = None
    train_size: int | None = field(default=None, kw_only=True)

    @property
    def trained_on(self) -> int:
        """How many training samples a trial has."""
        return len(self.train) if self.train_size is None else self.train_size

    @property
    def scored(self) -> Samples:
        """The samples that this domain, as a target, is scored on."""
        return self.train if self.test is None else self.test


@dataclass(frozen=True)
class Standardisation:
    """Vectors become (x − mean) / scale.

    Attributes:
        mean, scale: (d,) float64.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]


@dataclass(frozen=True)
class RemoteFile:
    """A file that ``data fetch`` can bring.

    Attributes:
        path: where it (or, for an archive, what it unpacks to) lies, relative to the data root.
        urls: mirrors, tried in this order.
        sha256, md5: of the downloaded file, where known; checked before anything is unpacked.
        gzipped: whether the download is this one file, gzipped.
        archive: whether it is a zip or tar file, to be unpacked below the folder ``path``. Mirrors may pack the
            same files differently.
        members: of an archive, a regular expression for the paths to unpack; its first group is the path below
            ``path``. None unpacks everything.
    """

    path: str
    urls: tuple[str, ...]
    sha256: str | None = None
    md5: str | None = None
    gzipped: bool = False
    archive: bool = False
    members: str | None = None


@dataclass(frozen=True)
class FileCheck:
    """What ``data verify`` says of one file or folder of a dataset.

    Attributes:
        path: relative to the data root.
        state: ``ok``, ``missing`` or ``damaged``.
        detail: counts when ok; what is wrong otherwise. One line.
    """

    path: str
    state: Literal["ok", "missing", "damaged"]
    detail: str = ""

    @classmethod
    def of(cls, path: str, lacking: str | None, read: Callable[[], str]) -> FileCheck:
        """Check by reading.

        Args:
            path: relative to the data root.
            lacking: what is missing; None: nothing is.
            read: reads all of it and tells counts; a :class:`DataError` says what is damaged.
        """
        if lacking is not None:
            return cls(path, "missing", lacking)
        try:
            return cls(path, "ok", read())
        except DataError as error:
            return cls(path, "damaged", str(error))


def beside_published(found: tuple[int, int], published: tuple[int, int]) -> str:
    """Numbers of training and test images in words, beside the published ones where they differ."""
    texts = [
        f"{own} {name}" + ("" if own == whole else f" of {whole} published")
        for own, name, whole in zip(found, ("training", "test"), published, strict=True)
    ]
    return f"{', '.join(texts)} images"


class Recorded(BaseModel):
    """Settings that are part of a trial's identity; a record of them is read for years.

    A field that joins later is declared with :func:`added_later`: trials that ran before it keep their identity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def encode(self) -> dict[str, Any]:
        """The record: JSON values by field, in the order of declaration.

        A field added later is left out at the value that reproduces earlier behaviour.
        """
        before = self._before()
        record = self.model_dump(mode="json")
        return {name: value for name, value in record.items() if name not in before or value != before[name]}

    @classmethod
    def decode(cls, record: Mapping[str, Any]) -> Self:
        """Read a record. What it lacks of the fields added later has the value that reproduces earlier behaviour.

        Args:
            record: what :meth:`encode` gave, now or in an earlier version.

        Raises:
            pydantic.ValidationError: the record does not fit.
        """
        return cls.model_validate({**cls._before(), **record})

    @classmethod
    def _before(cls) -> dict[str, Any]:
        """Field added later → the JSON value that reproduces earlier behaviour."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return {name: extra[_BEFORE] for name, extra in extras.items() if isinstance(extra, dict) and _BEFORE in extra}


def added_later(default: Any, *, before: Any, **field: Any) -> Any:
    """A field of a :class:`Recorded` that joins when there are records already.

    Args:
        default: for those who do not set it, from now on.
        before: the JSON value that reproduces what was done before there was the field. It may differ from the default.
        field: bounds, description and what else :func:`pydantic.Field` takes.
    """
    return Field(default, json_schema_extra={_BEFORE: before}, **field)


class Options(Recorded):
    """Options of a dataset that belong to the protocol (image size, layout). Subclass per dataset."""


class DrawnOptions(Options):
    """Options of a dataset whose option ``train`` lets trials have a part of a domain's training samples."""

    draw: Literal["by_seed", "fixed"] = added_later(
        "by_seed",
        before="fixed",
        description="of what `train` asks for: with each trial's seed, or with draw_seed for all trials alike (as "
        "before this option)",
    )

    @model_validator(mode="before")
    @classmethod
    def _where_something_is_drawn(cls, given: Any) -> Any:
        # What decides nothing changes no identity.
        if not isinstance(given, Mapping) or given.get("train"):
            return given
        return {**given, "draw": "fixed"}


class Dataset(ABC):
    """A family of domains over one label set. Subclass it in ``datasets/<name>.py``; the registry finds it.

    Attributes:
        name: the module's name, and that of experiment files.
        domains: names of the domains, as in ``paper_results.csv``.
        classes: names of the classes, in the order of the label indices.
        raw_backbone: what the inputs are called in reports where no backbone turns them into features
            (``surf_bow800``, ``pixels``).
        holdout: fraction of the source's training samples held out as source validation.
        transductive: whether methods adapt to the very (unlabelled) samples that are scored: its domains have
            no ``test`` part.
        input_options: names of the options that change what the inputs hold and nothing else: results under
            different ones may share a table, as those of different backbones do.
        needs_root: whether it reads files below a data root.
        of_user: whether its domains are the user's own, at paths that the experiment names; then ``domains`` and
            ``classes`` are those of an object, not of the class.
        source: citation.
        files: what ``data fetch`` brings.
    """

    name: ClassVar[str]
    domains: tuple[str, ...]
    classes: tuple[str, ...]
    raw_backbone: ClassVar[str]
    source: ClassVar[str]
    holdout: ClassVar[float] = 0.1
    transductive: ClassVar[bool] = False
    needs_root: ClassVar[bool] = True
    of_user: ClassVar[bool] = False
    files: ClassVar[Sequence[RemoteFile]] = ()
    options_type: ClassVar[type[Options]] = Options
    input_options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        root: Path | None = None,
        options: Options | None = None,
        cache: Path | None = None,
        progress: Progress | None = None,
        paths: Mapping[str, Path] | None = None,
    ) -> None:
        """Name where the data lies; nothing is read yet.

        Args:
            root: the data root (each dataset has its own folder below it).
            options: of ``options_type``; its defaults where None.
            cache: folder in which decoded arrays may be kept between runs; None decodes each time.
            progress: told of long work, such as decoding images.
            paths: domain → where it lies, of a dataset that is ``of_user``.

        Raises:
            DataError: the dataset needs a data root and got none.
        """
        if self.needs_root and root is None:
            raise DataError(
                f"dataset {self.name} needs a data root: name one with --data-root or SWEEP_DATA_ROOT "
                f"(`python -m sweep data fetch {self.name}` fills one)"
            )
        self.root = root
        self.options = options if options is not None else self.options_type()
        self.cache = cache
        self.progress = progress
        self.paths = dict(paths or {})

    def with_options(self, options: Options) -> Self:
        """The same data under other options."""
        return type(self)(self.root, options, self.cache, self.progress, self.paths)

    @property
    def _root(self) -> Path:
        assert self.root is not None  # needs_root
        return self.root

    def lacking(self, domain: str) -> str | None:
        """What a domain lacks, with the command that brings it, where its pairs are to be skipped; else None.

        By default nothing: a domain whose files are missing is an error of :meth:`load`.
        """
        return None

    def known_classes(self, domain: str) -> Collection[str]:
        """The classes of which a domain has samples with labels; by default all."""
        return self.classes

    def wholly_labelled(self, domain: str) -> bool:
        """Whether every sample of a domain has its label; by default so."""
        return True

    @abstractmethod
    def load(self, domain: str) -> Domain:
        """The arrays of one domain.

        Raises:
            DataError: a file is missing or damaged; the text names it and the next step.
        """

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[Any]:
        """A picture from elsewhere as :meth:`load` would have it in a domain: one sample, without its axis.

        Args:
            picture: of any size and colour.
            domain: whose look it is to have.

        Raises:
            DataError: the dataset is none of images, or the picture shows nothing.
        """
        raise DataError(f"{self.name} holds no images: pictures cannot be classified with its models")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the entries of a vector; empty where they have none."""
        return ()

    def standardisation(self, domain: str) -> Standardisation | None:
        """What a domain's vectors are standardised by, and vectors from elsewhere are to be, too; None: by nothing.

        Raises:
            DataError: a file is missing or damaged.
        """
        return None

    @abstractmethod
    def verify(self) -> list[FileCheck]:
        """What is there, what is damaged and what is missing, without raising."""


def checksum(domain: Domain) -> str:
    """A digest of a domain's arrays, for the record of a run."""
    digest = hashlib.sha256()
    for part in (domain.train, domain.test):
        if part is not None:
            inputs = part.inputs
            arrays = (inputs.indptr, inputs.indices, inputs.data) if isinstance(inputs, csr_array) else (inputs,)
            for array in arrays:
                digest.update(np.ascontiguousarray(array).data)  # no copy: a domain may be large
            digest.update(part.labels.tobytes())
    return digest.hexdigest()[:16]
