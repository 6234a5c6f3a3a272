"""Digits from five sources: handwriting (MNIST, USPS), house numbers (SVHN), MNIST-M, and drawn numbers.

Layouts below the data root:

``MNIST/raw/*-ubyte``, ``USPS/usps.bz2`` and ``usps.t.bz2``, ``SVHN/{train,test}_32x32.mat``
    as torchvision leaves and reads them.
``mnist_m/mnist_m_{train,test}/*.png`` with ``mnist_m_{train,test}_labels.txt``
    as published: a line of the text file is ``<name>.png <label>``, one for each image.
``SYN_NUMBERS/synth_{train,test}_32x32.mat``
    as published; without it the numbers are drawn by us, which the option ``syn_numbers`` says.

The published protocols do not agree on how images of 16, 28 and 32 pixels are brought to one size, on colour or
on the range of values, and their results hang on it: all of it is options, printed in reports.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from scipy.io import loadmat

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
from transfer_sweep.datasets.images.drawn_numbers import VERSION, draw_labels, draw_numbers
from transfer_sweep.datasets.images.strokes import isolate, square
from transfer_sweep.datasets.io.cache import cached_array, content_key

_MNIST_BOX = 20  # pixels: MNIST's digits are scaled into a box of this size in the middle of 28×28
_SYN_TEST = 9553  # as published
_PUBLISHED = {  # training and test images
    "mnist": (60_000, 10_000),
    "usps": (7291, 2007),
    "svhn": (73_257, 26_032),
    "mnist_m": (59_001, 9001),
    "syn_numbers": (479_400, _SYN_TEST),
}
_MNIST = {  # file → md5 of its gzip
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
_PATHS = {
    "mnist": [f"MNIST/raw/{name}" for name in _MNIST],
    "usps": ["USPS/usps.bz2", "USPS/usps.t.bz2"],
    "svhn": ["SVHN/train_32x32.mat", "SVHN/test_32x32.mat"],
    "mnist_m": [f"mnist_m/mnist_m_{part}{end}" for part in ("train", "test") for end in ("", "_labels.txt")],
    "syn_numbers": [f"SYN_NUMBERS/synth_{part}_32x32.mat" for part in ("train", "test")],
}


class DigitsOptions(DrawnOptions):
    """What the arrays look like and which samples they hold; part of the protocol."""

    size: Literal[28, 32] = Field(
        28, description="pixels; 28 → 32 by a border of two, 32 → 28 without it (MNIST-M) or scaled (SVHN, numbers)"
    )
    channels: Literal[1, 3] = Field(1, description="1: all in grey; 3: colour, grey domains repeated")
    usps: Literal["stretched", "bordered"] = Field(
        "stretched",
        description="its 16×16 scaled to the whole 28×28 (French 2018), or to MNIST's box of 20×20 with a border of 4",
    )
    values: ValueRange = Field("symmetric", description="what networks see of 0–255: symmetric [−1, 1] or unit [0, 1]")
    train: dict[str, int] = Field(
        {},
        description="training images that a trial has of a domain, as {mnist: 2000, usps: 1800}; all where none is "
        "named",
    )
    draw_seed: int = Field(0, ge=0, description="of drawn numbers, and of what is drawn for all trials alike")
    syn_numbers: Literal["drawn", "published"] = Field("drawn", description="by our generator, or the published files")
    drawn: int = Field(50_000, ge=100, le=500_000, description="training images of drawn numbers (published: 479,400)")

    @field_validator("train")
    @classmethod
    def _known(cls, train: dict[str, int]) -> dict[str, int]:
        for domain, count in train.items():
            if domain not in Digits.domains:
                raise PydanticCustomError("domain", f"No domain {domain!r} ({', '.join(Digits.domains)})")
            if count < 10:
                raise PydanticCustomError("count", f"Fewer than 10 training images of {domain}")
        return dict(sorted(train.items()))


class _Part(NamedTuple):
    """Images (n, h, w) grey or (n, h, w, 3) colour, uint8, and their labels, as a domain's files hold them."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


class Digits(Dataset):
    """Ten digits in five domains; uint8 images (n, channels, size, size), each domain with its own test part."""

    name = "digits"
    domains = ("mnist", "usps", "svhn", "mnist_m", "syn_numbers")
    classes = tuple("0123456789")
    raw_backbone = "pixels"
    options_type = DigitsOptions
    options: DigitsOptions
    source = (
        "MNIST: LeCun et al. 1998; USPS: Hull 1994; SVHN: Netzer et al. 2011; MNIST-M, SYN NUMBERS: Ganin & "
        "Lempitsky 2015 (ICML); drawn numbers: transfer-sweep"
    )
    files = (
        *(
            RemoteFile(
                path=f"MNIST/raw/{name}",
                urls=(
                    f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}.gz",
                    f"http://yann.lecun.com/exdb/mnist/{name}.gz",
                ),
                md5=md5,
                gzipped=True,
            )
            for name, md5 in _MNIST.items()
        ),
        *(
            RemoteFile(
                path=f"USPS/{name}",
                urls=(f"https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/{name}",),
                md5=md5,
            )
            for name, md5 in (
                ("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
                ("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
            )
        ),
        *(
            RemoteFile(path=f"SVHN/{name}", urls=(f"http://ufldl.stanford.edu/housenumbers/{name}",), md5=md5)
            for name, md5 in (
                ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
                ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
            )
        ),
        RemoteFile(
            path="mnist_m",
            urls=(
                "https://drive.usercontent.google.com/download?id=0B_tExHiYS-0veklUZHFYT19KYjg"
                "&resourcekey=0-DE7ivVVSn8PwP9fdHvSUfA&export=download&confirm=t",
            ),
            archive=True,
            members=r"(?:.*/)?(mnist_m_(?:train|test)(?:/[0-9]+\.png|_labels\.txt))",
        ),
        RemoteFile(
            path="SYN_NUMBERS",
            urls=(
                "https://drive.usercontent.google.com/download?id=0B9Z4d7lAwbnTSVR1dEFSRUFxOUU"
                "&export=download&confirm=t",
            ),
            archive=True,
            members=r"(?:.*/)?(synth_(?:train|test)_32x32\.mat)",
        ),
    )

    def load(self, domain: str) -> Domain:
        """One domain; a second or so, drawn numbers a minute where no cache has them.

        Raises:
            DataError: there is no such domain, its files are missing or damaged, or hold fewer training images
                than the options ask for.
        """
        self._known(domain)
        if (why := self.lacking(domain)) is not None:
            raise DataError(why)
        train, test = self._read(domain)
        wanted, n = self.options.train.get(domain), len(train.labels)
        if wanted is not None and wanted > n:
            raise DataError(f"dataset_options.train asks for {wanted} training images of {domain}, which has {n}")
        by_seed = self.options.draw == "by_seed"
        if wanted is not None and not by_seed:
            train = self._fixed(train, wanted, domain)
        return Domain(
            domain,
            Samples(self._in_form(train.images, domain), train.labels),
            Samples(self._in_form(test.images, domain), test.labels),
            train_size=wanted if by_seed else None,
        )

    def lacking(self, domain: str) -> str | None:
        """Which of a domain's files are not there, with the command that brings them; None where all are."""
        self._known(domain)
        missing = [path for path in self._paths(domain) if not (self._root / path).exists()]
        if not missing:
            return None
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"{domain} lacks {missing[0]}{more}: `python -m sweep data fetch digits` brings it"

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[np.uint8]:
        """A picture of a digit as the domain has it.

        Handwriting is its strokes alone, light on black, in the domain's box; elsewhere the middle square is taken.
        """
        if domain == "usps" and self.options.usps == "stretched":
            drawn = isolate(picture, 28, 28, by_mass=False)
        elif domain in ("mnist", "usps"):
            drawn = isolate(picture, 28, _MNIST_BOX, by_mass=domain == "mnist")
        else:
            drawn = np.asarray(square(picture, self.options.size))
        (image,) = self._in_form(drawn[None], "mnist" if drawn.ndim == 2 else "svhn")
        return np.asarray(image)

    def verify(self) -> list[FileCheck]:
        """Read each domain's files and count its images; published numbers are only looked for, not demanded."""
        return [self._verify(domain) for domain in self.domains]

    def _verify(self, domain: str) -> FileCheck:
        # Not through the options: files are checked for what they are.
        published = Digits(self.root, DigitsOptions(syn_numbers="published"))
        where = published._paths(domain)[0].parent.as_posix().removesuffix("/raw")
        why = published.lacking(domain)
        if why is not None and domain == "syn_numbers":
            why += "; numbers are drawn without it"

        def read() -> str:
            train, test = published._read(domain)
            return beside_published((len(train.labels), len(test.labels)), _PUBLISHED[domain])

        return FileCheck.of(where, why, read)

    # --- files ---

    def _known(self, domain: str) -> None:
        if domain not in self.domains:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains)}")

    def _paths(self, domain: str) -> list[Path]:
        """The files of a domain, relative to the data root; none where it is drawn."""
        if domain == "syn_numbers" and self.options.syn_numbers == "drawn":
            return []
        return [Path(path) for path in _PATHS[domain]]

    def _read(self, domain: str) -> tuple[_Part, _Part]:
        """Training and test part as the files hold them."""
        readers: dict[str, Callable[[str], _Part]] = {
            "mnist": self._mnist,
            "usps": self._usps,
            "svhn": self._svhn,
            "mnist_m": self._mnist_m,
            "syn_numbers": self._numbers if self.options.syn_numbers == "published" else self._drawn,
        }
        try:
            train, test = (readers[domain](part) for part in ("train", "test"))
        except DataError:
            raise
        except (
            Exception
        ) as error:  # torchvision, scipy and bz2 have many ways to say that a file is not as it should be
            text = " ".join(str(error).split()) or type(error).__name__
            raise DataError(
                f"the files of {domain} below {self._root} are damaged ({text}): remove them and run "
                "`python -m sweep data fetch digits`"
            ) from error
        for part in (train, test):
            if len(part.labels) == 0 or part.labels.min() < 0 or part.labels.max() > 9:
                raise DataError(f"{domain} below {self._root} has labels outside of 0–9, or none")
        return train, test

    def _mnist(self, part: str) -> _Part:
        from torchvision.datasets import MNIST  # noqa: PLC0415 - takes seconds to import

        data = MNIST(self._root, train=part == "train")
        return _Part(data.data.numpy(), data.targets.numpy().astype(np.int64))

    def _usps(self, part: str) -> _Part:
        from torchvision.datasets import USPS  # noqa: PLC0415 - takes seconds to import

        data = USPS(self._root / "USPS", train=part == "train")
        return _Part(np.asarray(data.data), np.asarray(data.targets, dtype=np.int64))

    def _svhn(self, part: str) -> _Part:
        from torchvision.datasets import SVHN  # noqa: PLC0415 - takes seconds to import

        data = SVHN(self._root / "SVHN", split=part)
        return _Part(data.data.transpose(0, 2, 3, 1), data.labels.astype(np.int64))

    def _mnist_m(self, part: str) -> _Part:
        folder = self._root / f"mnist_m/mnist_m_{part}"
        lines = folder.with_name(f"{folder.name}_labels.txt").read_text().split()
        names, labels = lines[::2], np.array(lines[1::2], dtype=np.int64)
        images = np.empty((len(names), 32, 32, 3), dtype=np.uint8)
        for i, name in enumerate(names):
            with Image.open(folder / name) as image:
                images[i] = np.asarray(image.convert("RGB"))
        return _Part(images, labels)

    def _numbers(self, part: str) -> _Part:
        data = loadmat(self._root / f"SYN_NUMBERS/synth_{part}_32x32.mat")
        return _Part(data["X"].transpose(3, 0, 1, 2), data["y"].reshape(-1).astype(np.int64))

    def _drawn(self, part: str) -> _Part:
        n = self.options.drawn if part == "train" else _SYN_TEST
        seed = (self.options.draw_seed, 0 if part == "train" else 1)
        labels = draw_labels(n, seed)

        def build() -> NDArray[np.uint8]:
            return draw_numbers(labels, 32, seed, self.progress)

        if self.cache is None:
            return _Part(build(), labels)
        return _Part(cached_array(self.cache, content_key("syn_numbers", VERSION, n, seed), build), labels)

    # --- their form ---

    def _fixed(self, train: _Part, wanted: int, domain: str) -> _Part:
        """So many of the training images, in order, the same for all trials."""
        rng = np.random.default_rng((self.options.draw_seed, self.domains.index(domain)))
        rows = np.sort(rng.permutation(len(train.labels))[:wanted])
        return _Part(train.images[rows], train.labels[rows])

    def _in_form(self, images: NDArray[np.uint8], domain: str) -> NDArray[np.uint8]:
        """(n, h, w[, 3]) as (n, channels, size, size)."""
        if images.ndim == 4 and self.options.channels == 1:
            images = _each(images, lambda image: image.convert("L"))
        sized = self._sized(images, domain)
        if sized.ndim == 4:
            return np.ascontiguousarray(sized.transpose(0, 3, 1, 2))
        return np.ascontiguousarray(np.repeat(sized[:, None], self.options.channels, axis=1))

    def _sized(self, images: NDArray[np.uint8], domain: str) -> NDArray[np.uint8]:
        if domain == "usps":
            box = 28 if self.options.usps == "stretched" else _MNIST_BOX
            images = _bordered(_scaled(images, box), (28 - box) // 2)
        elif domain == "mnist_m" and self.options.size == 28:
            return images[:, 2:-2, 2:-2]  # it was made of MNIST with a border of two
        if images.shape[1] == self.options.size:
            return images
        return _bordered(images, 2) if self.options.size == 32 else _scaled(images, 28)


def _each(images: NDArray[np.uint8], change: Callable[[Image.Image], Image.Image]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def _scaled(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Bilinear, with a wider filter where it reduces."""
    return _each(images, lambda image: image.resize((size, size), Image.Resampling.BILINEAR))


def _bordered(images: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Black pixels around each image."""
    return np.pad(images, [(0, 0), (width, width), (width, width), *[(0, 0)] * (images.ndim - 3)])
