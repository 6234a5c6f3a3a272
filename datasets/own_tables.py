"""The user's own vectors: a CSV, Parquet or NPZ file for each domain, with or without labels.

``dataset: {tables: {a: a.csv, b: b.parquet, c: c.npz}, label: y}`` in an experiment. In CSV and Parquet files each
column but those of labels and of names is a feature; an NPZ file holds ``x``, (n, d), and perhaps ``y`` and ``id``. The
classes are those of all domains together.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.preprocessing import StandardScaler

from transfer_sweep.datasets._own import Findings, OwnDataset
from transfer_sweep.datasets.base import Domain, Options, Samples, Standardisation
from transfer_sweep.datasets.io.names import counted, printable, some
from transfer_sweep.datasets.io.tables import INDEX, NpzTable, Table, open_table

FEATURES = "x"
"""The array of an NPZ file that holds them."""

_LABELS, _NAMES = (
    ("label", "y"),
    ("id", "name", "ids", "names"),
)  # columns that are taken for these if the user names none
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


class OwnTablesOptions(Options):
    """Options of the user's own vectors."""

    label: str | None = Field(None, description="column of labels, empty cells for none; else label or y, if there")
    id: str | None = Field(None, description="column of the samples' names, for predictions; else id or name, if there")
    standardize: Literal["each", "all", "none"] = Field(
        "each",
        description="each column to mean 0 and variance 1: in each domain by itself, over all domains, or not at all",
    )


@dataclass(frozen=True)
class _Columns:
    """A domain's table, and what its columns are.

    Attributes:
        features: names of the columns of features; of an NPZ file, its one array of them.
        labels: the column of labels, if there is one.
        names: the column of the samples' names, if there is one.
    """

    table: Table
    features: tuple[str, ...]
    labels: str | None
    names: str | None


class OwnTables(OwnDataset):
    """The user's own vectors, (n, d) float32.

    By default each domain is standardised by itself, as the SURF features of Office-Caltech10 are in the literature on
    shallow methods: columns of any unit count alike, nothing of a domain depends on which others there are, and no
    method's result is owed to a mean that any user would have taken out. ``all`` standardises by the mean and variance
    of all domains together and so keeps the shift between them; ``none`` takes the vectors as they are.
    """

    name = "own_tables"
    raw_backbone = "vectors"
    options_type = OwnTablesOptions
    input_options = ("standardize",)
    options: OwnTablesOptions

    def with_options(self, options: Options) -> Self:
        """The same tables under other options: those of columns are read anew, standardising needs nothing new."""
        if options.model_copy(update={"standardize": self.options.standardize}) != self.options:
            return super().with_options(options)
        same = copy.copy(self)  # it shares what was read
        same.options = cast(OwnTablesOptions, options)
        return same

    def load(self, domain: str) -> Domain:
        """One domain, its rows in the order of the file; no test part.

        Raises:
            DataError: the domain is unknown, or its file (of ``all``, a file of any domain) is damaged or holds a value
                that is no finite number.
        """
        vectors = self._vectors(domain)
        labels = self._indices(self._classes.get(domain, [None] * len(vectors)))
        scaler = self._scaler(domain)
        if scaler is not None:
            vectors = scaler.transform(vectors.astype(np.float64)).astype(np.float32)
        return Domain(domain, Samples(vectors, labels))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of features, in their one order; those of NPZ files have none."""
        tables = [columns for columns in self._columns.values() if not isinstance(columns.table, NpzTable)]
        return tables[0].features if tables else ()

    def standardisation(self, domain: str) -> Standardisation | None:
        """Mean and deviation that :meth:`load` takes out of the domain's vectors."""
        scaler = self._scaler(domain)
        return None if scaler is None else Standardisation(scaler.mean_, scaler.scale_)

    def _scaler(self, domain: str) -> StandardScaler | None:
        if self.options.standardize == "none":
            return None
        scaler = StandardScaler()
        for each in self.domains if self.options.standardize == "all" else (domain,):
            scaler.partial_fit(self._vectors(each).astype(np.float64))
        return scaler

    def sample_names(self, domain: str) -> Sequence[str]:
        """(n,) the cells of the column of names; without one, the rows' numbers from 1.

        Raises:
            DataError: the domain is unknown, or its file is damaged.
        """
        self._known(domain)
        columns = self._columns[domain]
        n = len(self._vectors(domain))
        numbers = [str(row) for row in range(1, n + 1)]
        if columns.names is None:
            return numbers
        texts = columns.table.texts(columns.names)
        _check_length(columns.table, columns.names, len(texts), n)
        return [printable(text or number) for text, number in zip(texts, numbers, strict=True)]

    def findings(self, domain: str) -> Findings:
        """What a domain holds; its file is read.

        Raises:
            DataError: the domain is unknown, or its file is damaged.
        """
        vectors, columns = self._vectors(domain), self._columns[domain]
        remarks = [counted(vectors.shape[1], "feature")]
        if columns.names is not None:
            where = "the column without a name" if columns.names in INDEX else f"column {columns.names!r}"
            remarks.append(f"{where} names the samples and is no feature")
        if columns.labels is None:
            wanted = repr(self.options.label) if self.options.label else " or ".join(map(repr, _LABELS))
            remarks.append(f"there is no column {wanted}: its samples have no labels")
        if constant := int((vectors == vectors[:1]).all(axis=0).sum()):
            remarks.append(f"{counted(constant, 'feature')} of one value throughout")
        counts = self.class_counts(domain)
        unlabelled = len(vectors) - sum(counts.values())
        return Findings(domain, self.paths[domain], "row", counts, unlabelled, remarks=tuple(remarks))

    def labels_come_from(self, domain: str | None) -> str:
        """How the user gives a domain labels."""
        wanted = repr(self.options.label or _LABELS[0])
        return f"a column {wanted} gives them" if domain is None else f"add a column {wanted} to its table"

    def _look(self) -> None:
        own = self.options
        self._columns: dict[str, _Columns] = {}
        self._classes: dict[str, list[str | None]] = {}  # of the domains that have labels
        self._read: dict[str, NDArray[np.float32]] = {}
        for domain, path in self.paths.items():
            self._columns[domain] = _sorted_out(open_table(path), own)
        for option, wanted in (("label", own.label), ("id", own.id)):
            tables = [columns.table for columns in self._columns.values()]
            if wanted and tables and not any(wanted in table.columns for table in tables):
                raise tables[0].fault(
                    f"it has no column {wanted!r}, and no other table has: it has {_listed(tables[0].columns)}; name "
                    f"one with `{option}`"
                )
        for domain, columns in self._columns.items():
            if columns.labels is not None:
                self._classes[domain] = _classes(columns.table, columns.labels)
        self._put_in_one_order()

    def _put_in_one_order(self) -> None:
        """The same features in the same order in each domain."""
        named = [name for name, columns in self._columns.items() if not isinstance(columns.table, NpzTable)]
        for domain in named[1:]:
            first, own = self._columns[named[0]], self._columns[domain]
            if differing := set(first.features) ^ set(own.features):
                here = [name for name in own.features if name in differing]
                there = [name for name in first.features if name in differing]
                raise own.table.fault(
                    f"its columns of features ({len(own.features)}) are not the {len(first.features)} of "
                    f"{printable(first.table.path)}: {_only('here', here)}{' and ' if here and there else ''}"
                    f"{_only('there', there)}; give both the same columns"
                )
            self._columns[domain] = replace(own, features=first.features)
        widths = {domain: self._width(domain) for domain in self.domains}
        for domain, width in widths.items():
            if width != (wanted := widths[self.domains[0]]):
                other = printable(self.paths[self.domains[0]])
                raise self._columns[domain].table.fault(
                    f"it has {counted(width, 'feature')} and {other} has {wanted}: all domains need the same"
                )

    def _width(self, domain: str) -> int:
        columns = self._columns[domain]
        return int(self._vectors(domain).shape[1]) if isinstance(columns.table, NpzTable) else len(columns.features)

    def _texts(self, domain: str) -> Sequence[str | None]:
        return self._classes.get(domain, ())

    def _vectors(self, domain: str) -> NDArray[np.float32]:
        """The features as the file has them; read once."""
        self._known(domain)
        if domain not in self._read:
            columns = self._columns[domain]
            vectors = columns.table.numbers(columns.features)
            if columns.labels is not None:
                _check_length(columns.table, columns.labels, len(self._classes[domain]), len(vectors))
            self._read[domain] = vectors
        return self._read[domain]


def _sorted_out(table: Table, options: OwnTablesOptions) -> _Columns:
    """What the columns of a table are."""
    labels, names = special_columns(table.columns, options)
    if labels is not None and labels == names:
        raise table.fault(f"column {labels!r} cannot hold both the labels and the names of the samples")
    if isinstance(table, NpzTable):
        if FEATURES not in table.columns:
            raise table.fault(f"it has no array {FEATURES!r}, (n, d), but {_listed(table.columns)}: save one")
        return _Columns(table, (FEATURES,), labels, names)
    features = tuple(name for name in table.columns if name not in (labels, names))
    if not features:
        raise table.fault(f"it has no features: its columns are {_listed(table.columns)}")
    return _Columns(table, features, labels, names)


def special_columns(columns: Sequence[str], options: OwnTablesOptions) -> tuple[str | None, str | None]:
    """The columns of labels and of names among those of a table: those asked for, or else the first of the usual ones.

    Args:
        columns: of the table.
        options: may ask for some.

    Returns:
        Each of the two; None: it has none of them.
    """
    wanted = ((options.label, _LABELS), (options.id, (*_NAMES, *INDEX)))
    labels, names = (
        next((name for name in ((asked,) if asked else usual) if name in columns), None) for asked, usual in wanted
    )
    return labels, names


def _classes(table: Table, column: str) -> list[str | None]:
    """The labels of a table."""
    texts = table.texts(column)
    known = [text for text in texts if text is not None]
    for text in known:
        if not text.isprintable():
            raise table.fault(f"label {printable(text)} of column {column!r} cannot be printed: write it otherwise")
    if known and all(map(_NUMBER.fullmatch, known)) and (fraction := next((t for t in known if "." in t), None)):
        raise table.fault(
            f"column {column!r} holds numbers with fractions ({fraction}): classes are texts or whole numbers"
        )
    return texts


def _check_length(table: Table, column: str, found: int, n: int) -> None:
    if found != n:
        raise table.fault(f"array {column!r} has {found} entries and {FEATURES!r} has {n} rows: they need the same")


def _listed(columns: Sequence[str]) -> str:
    return printable(some([name or "one without a name" for name in columns], 8))


def _only(where: str, names: Sequence[str]) -> str:
    return f"only {where} {'is' if len(names) == 1 else 'are'} {printable(some(names, 3))}" if names else ""
