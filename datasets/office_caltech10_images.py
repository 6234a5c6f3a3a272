"""Office-Caltech10 as images: the ten classes that Office-31 and Caltech-256 share, in four domains.

Layout below the data root: ``office_caltech10_images/{amazon,caltech,dslr,webcam}/[images/]<class>/*.jpg``,
with Office-31's names of the classes in caltech too. Where a domain of Office-31 has no folder there, its
images are taken from ``office31/``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from transfer_sweep.datasets import office31
from transfer_sweep.datasets.base import RemoteFile
from transfer_sweep.datasets.images.folders import ImageFolderDataset
from transfer_sweep.datasets.office_caltech10 import OfficeCaltech10


class OfficeCaltech10Images(ImageFolderDataset):
    """Office-Caltech10, images: four domains, ten classes."""

    name = "office_caltech10_images"
    domains = OfficeCaltech10.domains
    classes = OfficeCaltech10.classes
    counts: ClassVar = {"amazon": 958, "caltech": 1123, "dslr": 157, "webcam": 295}
    borrowed: ClassVar = {domain: f"office31/{domain}" for domain in ("amazon", "dslr", "webcam")}
    passed_over = frozenset(office31.CLASSES)
    holdout = 0.1
    source = "Gong, Shi, Sha, Grauman 2012, Geodesic Flow Kernel for Unsupervised Domain Adaptation (CVPR)"
    files = (
        *(
            replace(file, path=file.path.replace("office31", "office_caltech10_images", 1))
            for file in office31.Office31.files
        ),
        RemoteFile(
            path="office_caltech10_images/caltech/images",
            urls=("https://github.com/pykale/data/raw/main/images/office/caltech.zip",),
            archive=True,
            members=r"(?:.*/)?caltech/(?:images/)?([a-z_]+/[^/]+\.jpg)",
        ),
    )
