"""Office-31: 4110 photographs of 31 kinds of office objects, from a shop, an SLR camera and a webcam.

Layout below the data root: ``office31/{amazon,dslr,webcam}/images/<class>/*.jpg``, as published, or the same
without the ``images/`` level.
"""

from __future__ import annotations

from typing import ClassVar

from transfer_sweep.datasets.base import RemoteFile
from transfer_sweep.datasets.images.folders import ImageFolderDataset

CLASSES = (
    "back_pack",
    "bike",
    "bike_helmet",
    "bookcase",
    "bottle",
    "calculator",
    "desk_chair",
    "desk_lamp",
    "desktop_computer",
    "file_cabinet",
    "headphones",
    "keyboard",
    "laptop_computer",
    "letter_tray",
    "mobile_phone",
    "monitor",
    "mouse",
    "mug",
    "paper_notebook",
    "pen",
    "phone",
    "printer",
    "projector",
    "punchers",
    "ring_binder",
    "ruler",
    "scissors",
    "speaker",
    "stapler",
    "tape_dispenser",
    "trash_can",
)


class Office31(ImageFolderDataset):
    """Office-31, images: three domains, 31 classes."""

    name = "office31"
    domains = ("amazon", "dslr", "webcam")
    classes = CLASSES
    counts: ClassVar = {"amazon": 2817, "dslr": 498, "webcam": 795}
    holdout = 0.1
    source = "Saenko, Kulis, Fritz, Darrell 2010, Adapting Visual Category Models to New Domains (ECCV)"
    files = tuple(
        RemoteFile(
            path=f"office31/{domain}/images",
            urls=(
                f"https://github.com/pykale/data/raw/main/images/office/{domain}.zip",
                *mirrors,
                # The whole dataset in one file, as first published; kept until all three domains are unpacked.
                "https://drive.usercontent.google.com/download?id=0B4IapRTv9pJ1WGZVd1VDMmhwdlE"
                "&resourcekey=0-gNMHVtZfRAyO_t2_WrOunA&export=download&confirm=t",
                "https://wjdcloud.blob.core.windows.net/dataset/OFFICE31.zip",
            ),
            archive=True,
            members=rf"(?:.*/)?{domain}/(?:images/)?([a-z_]+/[^/]+\.jpg)",
        )
        for domain, mirrors in (
            ("amazon", ("https://cloud.tsinghua.edu.cn/f/ec12dfcddade43ab8101/?dl=1",)),
            ("dslr", ("https://cloud.tsinghua.edu.cn/f/a41d818ae2f34da7bb32/?dl=1",)),
            ("webcam", ("https://cloud.tsinghua.edu.cn/f/8a41009a166e4131adcd/?dl=1",)),
        )
    )
