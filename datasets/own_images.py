"""The user's own pictures: a folder or a table of paths for each domain, with or without labels.

``dataset: {folders: {catalog: path, phone: path}}`` in an experiment. A folder holds one folder for each class, or,
of a domain without labels, the pictures themselves; a CSV or Parquet file holds a path and perhaps a label in each row.
The classes are those of all domains together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from transfer_sweep.datasets._own import Findings, OwnDataset
from transfer_sweep.datasets.base import DataError, Domain, Options, Progress, Samples
from transfer_sweep.datasets.images.decoding import Decoded, PictureFiles, PictureOptions, decode
from transfer_sweep.datasets.images.listing import Listing, list_folder, list_table
from transfer_sweep.datasets.images.pictures import as_square
from transfer_sweep.datasets.io.names import counted, some


class OwnImagesOptions(PictureOptions):
    """Options of the user's own pictures."""

    path_column: str | None = Field(
        None, description="column of paths in CSV and Parquet files; else path, file or image, or the only one"
    )
    label_column: str | None = Field(
        None, description="column of labels in CSV and Parquet files; else label, class or y, where there is one"
    )


class OwnImages(OwnDataset):
    """The user's own pictures, (n, 3, size, size) uint8.

    Args:
        root: not needed.
        options: size of the pictures, names of columns.
        cache: folder in which decoded pictures are kept, by their content.
        progress: told of decoding.
        paths: domain → its folder, or its table of paths.
        skip_damaged: leave damaged pictures out, and paths of a table without a file. It is no option, which would be
            part of every trial's identity: where nothing is damaged it changes nothing, and where something is, there
            are no results without it.
    """

    name = "own_images"
    raw_backbone = "pixels"
    options_type = OwnImagesOptions
    options: OwnImagesOptions

    def __init__(
        self,
        root: Path | None = None,
        options: Options | None = None,
        cache: Path | None = None,
        progress: Progress | None = None,
        paths: Mapping[str, Path] | None = None,
        skip_damaged: bool = False,
    ) -> None:
        self.skip_damaged = skip_damaged
        super().__init__(root, options, cache, progress, paths)

    def with_options(self, options: Options) -> Self:
        """The same pictures under other options."""
        return type(self)(self.root, options, self.cache, self.progress, self.paths, self.skip_damaged)

    def load(self, domain: str) -> Domain:
        """One domain, in the order of its pictures' paths; no test part. With a cache the array is memory-mapped.

        Raises:
            DataError: the domain is unknown, or pictures are damaged.
        """
        decoded = self._decode(domain)
        labels = self._indices(self._listings[domain].classes)[decoded.whole]
        return Domain(domain, Samples(decoded.pixels, labels))

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[np.uint8]:
        """A picture as the domains' are: resized to a square, in colour; (3, size, size)."""
        return as_square(picture, self.options.size)

    def sample_names(self, domain: str) -> Sequence[str]:
        """(n,) paths of the pictures of :meth:`load`, below the domain's folder or as its table has them.

        Raises:
            DataError: the domain is unknown, or pictures are damaged.
        """
        whole, *_ = self._state(domain)
        return [name for name, kept in zip(self._listings[domain].names, whole, strict=True) if kept]

    def findings(self, domain: str) -> Findings:
        """What a domain holds: its pictures are decoded, if they were not before.

        Raises:
            DataError: the domain is unknown, or pictures are damaged.
        """
        whole, transparent, repeated = self._state(domain)
        listing = self._listings[domain]
        labels = self._indices(listing.classes)[whole]
        counts = np.bincount(labels[labels >= 0], minlength=len(self.classes)).tolist()
        remarks = list(listing.remarks)
        if transparent:
            remarks.append(f"{counted(transparent, 'picture')} partly transparent: laid over white")
        if repeated:
            remarks.append(f"{counted(repeated, 'picture')} with the very bytes of another: kept")
        damaged = int((~whole).sum())
        return Findings(
            domain,
            self.paths[domain],
            "picture",
            {name: count for name, count in zip(self.classes, counts, strict=True) if count},
            int((labels < 0).sum()),
            {**listing.left_out, **({"damaged": damaged} if damaged else {})},
            tuple(remarks),
        )

    def labels_come_from(self, domain: str | None) -> str:
        """How the user gives a domain labels."""
        if domain is not None and self.paths[domain].is_dir():
            return "put its pictures into one folder for each class"
        if domain is not None:
            return f"add a column {self.options.label_column or 'label'!r} to its table"
        return "a folder for each class gives them, or a column of labels in a table"

    def _look(self) -> None:
        own = self.options
        self._listings: dict[str, Listing] = {}
        self._found: dict[str, tuple[NDArray[np.bool_], int, int]] = {}
        for domain, path in self.paths.items():
            if path.is_dir():
                self._listings[domain] = list_folder(path)
            else:
                self._listings[domain] = list_table(path, own.path_column, own.label_column, self.skip_damaged)
        tables = [domain for domain, path in self.paths.items() if not path.is_dir()]
        if own.label_column and tables and not any(self._listings[domain].labelled_by for domain in tables):
            raise DataError(f"no table of {some(tables)} has a column {own.label_column!r}: name one with label_column")

    def _texts(self, domain: str) -> Sequence[str | None]:
        return self._listings[domain].classes

    def _state(self, domain: str) -> tuple[NDArray[np.bool_], int, int]:
        """Which pictures are whole, how many are transparent and how many repeated."""
        self._known(domain)
        if domain not in self._found:
            self._decode(domain)
        return self._found[domain]

    def _decode(self, domain: str) -> Decoded:
        self._known(domain)
        listing = self._listings[domain]
        advice = "repair or remove them, or leave them out with --skip-damaged"
        files = PictureFiles(domain, listing.paths, listing.names, advice)
        decoded = decode(files, self.options.size, self.cache, self.progress, self.skip_damaged)
        self._found[domain] = decoded.whole, decoded.transparent, decoded.repeated
        return decoded
