"""Domains that are folders of photographs, one folder a class: what Office-31 and its relatives share.

Images are decoded once, resized to a square, and kept as one uint8 array a domain in the cache, keyed by the
content of the files. The layouts found in the wild differ by an ``images/`` level below the domain's folder;
a reader that takes ``images`` for a class sees one class and reports 100 %, so class names and counts are
checked against the published ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transfer_sweep.datasets.base import DataError, Dataset, Domain, FileCheck, Samples
from transfer_sweep.datasets.images.decoding import PictureFiles, PictureOptions, check, decode
from transfer_sweep.datasets.images.pictures import SUFFIXES, as_square
from transfer_sweep.datasets.io.names import some


@dataclass(frozen=True)
class _Listing:
    """The images of a domain: (n,) paths, (n,) class indices, and the folder that holds the class folders."""

    folder: Path
    paths: list[Path]
    labels: NDArray[np.int64]


class ImageFolderDataset(Dataset):
    """A dataset laid out as ``<name>/<domain>/[images/]<class>/*.jpg``; the protocol is transductive.

    Attributes:
        counts: published number of images of each domain.
        borrowed: another folder below the data root in which a domain's images may lie, tried after its own.
        passed_over: class folders that may lie beside those of the dataset, and are no part of it.
    """

    counts: ClassVar[Mapping[str, int]]
    borrowed: ClassVar[Mapping[str, str]] = {}
    passed_over: ClassVar[frozenset[str]] = frozenset()
    raw_backbone = "pixels"
    transductive = True
    options_type = PictureOptions
    options: PictureOptions

    def load(self, domain: str) -> Domain:
        """One domain, (n, 3, size, size) uint8; no test part (the protocol is transductive).

        With a cache folder the array is memory-mapped, and decoded only where the files are new.

        Raises:
            DataError: the domain is unknown, its folder is missing or not as published, or images are damaged.
        """
        listing = self._list(domain)
        decoded = decode(self._files(domain, listing), self.options.size, self.cache, self.progress)
        return Domain(domain, Samples(decoded.pixels, listing.labels))

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[np.uint8]:
        """A picture as the domain's images are: resized to a square, in colour; (3, size, size)."""
        return as_square(picture, self.options.size)

    def verify(self) -> list[FileCheck]:
        """Check each domain's classes and counts, and decode every image of it."""
        return [self._verify(domain) for domain in self.domains]

    def _verify(self, domain: str) -> FileCheck:
        path = f"{self.name}/{domain}"
        lacking = f"expected {self._expected(domain)}" if self._find(domain) is None else None

        def read() -> str:
            listing = self._list(domain)
            check(self._files(domain, listing), self.progress)
            detail = f"{len(listing.paths)} images, {len(self.classes)} classes"
            own = listing.folder.is_relative_to(self._root / path)
            return detail if own else f"{detail}, in {self.borrowed[domain]}"

        return FileCheck.of(path, lacking, read)

    def _expected(self, domain: str) -> str:
        return f"{self._root / self.name / domain}/images/<class>/*.jpg with {len(self.classes)} class folders"

    def _find(self, domain: str) -> Path | None:
        """The folder that should hold the class folders of a domain; None where there is no such domain."""
        candidates = [self._root / self.name / domain]
        if domain in self.borrowed:
            candidates.append(self._root / self.borrowed[domain])
        for folder in candidates:
            if folder.is_dir():
                return folder / "images" if (folder / "images").is_dir() else folder
        return None

    def _list(self, domain: str) -> _Listing:
        if domain not in self.domains:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains)}")
        folder = self._find(domain)
        advice = f"`python -m sweep data fetch {self.name}` brings it"
        if folder is None:
            raise DataError(f"{self.name}/{domain} is missing: expected {self._expected(domain)}; {advice}")
        found = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
        if missing := sorted(set(self.classes) - found):
            raise DataError(
                f"{folder} holds {some(sorted(found)) or 'no folders'} instead of {len(self.classes)} classes "
                f"({some(missing)} missing): expected {self._expected(domain)}; {advice}"
            )
        if foreign := sorted(found - set(self.classes) - self.passed_over):
            raise DataError(f"{folder} holds {some(foreign)}, no class of {self.name}: move it elsewhere")
        per_class = [_images(folder / name) for name in self.classes]
        paths = list(itertools.chain.from_iterable(per_class))
        if len(paths) != self.counts[domain]:
            raise DataError(
                f"{folder} holds {len(paths)} images, {self.name}/{domain} was published with {self.counts[domain]}; "
                f"{advice}"
            )
        labels = np.repeat(np.arange(len(self.classes), dtype=np.int64), [len(images) for images in per_class])
        return _Listing(folder, paths, labels)

    def _files(self, domain: str, listing: _Listing) -> PictureFiles:
        names = [str(path.relative_to(listing.folder)) for path in listing.paths]
        advice = f"delete them and run `python -m sweep data fetch {self.name}`"
        return PictureFiles(f"{self.name}/{domain}", listing.paths, names, advice)


def _images(folder: Path) -> list[Path]:
    """Image files of one class, by name (hidden files are those of an operating system, not of the dataset)."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
