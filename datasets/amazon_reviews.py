"""Amazon reviews: sentiment of product reviews in four categories, as bags of words.

Uni- and bigrams, of which the 5000 most frequent are kept (Blitzer et al. 2007, processed by Chen et al. 2012 and
split by Ganin et al. 2016). The labels are positive (four or five stars) and negative (up to three). A domain has 2000
training reviews, to train on as a source and to adapt to as a target, and a test set of its own.

Layout below the data root: ``amazon_reviews/{books,dvd,electronics,kitchen}_{train,test}.svmlight``, a line a review:
label −1 or 1, then ``feature:count`` with features from 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array
from sklearn.datasets import load_svmlight_file
from sklearn.feature_extraction.text import TfidfTransformer

from transfer_sweep.datasets.base import DataError, Dataset, Domain, FileCheck, Options, RemoteFile, Samples

FEATURES = 5000
_TEST = {"books": 4465, "dvd": 3586, "electronics": 5681, "kitchen": 5945}
_TRAIN = 2000
_MIRROR = "https://github.com/GRAAL-Research/domain_adversarial_neural_network/raw/master/data"


class AmazonReviewsOptions(Options):
    """What a review's vector holds."""

    features: Literal["counts", "binary", "log", "tfidf"] = Field(
        "counts",
        description="counts of the words; 1 for each that occurs; log(1 + count); or tf-idf, with the inverse document "
        "frequencies of the domain's own training reviews and vectors of length one",
    )


class AmazonReviews(Dataset):
    """Amazon reviews: four domains, two classes, 5000 sparse features."""

    name = "amazon_reviews"
    domains = tuple(_TEST)
    classes = ("negative", "positive")
    raw_backbone = "bow5000"
    source = (
        "Blitzer, Dredze, Pereira 2007, Biographies, Bollywood, Boom-boxes and Blenders (ACL); features of Chen et al. "
        "2012, Marginalized Denoising Autoencoders for Domain Adaptation (ICML); files of Ganin et al. 2016 (JMLR)"
    )
    options_type = AmazonReviewsOptions
    input_options = ("features",)
    options: AmazonReviewsOptions
    files = tuple(
        RemoteFile(path=f"amazon_reviews/{name}", urls=(f"{_MIRROR}/{name}",))
        for name in (f"{domain}_{part}.svmlight" for domain in _TEST for part in ("train", "test"))
    )

    def load(self, domain: str) -> Domain:
        """One domain: CSR matrices (n, 5000) of float32, and its test part.

        Raises:
            DataError: the domain is unknown, or a file is missing or damaged.
        """
        if domain not in _TEST:
            raise DataError(f"{self.name} has no domain {domain!r}; it has {', '.join(self.domains)}")
        train, test = (self._read(domain, part) for part in ("train", "test"))
        weigh = TfidfTransformer().fit(train.inputs) if self.options.features == "tfidf" else None
        return Domain(domain, *(Samples(self._weighted(part.inputs, weigh), part.labels) for part in (train, test)))

    def _weighted(self, counts: csr_array, tfidf: TfidfTransformer | None) -> csr_array:
        """The counts as the option wants them."""
        if tfidf is not None:
            return csr_array(tfidf.transform(counts))
        weighted = counts.copy()
        if self.options.features == "binary":
            weighted.data[:] = 1
        elif self.options.features == "log":
            weighted.data = np.log1p(weighted.data)
        return weighted

    def verify(self) -> list[FileCheck]:
        """Read each file and check its counts."""
        return [self._verify(domain, part) for domain in self.domains for part in ("train", "test")]

    def _verify(self, domain: str, part: str) -> FileCheck:
        path = self._path(domain, part)

        def read() -> str:
            samples = self._read(domain, part)
            return f"{len(samples)} reviews, {int(samples.labels.sum())} of them positive"

        return FileCheck.of(str(path.relative_to(self._root)), None if path.exists() else "", read)

    def _path(self, domain: str, part: str) -> Path:
        return self._root / self.name / f"{domain}_{part}.svmlight"

    def _read(self, domain: str, part: str) -> Samples:
        """Counts and labels of one file, checked."""
        path = self._path(domain, part)
        if not path.exists():
            raise DataError(f"{path} is missing: `python -m sweep data fetch {self.name}` brings it")
        try:
            counts, signs = load_svmlight_file(str(path), n_features=FEATURES, dtype=np.float32, zero_based=True)
        except Exception as error:  # a file of any other content: the parser's errors are of many kinds
            raise self._damaged(path, f"it cannot be read ({type(error).__name__}: {error})") from error
        wanted = _TRAIN if part == "train" else _TEST[domain]
        if counts.shape[0] != wanted:
            raise self._damaged(path, f"it should hold {wanted} reviews, not {counts.shape[0]}")
        if not np.isin(signs, (-1, 1)).all():
            raise self._damaged(path, "labels should be -1 or 1")
        if not (counts.data >= 1).all() or (counts.data % 1).any():
            raise self._damaged(path, "features should be counts from 1")
        return Samples(csr_array(counts), (signs > 0).astype(np.int64))

    def _damaged(self, path: Path, what: str) -> DataError:
        line = " ".join(what.split())
        return DataError(f"{path} is damaged: {line}; delete it and run `python -m sweep data fetch {self.name}`")
