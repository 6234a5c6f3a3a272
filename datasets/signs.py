"""Traffic signs: drawn ones (SYN SIGNS) and photographs (GTSRB), 43 classes under the same numbers.

Layouts below the data root:

``gtsrb/GTSRB/Training/<class>/*.ppm`` with ``GT-<class>.csv``, ``gtsrb/GTSRB/Final_Test/Images/*.ppm`` and
``gtsrb/GT-final_test.csv``
    as torchvision leaves them.
``synthetic_data/train/*.png`` with ``synthetic_data/train_labelling.txt``
    as published: a line of the text file is ``train/<name>.png <label> <number>``, one for each image.

SYN SIGNS has no test part; a tenth, drawn with a seed, is set aside for it.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from transfer_sweep.datasets.base import (
    DataError,
    Dataset,
    Domain,
    DrawnOptions,
    FileCheck,
    RemoteFile,
    Samples,
    ValueRange,
    beside_published,
)
from transfer_sweep.datasets.images.strokes import square
from transfer_sweep.datasets.io.cache import cached_array, content_key

_DECODER = "pillow, rgb, bilinear, 1"  # part of the cache's key: change it with how images are decoded
_PUBLISHED = {"syn_signs": (90_000, 10_000), "gtsrb": (39_209, 12_630)}  # training and test images
_MIRROR = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370"
_LIMITS = (20, 30, 50, 60, 70, 80)


class SignsOptions(DrawnOptions):
    """What the arrays look like and which samples they hold; part of the protocol."""

    size: int = Field(40, ge=16, le=128, description="height and width in pixels (Ganin 2015: 40)")
    region: bool = Field(True, description="cut GTSRB's images to the sign, by its published corners (French 2018)")
    values: ValueRange = Field("symmetric", description="what networks see of 0–255: symmetric [−1, 1] or unit [0, 1]")
    train: int = Field(0, ge=0, description="training images that a trial has of each domain; 0: all")
    draw_seed: int = Field(
        0, ge=0, description="of the test part of drawn signs, and of what is drawn for all trials alike"
    )


class _Image(NamedTuple):
    """A file, its class, and the corners of the sign (left, top, right, bottom), where they are published."""

    path: Path
    label: int
    box: tuple[int, int, int, int] | None = None


class Signs(Dataset):
    """Traffic signs in two domains; uint8 images (n, 3, size, size), each domain with its own test part."""

    name = "signs"
    domains = ("syn_signs", "gtsrb")
    classes = (
        *(f"speed limit {limit}" for limit in _LIMITS),
        "end of speed limit 80",
        "speed limit 100",
        "speed limit 120",
        "no passing",
        "no passing for trucks",
        "right of way",
        "priority road",
        "yield",
        "stop",
        "no vehicles",
        "no trucks",
        "no entry",
        "danger",
        "bend left",
        "bend right",
        "bends",
        "bumpy road",
        "slippery road",
        "road narrows",
        "road works",
        "traffic signals",
        "pedestrians",
        "children",
        "bicycles",
        "snow",
        "animals",
        "end of limits",
        "turn right",
        "turn left",
        "ahead",
        "ahead or right",
        "ahead or left",
        "keep right",
        "keep left",
        "roundabout",
        "end of no passing",
        "end of no passing for trucks",
    )
    raw_backbone = "pixels"
    options_type = SignsOptions
    options: SignsOptions
    source = "SYN SIGNS: Moiseev et al. 2013 (ACIVS); GTSRB: Stallkamp et al. 2011 (IJCNN)"
    files = (
        RemoteFile(
            path="gtsrb",
            urls=(f"{_MIRROR}/GTSRB-Training_fixed.zip",),
            md5="513f3c79a4c5141765e10e952eaa2478",
            archive=True,
            members=r"(?:.*/)?(GTSRB/Training/[0-9]{5}/[^/]+\.(?:ppm|csv))",
        ),
        RemoteFile(
            path="gtsrb",
            urls=(f"{_MIRROR}/GTSRB_Final_Test_Images.zip",),
            md5="c7e4e6327067d32654124b0fe9e82185",
            archive=True,
            members=r"(?:.*/)?(GTSRB/Final_Test/Images/[^/]+\.ppm)",
        ),
        RemoteFile(
            path="gtsrb",
            urls=(f"{_MIRROR}/GTSRB_Final_Test_GT.zip",),
            md5="fe31e9c9270bbcd7b84b7f21a9d9d9e5",
            archive=True,
            members=r"(?:.*/)?(GT-final_test\.csv)",
        ),
        RemoteFile(
            path="synthetic_data",
            urls=("https://www.dropbox.com/s/7izi9lccg163on1/synthetic_data.zip?dl=1",),
            archive=True,
            members=r"(?:.*/)?synthetic_data/(train/[^/]+\.png|train_labelling\.txt)",
        ),
    )

    def load(self, domain: str) -> Domain:
        """One domain; half a minute where no cache has its images.

        Raises:
            DataError: there is no such domain, its files are missing or damaged, or hold fewer training images than
                the options ask for.
        """
        if (why := self.lacking(domain)) is not None:
            raise DataError(why)
        train, test = self._listed(domain)
        wanted, by_seed = self.options.train or None, self.options.draw == "by_seed"
        if wanted is not None and wanted > len(train):
            raise DataError(f"dataset_options.train asks for {wanted} training images of {domain}: {len(train)}")
        if wanted is not None and not by_seed:
            train = [train[row] for row in self._drawn(len(train))[:wanted]]
        return Domain(
            domain,
            self._samples(domain, train),
            self._samples(domain, test),
            train_size=wanted if by_seed else None,
        )

    def lacking(self, domain: str) -> str | None:
        """Which of a domain's files are not there, with the command that brings them; None where all are."""
        if domain not in self.domains:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains)}")
        wanted = {
            "syn_signs": ["synthetic_data/train_labelling.txt"],
            "gtsrb": ["gtsrb/GTSRB/Training", "gtsrb/GTSRB/Final_Test/Images", "gtsrb/GT-final_test.csv"],
        }[domain]
        missing = [path for path in wanted if not (self._root / path).exists()]
        if not missing:
            return None
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"{domain} lacks {missing[0]}{more}: `python -m sweep data fetch signs` brings it"

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[np.uint8]:
        """The middle square of a picture, in colour; (3, size, size)."""
        return np.asarray(square(picture, self.options.size)).transpose(2, 0, 1)

    def verify(self) -> list[FileCheck]:
        """Count each domain's images, and decode all of them."""
        return [self._verify(domain) for domain in self.domains]

    def _verify(self, domain: str) -> FileCheck:
        where = {"syn_signs": "synthetic_data", "gtsrb": "gtsrb"}[domain]

        def read() -> str:
            train, test = self._listed(domain)
            for part in (train, test):
                self._decoded(domain, part)
            return beside_published((len(train), len(test)), _PUBLISHED[domain])

        return FileCheck.of(where, self.lacking(domain), read)

    def _listed(self, domain: str) -> tuple[list[_Image], list[_Image]]:
        """Training and test images."""
        try:
            if domain == "gtsrb":
                base = self._root / "gtsrb"
                tables = sorted((base / "GTSRB/Training").glob("*/GT-*.csv"))
                train = [image for table in tables for image in self._annotated(table, table.parent)]
                test = self._annotated(base / "GT-final_test.csv", base / "GTSRB/Final_Test/Images")
            else:
                folder = self._root / "synthetic_data"
                lines = [line.split() for line in (folder / "train_labelling.txt").read_text().splitlines() if line]
                drawn = [_Image(folder / name, int(label)) for name, label, *_ in lines]
                order = self._drawn(len(drawn))
                aside = len(drawn) // 10
                test, train = ([drawn[row] for row in rows] for rows in (order[:aside], order[aside:]))
        except (OSError, ValueError, KeyError, TypeError, UnicodeDecodeError, csv.Error) as error:
            raise self._damaged(domain, error) from error
        labels = {image.label for image in (*train, *test)}
        if not train or not test or not labels <= set(range(len(self.classes))):
            raise DataError(f"{domain} below {self._root} has labels outside of 0–42, or no images")
        return train, test

    def _annotated(self, table: Path, folder: Path) -> list[_Image]:
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";", skipinitialspace=True))
        corners = ("Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2")
        return [
            _Image(
                folder / row["Filename"],
                int(row["ClassId"]),
                tuple(int(row[corner]) for corner in corners) if self.options.region else None,  # type: ignore[arg-type]
            )
            for row in rows
        ]

    def _drawn(self, n: int) -> NDArray[np.int64]:
        return np.random.default_rng(self.options.draw_seed).permutation(n)

    def _samples(self, domain: str, images: list[_Image]) -> Samples:
        labels = np.array([image.label for image in images], dtype=np.int64)
        if self.cache is None:
            return Samples(self._decoded(domain, images), labels)
        digest = hashlib.sha256()
        try:
            for image in images:
                digest.update(f"{image.path.name} {image.box} ".encode())
                digest.update(hashlib.sha256(image.path.read_bytes()).digest())
        except OSError as error:
            raise self._damaged(domain, error) from error
        key = content_key(_DECODER, self.options.size, digest.hexdigest())
        return Samples(cached_array(self.cache, key, lambda: self._decoded(domain, images)), labels)

    def _decoded(self, domain: str, images: list[_Image]) -> NDArray[np.uint8]:
        size = self.options.size
        pixels = np.empty((len(images), 3, size, size), dtype=np.uint8)
        for row, (path, _, box) in enumerate(images):
            try:
                with Image.open(path) as image:
                    cut = image.convert("RGB").crop(box) if box is not None else image.convert("RGB")
                    pixels[row] = np.asarray(cut.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                raise self._damaged(domain, error) from error
            if self.progress is not None and (row + 1) % 1000 == 0:
                self.progress(f"decoding {self.name}/{domain}", row + 1, len(images))
        return pixels

    def _damaged(self, domain: str, error: Exception) -> DataError:
        text = " ".join(str(error).split()) or type(error).__name__
        return DataError(
            f"the files of {domain} below {self._root} are damaged ({text}): remove them and run "
            "`python -m sweep data fetch signs`"
        )
