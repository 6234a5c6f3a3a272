"""Three domains of digits built from installed packages, with no download: scans, fonts, photographs.

``uci``
    scikit-learn's copy of the UCI optical digits: 1797 scans of handwriting, 8×8, enlarged (Alpaydin 1998).
``rendered``
    digits drawn in the typefaces that ship with matplotlib, with random face, weight of stroke, size,
    rotation, shift, blur and noise: what SYN NUMBERS is to SVHN (Ganin 2015).
``photo``
    the rendered digits blended over random crops of scikit-learn's two sample photographs by absolute
    difference, as MNIST-M is made of MNIST (Ganin 2016, section 5.2.4).

Everything but the scans is a function of the options. Pixels may differ in the last bit between versions of
Pillow and matplotlib; ``checksum`` records which ones a run had.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from pydantic import Field
from sklearn.datasets import load_digits, load_sample_images

from transfer_sweep.datasets.base import DataError, Dataset, Domain, FileCheck, Options, Samples
from transfer_sweep.datasets.images.strokes import isolate, square
from transfer_sweep.datasets.images.typefaces import FACES, face
from transfer_sweep.datasets.splits import holdout

_UCI_TEST = 597  # of 1797: two thirds to train on, as many as the other domains have roughly
_BORDER = 2  # pixels around an enlarged scan, which itself fills its 8×8 to the edge
_OVERSAMPLING = 3  # digits are drawn this much larger, then reduced: rotation leaves no jagged edges


class OfflineDigitsOptions(Options):
    """What the arrays look like; part of the protocol."""

    size: Literal[28, 32] = Field(28, description="height and width in pixels")
    channels: Literal[1, 3] = Field(3, description="3: colour, grey domains repeated; 1: all domains in grey")
    train: int = Field(2000, ge=10, le=100_000, description="training samples of rendered and photo (uci: 1200)")
    test: int = Field(1000, ge=10, le=100_000, description="test samples of rendered and photo (uci: 597)")
    generator_seed: int = Field(0, ge=0, description="of the rendering and of uci's split")


class OfflineDigits(Dataset):
    """Digits in three domains, uint8 images (n, channels, size, size), with a test part each."""

    name = "offline_digits"
    domains = ("uci", "rendered", "photo")
    classes = tuple("0123456789")
    raw_backbone = "pixels"
    needs_root = False
    options_type = OfflineDigitsOptions
    source = (
        "transfer-sweep; scans: Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits (UCI); blending as "
        "in Ganin et al. 2016, Domain-Adversarial Training of Neural Networks (JMLR 17)"
    )
    options: OfflineDigitsOptions

    def load(self, domain: str) -> Domain:
        """Build one domain; takes about a second.

        Raises:
            DataError: there is no such domain, or an installed package lacks the files it usually ships.
        """
        if domain not in self.domains:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains)}")
        if domain == "uci":
            return self._uci()
        sizes = (self.options.train, self.options.test)
        train, test = (self._generated(domain, part, size) for part, size in enumerate(sizes))
        return Domain(domain, train, test)

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[np.uint8]:
        """A picture of a digit: its strokes alone, light on black, for scans and fonts; else its middle square."""
        size = self.options.size
        if domain == "photo":
            drawn = np.asarray(square(picture, size))
        else:
            drawn = isolate(picture, size, size - 2 * _BORDER, by_mass=False)
        (image,) = self._in_channels(drawn[None])
        return np.asarray(image)

    def verify(self) -> list[FileCheck]:
        """Whether the installed packages have the typefaces, scans and photographs."""
        checks = []
        for what, count, load in (
            ("matplotlib: typefaces", len(FACES), lambda: [face(name, 10) for name in FACES]),
            ("scikit-learn: digits", 1797, lambda: load_digits().target),
            ("scikit-learn: sample photographs", 2, _photographs),
        ):
            try:
                found = len(load())
            except (DataError, OSError, ImportError) as error:
                checks.append(FileCheck(what, "missing", str(error)))
            else:
                checks.append(FileCheck(what, "ok" if found == count else "damaged", f"{found} of {count}"))
        return checks

    def _uci(self) -> Domain:
        scans = load_digits()
        size = self.options.size
        inner = size - 2 * _BORDER
        images = np.zeros((len(scans.target), size, size), dtype=np.uint8)
        for image, scan in zip(images, scans.images, strict=True):
            grey = Image.fromarray(np.round(scan * (255 / 16)).astype(np.uint8))
            image[_BORDER:-_BORDER, _BORDER:-_BORDER] = np.asarray(
                grey.resize((inner, inner), Image.Resampling.BICUBIC)
            )
        labels = scans.target.astype(np.int64)
        samples = Samples(self._in_channels(images), labels)
        train, test = holdout(labels, _UCI_TEST / len(labels), self.options.generator_seed)
        return Domain("uci", samples.take(train), samples.take(test))

    def _generated(self, domain: str, part: int, n: int) -> Samples:
        """``n`` rendered digits, over photographs where ``domain`` says so; ``part`` 0 is train, 1 test."""
        digits, labels = _rendered(self.options.size, n, (self.options.generator_seed, part, 0))
        if domain == "rendered":
            return Samples(self._in_channels(digits), labels)
        cropping = np.random.default_rng((self.options.generator_seed, part, 1))
        photographs = _photographs()
        crops = np.stack([_crop(photographs, self.options.size, cropping) for _ in labels])
        blended = np.abs(crops.astype(np.int16) - digits[..., None]).astype(np.uint8)
        return Samples(self._in_channels(blended), labels)

    def _in_channels(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(n, h, w) or (n, h, w, 3) as (n, channels, h, w)."""
        if images.ndim == 3:
            return np.ascontiguousarray(np.repeat(images[:, None], self.options.channels, axis=1))
        if self.options.channels == 1:
            return np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])[:, None]
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


@cache
def _photographs() -> tuple[Image.Image, ...]:
    return tuple(Image.fromarray(image) for image in load_sample_images().images)


@lru_cache(maxsize=4)  # photo is made of the same digits as rendered
def _rendered(size: int, n: int, seed: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """``n`` digits (n, size, size) and their labels, as many of each class as possible, in random order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n, dtype=np.int64) % 10)
    digits = np.stack([_draw(str(label), size, rng) for label in labels])
    for shared in (digits, labels):
        shared.setflags(write=False)
    return digits, labels


def _draw(digit: str, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One digit, light on dark, (size, size)."""
    canvas = size * _OVERSAMPLING
    height = int(rng.integers(round(0.65 * size), round(1.05 * size) + 1))
    font = face(FACES[rng.integers(len(FACES))], height * _OVERSAMPLING)
    stroke = int(rng.integers(0, _OVERSAMPLING + 1))
    image = Image.new("L", (canvas, canvas))
    # Placed by its own box: faces differ in where they put a digit between baseline and ascent.
    left, top, right, bottom = font.getbbox(digit, stroke_width=stroke)
    shift_x, shift_y = rng.uniform(-0.08, 0.08, size=2) * canvas
    corner = (canvas / 2 - (left + right) / 2 + shift_x, canvas / 2 - (top + bottom) / 2 + shift_y)
    ImageDraw.Draw(image).text(corner, digit, fill=255, font=font, stroke_width=stroke)
    image = image.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR)
    image = image.resize((size, size), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8)))
    noise = rng.normal(0, rng.uniform(0, 20), size=(size, size))
    return np.clip(np.rint(np.asarray(image) + noise), 0, 255).astype(np.uint8)


def _crop(photographs: tuple[Image.Image, ...], size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A square piece of a photograph, (size, size, 3), reduced by 1 to 4 so that it has some texture."""
    photograph = photographs[rng.integers(len(photographs))]
    side = int(rng.integers(size, 4 * size + 1))
    x, y = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
    return np.asarray(photograph.resize((size, size), Image.Resampling.BOX, box=(x, y, x + side, y + side)))
