"""Domains that are folders of photographs, one folder a class: what Office-31 and its relatives share.

Images are decoded once, resized to a square, and kept as one uint8 array a domain in the cache, keyed by the
content of the files. The layouts found in the wild differ by an ``images/`` level below the domain's folder;
a reader that takes ``images`` for a class sees one class and reports 100 %, so class names and counts are
checked against the published ones.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from transfer_sweep.datasets.base import DataError, Dataset, Domain, FileCheck, Options, Samples
from transfer_sweep.datasets.io.cache import cached_array, content_key

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
_DECODER = "pillow, rgb, bilinear, 1"  # part of the cache's key: change it with what _decode does


class ImageFolderOptions(Options):
    """Options of the decoded images; part of the protocol."""

    size: int = Field(256, ge=32, le=512, description="height and width to which images are resized, in pixels")


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
    options_type = ImageFolderOptions
    options: ImageFolderOptions

    def load(self, domain: str) -> Domain:
        """One domain, (n, 3, size, size) uint8; no test part (the protocol is transductive).

        With a cache folder the array is memory-mapped, and decoded only where the files are new.

        Raises:
            DataError: the domain is unknown, its folder is missing or not as published, or images are damaged.
        """
        listing = self._list(domain)
        if self.cache is None:
            inputs = self._decode_all(domain, listing.paths)
        else:
            files = [(str(path.relative_to(listing.folder)), _digest(path)) for path in listing.paths]
            key = content_key(_DECODER, self.options.size, files)
            inputs = cached_array(self.cache, key, lambda: self._decode_all(domain, listing.paths))
        return Domain(domain, Samples(inputs, listing.labels))

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[np.uint8]:
        """A picture as the domain's images are: resized to a square, in colour; (3, size, size)."""
        return _square(picture, self.options.size)

    def verify(self) -> list[FileCheck]:
        """Check each domain's classes and counts, and decode every image of it."""
        return [self._verify(domain) for domain in self.domains]

    def _verify(self, domain: str) -> FileCheck:
        path = f"{self.name}/{domain}"
        lacking = f"expected {self._expected(domain)}" if self._find(domain) is None else None

        def read() -> str:
            listing = self._list(domain)
            self._each_image(domain, "checking", listing.paths, lambda _, image: image.load())
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
                f"{folder} holds {_some(sorted(found)) or 'no folders'} instead of {len(self.classes)} classes "
                f"({_some(missing)} missing): expected {self._expected(domain)}; {advice}"
            )
        if foreign := sorted(found - set(self.classes) - self.passed_over):
            raise DataError(f"{folder} holds {_some(foreign)}, no class of {self.name}: move it elsewhere")
        per_class = [_images(folder / name) for name in self.classes]
        paths = list(itertools.chain.from_iterable(per_class))
        if len(paths) != self.counts[domain]:
            raise DataError(
                f"{folder} holds {len(paths)} images, {self.name}/{domain} was published with {self.counts[domain]}; "
                f"{advice}"
            )
        labels = np.repeat(np.arange(len(self.classes), dtype=np.int64), [len(images) for images in per_class])
        return _Listing(folder, paths, labels)

    def _decode_all(self, domain: str, paths: list[Path]) -> NDArray[np.uint8]:
        size = self.options.size
        images = np.empty((len(paths), 3, size, size), dtype=np.uint8)

        def decode(index: int, image: Image.Image) -> None:
            images[index] = _square(image, size)

        self._each_image(domain, "decoding", paths, decode)
        return images

    def _each_image(self, domain: str, verb: str, paths: list[Path], use: Callable[[int, Image.Image], object]) -> None:
        """Open every image and call ``use`` with its index, in threads (Pillow decodes outside of the lock)."""

        def attempt(index: int) -> str | None:
            try:
                with Image.open(paths[index]) as image:
                    use(index, image)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                return f"{paths[index]} ({error})"
            return None

        damaged = []
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            for done, problem in enumerate(pool.map(attempt, range(len(paths))), start=1):
                if problem is not None:
                    damaged.append(problem)
                if self.progress is not None:
                    self.progress(f"{verb} {self.name}/{domain}", done, len(paths))
        if damaged:
            line = " ".join(_some(damaged, 3).split())
            raise DataError(
                f"{len(damaged)} of {len(paths)} images of {self.name}/{domain} cannot be decoded: {line}; delete "
                f"them and run `python -m sweep data fetch {self.name}`"
            )


def _square(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """(3, size, size), bilinear, whatever the proportions were."""
    resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized).transpose(2, 0, 1)


def _images(folder: Path) -> list[Path]:
    """Image files of one class, by name (hidden files are those of an operating system, not of the dataset)."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _some(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
