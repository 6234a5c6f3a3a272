"""Office-Caltech10's photographs dealt into four styles: a far shift that is computed from data at hand.

``photo`` holds a quarter of the 2533 photographs as they are, the others each another quarter as ``cartoon``,
``drawing`` or ``silhouette`` (:mod:`.images.styles`). No photograph is in two domains; each holds as many as
possible of every class of every camera, so that style alone is what differs.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transfer_sweep.datasets.base import DataError, Dataset, Domain, FileCheck, Samples
from transfer_sweep.datasets.images.decoding import PictureOptions
from transfer_sweep.datasets.images.pictures import as_square
from transfer_sweep.datasets.images.styles import STYLES, VERSION
from transfer_sweep.datasets.io.cache import cached_array, content_key
from transfer_sweep.datasets.office_caltech10_images import OfficeCaltech10Images


class OfficeCaltech10Styles(Dataset):
    """Ten classes in four styles, (n, 3, size, size) uint8; the protocol is transductive."""

    name = "office_caltech10_styles"
    domains = tuple(STYLES)
    classes = OfficeCaltech10Images.classes
    raw_backbone = "pixels"
    holdout = 0.1
    transductive = True
    options_type = PictureOptions
    options: PictureOptions
    source = f"transfer-sweep, of the photographs of {OfficeCaltech10Images.source}"
    files = OfficeCaltech10Images.files

    @property
    def photographs(self) -> OfficeCaltech10Images:
        """What the domains are made of."""
        return OfficeCaltech10Images(self.root, self.options, self.cache, self.progress)

    def load(self, domain: str) -> Domain:
        """One domain. With a cache folder the pictures are made once.

        Raises:
            DataError: there is no such domain, or a photograph is missing or damaged.
        """
        if domain not in self.domains:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains)}")
        part = self.domains.index(domain)
        cameras = [self.photographs.load(each).train for each in self.photographs.domains]
        dealt = [camera.take(np.flatnonzero(_deal(camera.labels, len(self.domains)) == part)) for camera in cameras]
        pixels = np.concatenate([camera.inputs for camera in dealt])
        labels = np.concatenate([camera.labels for camera in dealt])

        def build() -> NDArray[np.uint8]:
            return np.stack([_styled(Image.fromarray(each.transpose(1, 2, 0)), domain) for each in pixels])

        if self.cache is None:
            return Domain(domain, Samples(build(), labels))
        key = content_key("styles", VERSION, domain, hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest())
        return Domain(domain, Samples(cached_array(self.cache, key, build), labels))

    def from_picture(self, picture: Image.Image, domain: str) -> NDArray[np.uint8]:
        """A picture in the style of a domain, (3, size, size)."""
        return _styled(Image.fromarray(as_square(picture, self.options.size).transpose(1, 2, 0)), domain)

    def verify(self) -> list[FileCheck]:
        """The files of the photographs."""
        return self.photographs.verify()


def _styled(picture: Image.Image, style: str) -> NDArray[np.uint8]:
    """(3, h, w) of an RGB picture."""
    return np.ascontiguousarray(STYLES[style](picture).transpose(2, 0, 1))


def _deal(labels: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """(n,) which part each sample goes to: at random, but of each class as many to one as to another, or one more."""
    shuffled = np.random.default_rng(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    dealt = np.empty(len(labels), dtype=np.int64)
    dealt[by_class] = np.arange(len(labels)) % parts
    return dealt
