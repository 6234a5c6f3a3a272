"""Digits split by class: each domain holds five of the ten, numbered anew, for how layers transfer between tasks.

As Yosinski et al. 2014 split ImageNet's classes into two random halves. The domains come in pairs of complements,
the first two by order and by parity, the third at random: networks for ``02468`` and ``13579`` share no class.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from transfer_sweep.datasets.base import DataError, Dataset, Domain, FileCheck, Samples
from transfer_sweep.datasets.digits import Digits, DigitsOptions


class DigitHalvesOptions(DigitsOptions):
    """Those of ``digits``, and of which domain the halves are."""

    of: Literal["mnist", "usps", "svhn", "mnist_m", "syn_numbers"] = Field("mnist", description="the domain to split")


class DigitHalves(Dataset):
    """Five digits in six domains; uint8 images (n, channels, size, size), each domain with its own test part."""

    name = "digit_halves"
    domains = ("01234", "56789", "02468", "13579", "03679", "12458")
    classes = ("first", "second", "third", "fourth", "fifth")
    raw_backbone = "pixels"
    options_type = DigitHalvesOptions
    options: DigitHalvesOptions
    source = f"{Digits.source}; split by class as in Yosinski et al. 2014 (NeurIPS)"
    files = Digits.files

    @property
    def whole(self) -> Digits:
        """The digits that are split."""
        options = DigitsOptions(**self.options.model_dump(exclude={"of"}))
        return Digits(self.root, options, self.cache, self.progress)

    def load(self, domain: str) -> Domain:
        """One half.

        Raises:
            DataError: there is no such half, or the whole cannot be read.
        """
        if domain not in self.domains:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains)}")
        whole = self.whole.load(self.options.of)
        assert whole.test is not None  # digits have one
        train, size = _half(whole.train, domain), whole.train_size
        if size is not None:  # as many as a draw from the whole has of this half, on average
            size = round(size * len(train) / len(whole.train))
        return Domain(domain, train, _half(whole.test, domain), train_size=size)

    def lacking(self, domain: str) -> str | None:
        """What the whole lacks."""
        return self.whole.lacking(self.options.of)

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[np.uint8]:
        """A picture of a digit as the whole has it."""
        return self.whole.from_picture(picture, self.options.of)

    def verify(self) -> list[FileCheck]:
        """The files of ``digits``."""
        return self.whole.verify()


def _half(samples: Samples, digits: str) -> Samples:
    """The samples of some digits, labelled by their place among them."""
    kept = np.array([int(digit) for digit in digits])
    rows = np.isin(samples.labels, kept)
    return Samples(samples.rows()[0][rows], np.searchsorted(kept, samples.labels[rows]).astype(np.int64))
