"""What datasets of the user's own share: paths that are checked, classes read from the data, and what was found."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transfer_sweep.datasets.base import UNLABELLED, DataError, Dataset, FileCheck, Options, Progress
from transfer_sweep.datasets.io.names import counted, printable, reason, some


@dataclass(frozen=True)
class Findings:
    """What a domain was found to hold.

    Attributes:
        domain: its name.
        path: where it lies.
        what: what a sample is called (``picture``, ``row``).
        classes: class → labelled samples; classes without any are left out.
        unlabelled: samples without a class.
        left_out: why → files that are no samples of it (``damaged``, ``hidden``, ``.heic``).
        remarks: what else the user should know, each a few words.
    """

    domain: str
    path: Path
    what: str
    classes: Mapping[str, int]
    unlabelled: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """How many there are, with and without a class."""
        return sum(self.classes.values()) + self.unlabelled

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it in sentences for the user."""
        counts = [f"{printable(name)} {count}" for name, count in self.classes.items()]
        if not counts:
            held = "without labels"
        else:
            without = f", {self.unlabelled} of them without a label" if self.unlabelled else ""
            held = f"of {counted(len(counts), 'class', 'classes')} ({some(counts, 12)}){without}"
        lines = [f"{self.domain}: {counted(self.samples, self.what)} {held}"]
        if self.left_out:
            parts = [f"{count} {why}" for why, count in sorted(self.left_out.items(), key=lambda item: -item[1])]
            lines.append(f"{self.domain}: {counted(sum(self.left_out.values()), 'file')} left out ({some(parts, 8)})")
        return (*lines, *(f"{self.domain}: {remark}" for remark in self.remarks))


class OwnDataset(Dataset):
    """Domains at the user's own paths; the protocol is transductive.

    Made without paths it has no domains, and says only what needs none (:meth:`from_picture`).

    Raises:
        DataError: of the constructor. A path is missing or unreadable, two domains share files, or the labels make no
            task: no domain has any, or all have one class.
    """

    of_user = True
    needs_root = False
    transductive = True
    domains: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    source = "the user's own data"

    def __init__(
        self,
        root: Path | None = None,
        options: Options | None = None,
        cache: Path | None = None,
        progress: Progress | None = None,
        paths: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__(root, options, cache, progress, paths)
        self.domains = tuple(self.paths)
        check_domains(self.paths)
        self._look()
        found = {name for domain in self.domains for name in self.class_counts(domain)}
        if self.domains and not found:
            raise DataError(
                f"none of {some(self.domains)} has labels, and a source needs them: {self.labels_come_from(None)}"
            )
        if len(found) == 1:
            raise DataError(
                f"{some(self.domains)} hold one class, {min(found)!r}: there must be two at least; "
                f"{self.labels_come_from(None)}"
            )
        self.classes = in_order(found)

    @abstractmethod
    def _look(self) -> None:
        """Find what the paths hold, so that the labels are known; nothing is decoded."""

    @abstractmethod
    def _texts(self, domain: str) -> Sequence[str | None]:
        """(n,) the class of each sample that was found, by name; None where it has none."""

    @abstractmethod
    def labels_come_from(self, domain: str | None) -> str:
        """How the user gives a domain (None: any) labels, for errors."""

    @abstractmethod
    def findings(self, domain: str) -> Findings:
        """What a domain holds and what was left out of it; reads all of it.

        Raises:
            DataError: the domain is unknown, or a file is damaged.
        """

    @abstractmethod
    def sample_names(self, domain: str) -> Sequence[str]:
        """(n,) what the samples of :meth:`load` are called, in their order: a path below the domain's, or an id.

        Raises:
            DataError: the domain is unknown, or a file is damaged.
        """

    def class_counts(self, domain: str) -> dict[str, int]:
        """Class → its labelled samples, by what is known without reading the samples themselves.

        Raises:
            DataError: the domain is unknown.
        """
        self._known(domain)
        counts = Counter(text for text in self._texts(domain) if text is not None)
        return {name: counts[name] for name in in_order(counts)}

    def known_classes(self, domain: str) -> Collection[str]:
        """The classes of which a domain has samples with labels."""
        return self.class_counts(domain)

    def wholly_labelled(self, domain: str) -> bool:
        """Whether every sample of a domain has its label."""
        self._known(domain)
        texts = self._texts(domain)  # none at all of a table without a column of them
        return len(texts) > 0 and None not in texts

    def verify(self) -> list[FileCheck]:
        """Read all of each domain."""

        def read(domain: str) -> str:
            lines = self.findings(domain).lines
            return "; ".join(line.removeprefix(f"{domain}: ") for line in lines)

        return [
            FileCheck.of(printable(path), None, lambda domain=domain: read(domain))  # type: ignore[misc]
            for domain, path in self.paths.items()
        ]

    def _known(self, domain: str) -> None:
        if domain not in self.domains:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains) or 'none'}")

    def _indices(self, texts: Iterable[str | None]) -> NDArray[np.int64]:
        index: dict[str | None, int] = {name: place for place, name in enumerate(self.classes)}
        return np.array([index.get(text, UNLABELLED) for text in texts], dtype=np.int64)


def in_order(classes: Iterable[str]) -> tuple[str, ...]:
    """Names of classes, each once: whole numbers by their value, anything else by its letters."""
    names = set(classes)
    try:
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(names))


def check_domains(paths: Mapping[str, Path]) -> None:
    """Check the names and the paths of domains.

    Args:
        paths: domain → where it lies.

    Raises:
        DataError: a name cannot be that of a domain, a path is missing or cannot be read, or two domains share files.
    """
    seen: dict[str, str] = {}
    for name in paths:
        if not name.strip() or not name.isprintable() or set(name) & set("/\\"):
            raise DataError(f"{name!r} is no name of a domain: letters, digits, hyphens and the like are")
        if (before := seen.setdefault(name.casefold(), name)) != name:
            raise DataError(f"domains {before} and {name} differ in capitals only: name one otherwise")
    stats = {name: _stat(name, path) for name, path in paths.items()}
    places = {name: Path(os.path.realpath(path)) for name, path in paths.items()}
    names = list(paths)
    for i, name in enumerate(names):
        for other in names[:i]:
            if os.path.samestat(stats[name], stats[other]):
                raise DataError(
                    f"domains {other} and {name} are the same, {printable(paths[name])}: a pair needs two of its own"
                )
            for inner, outer in ((name, other), (other, name)):
                if places[outer] in places[inner].parents:
                    raise DataError(
                        f"domain {inner} ({printable(paths[inner])}) lies inside of domain {outer} "
                        f"({printable(paths[outer])}): move it out, or name folders that lie beside each other"
                    )


def _stat(domain: str, path: Path) -> os.stat_result:
    where = printable(path)
    try:
        found = path.stat()
    except FileNotFoundError:
        near = next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))
        beside = (
            " (a symbolic link to nothing)" if path.is_symlink() else f"; {printable(near)} is the last part that does"
        )
        raise DataError(f"domain {domain}: {where} does not exist{beside}") from None
    except NotADirectoryError:
        raise DataError(f"domain {domain}: {where} is below a file, not below a folder") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"domain {domain}: {where} cannot be read: {reason(error)}") from None
    return found
