"""Office-Caltech10 as SURF bags of words: the classic benchmark of shallow domain adaptation.

Ten classes that Office-31 and Caltech-256 share, as histograms of SURF descriptors over an 800-word codebook
trained on amazon (Gong et al. 2012), preprocessed as in Long et al. 2013: rows scaled to sum 1, then each
domain z-scored with its own statistics.

Layout below the data root: ``office_caltech10/{amazon,Caltech10,dslr,webcam}_SURF_L10.mat``, each with
``fts`` (n × 800 counts) and ``labels`` (n × 1, from 1 to 10).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from sklearn.preprocessing import normalize, scale

from transfer_sweep.datasets.base import DataError, Dataset, Domain, FileCheck, RemoteFile, Samples

_BINS = 800
_FILES = {
    "amazon": "amazon_SURF_L10.mat",
    "caltech": "Caltech10_SURF_L10.mat",
    "dslr": "dslr_SURF_L10.mat",
    "webcam": "webcam_SURF_L10.mat",
}
_COUNTS = {"amazon": 958, "caltech": 1123, "dslr": 157, "webcam": 295}


class OfficeCaltech10(Dataset):
    """Office-Caltech10, SURF: four domains, ten classes, 800 dimensions."""

    name = "office_caltech10"
    domains = tuple(_FILES)
    classes = (
        "back_pack",
        "bike",
        "calculator",
        "headphones",
        "keyboard",
        "laptop_computer",
        "monitor",
        "mouse",
        "mug",
        "projector",
    )
    raw_backbone = "surf_bow800"
    holdout = 0.0
    transductive = True
    source = (
        "Gong, Shi, Sha, Grauman 2012, Geodesic Flow Kernel for Unsupervised Domain Adaptation (CVPR); "
        "preprocessing of Long et al. 2013, Transfer Feature Learning with Joint Distribution Adaptation (ICCV)"
    )
    files = tuple(
        RemoteFile(
            path=f"office_caltech10/{file}",
            urls=(
                f"https://github.com/redhat12345/OfficeCaltechDomainAdaptation/raw/master/features/surf/{stem}.mat",
                f"https://github.com/ZhangJUJU/OfficeCaltechDomainAdaptation/raw/master/features/surf/{stem}.mat",
            ),
        )
        for file, stem in zip(_FILES.values(), ("amazon", "caltech10", "dslr", "webcam"), strict=True)
    )

    def load(self, domain: str) -> Domain:
        """One domain, (n, 800) float32, preprocessed; no test part (the protocol is transductive).

        Raises:
            DataError: the domain is unknown, or its file is missing or damaged.
        """
        counts, labels = self._read(domain)
        # scale leaves constant columns at 0, as MATLAB's zscore does, and divides by the population's deviation.
        inputs = scale(normalize(counts, norm="l1")).astype(np.float32)
        return Domain(domain, Samples(inputs, labels))

    def verify(self) -> list[FileCheck]:
        """Read each file and check its counts."""
        return [self._verify(domain) for domain in self.domains]

    def _verify(self, domain: str) -> FileCheck:
        path = self._path(domain)

        def read() -> str:
            counts, labels = self._read(domain)
            return f"{len(counts)} samples of {_BINS} bins, {len(np.unique(labels))} classes"

        return FileCheck.of(str(path.relative_to(self._root)), None if path.exists() else "", read)

    def _path(self, domain: str) -> Path:
        return self._root / self.name / _FILES[domain]

    def _read(self, domain: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Counts (n, 800) and labels from 0 of one file, checked."""
        if domain not in _FILES:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains)}")
        path = self._path(domain)
        if not path.exists():
            raise DataError(f"{path} is missing: `python -m sweep data fetch {self.name}` brings it")
        try:
            content: dict[str, Any] = loadmat(path, variable_names=["fts", "labels"])
            counts = np.asarray(content["fts"], dtype=np.float64)
            labels = np.asarray(content["labels"], dtype=np.float64).ravel()
        except Exception as error:  # loadmat lets nearly any exception of its parser through
            raise self._damaged(path, f"it cannot be read ({type(error).__name__}: {error})") from error
        if counts.shape != (_COUNTS[domain], _BINS):
            raise self._damaged(path, f"fts should be {_COUNTS[domain]} × {_BINS}, not {counts.shape}")
        if len(labels) != len(counts) or not np.isin(labels, np.arange(1, 11)).all():
            raise self._damaged(path, f"labels should be {len(counts)} numbers from 1 to 10")
        if not np.isfinite(counts).all() or counts.min() < 0 or not counts.sum(axis=1).all():
            raise self._damaged(path, "fts should be counts, at least one above zero in each row")
        return counts, labels.astype(np.int64) - 1

    def _damaged(self, path: Path, what: str) -> DataError:
        line = " ".join(what.split())
        return DataError(f"{path} is damaged: {line}; delete it and run `python -m sweep data fetch {self.name}`")
