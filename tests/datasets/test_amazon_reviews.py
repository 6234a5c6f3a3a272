"""Amazon reviews: the published counts, the options of what a vector holds, and files that are not as published."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from transfer_sweep.datasets.amazon_reviews import AmazonReviews, AmazonReviewsOptions
from transfer_sweep.datasets.base import DataError, Domain

FOLDER = "amazon_reviews"


@pytest.fixture(scope="module")
def loaded(data_root: Path) -> dict[str, Domain]:
    dataset = AmazonReviews(data_root)
    return {domain: dataset.load(domain) for domain in dataset.domains}


@pytest.mark.data
def test_domains_have_the_published_sizes_balanced_training_labels_and_stay_sparse(loaded: dict[str, Domain]) -> None:
    assert {name: len(domain.scored) for name, domain in loaded.items()} == {
        "books": 4465,
        "dvd": 3586,
        "electronics": 5681,
        "kitchen": 5945,
    }
    for domain in loaded.values():
        assert isinstance(domain.train.inputs, csr_array)
        assert domain.train.inputs.shape == (2000, 5000)
        assert domain.train.inputs.dtype == np.float32
        assert domain.train.labels.tolist().count(1) == 1000
        assert domain.test is not None


@pytest.mark.data
def test_the_first_review_is_as_its_line_says(data_root: Path, loaded: dict[str, Domain]) -> None:
    label, *words = (data_root / FOLDER / "kitchen_train.svmlight").read_text().splitlines()[0].split()
    counts = {int(k): float(v) for k, v in (word.split(":") for word in words)}
    row = csr_array(loaded["kitchen"].train.inputs)[[0]]
    assert dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) == counts
    assert loaded["kitchen"].train.labels[0] == (label == "1")


@pytest.mark.data
def test_options_weigh_the_counts(data_root: Path, loaded: dict[str, Domain]) -> None:
    counts = csr_array(loaded["dvd"].train.inputs)

    def read(features: Literal["binary", "log", "tfidf"]) -> tuple[csr_array, csr_array]:
        """Training and test inputs."""
        domain = AmazonReviews(data_root, AmazonReviewsOptions(features=features)).load("dvd")
        return csr_array(domain.train.inputs), csr_array(domain.scored.inputs)

    np.testing.assert_array_equal(read("binary")[0].toarray(), counts.toarray() > 0)
    np.testing.assert_allclose(read("log")[0].toarray(), np.log(1 + counts.toarray()), rtol=1e-6)
    (train, test), model = read("tfidf"), TfidfTransformer().fit(counts)
    np.testing.assert_allclose(test.toarray(), model.transform(loaded["dvd"].scored.inputs).toarray())
    np.testing.assert_allclose(np.sqrt((train**2).sum(axis=1)), 1, rtol=1e-5)


@pytest.mark.data
def test_tfidf_and_a_linear_classifier_average_what_was_measured_elsewhere(data_root: Path) -> None:
    """Independent code averages 78.0 over the 12 pairs (tf-idf of other documents: within half a point)."""
    dataset = AmazonReviews(data_root, AmazonReviewsOptions(features="tfidf"))
    domains = {name: dataset.load(name) for name in dataset.domains}
    accuracies = []
    for source in domains.values():
        model = LogisticRegression(C=3, max_iter=1000).fit(source.train.inputs, source.train.labels)
        accuracies += [
            100 * model.score(target.scored.inputs, target.scored.labels)
            for target in domains.values()
            if target is not source
        ]
    assert np.mean(accuracies) == pytest.approx(78.0, abs=0.5)


@pytest.mark.data
def test_verify_tells_what_is_missing_and_damaged(copied_root: Path) -> None:
    (copied_root / FOLDER / "books_test.svmlight").unlink()
    path = copied_root / FOLDER / "dvd_train.svmlight"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    states = {check.path: (check.state, check.detail) for check in AmazonReviews(copied_root).verify()}
    assert states[f"{FOLDER}/books_test.svmlight"][0] == "missing"
    assert states[f"{FOLDER}/dvd_train.svmlight"][0] == "damaged"
    assert "2000 reviews, not 1999" in states[f"{FOLDER}/dvd_train.svmlight"][1]
    assert [state for state, _ in states.values()].count("ok") == 6


@pytest.mark.data
@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("1 7:0.5", "counts from 1"),
        ("3 7:1", "-1 or 1"),
        ("1 5000:1", "cannot be read"),
        ("<html>", "cannot be read"),
    ],
)
def test_a_file_of_other_content_is_damaged_and_the_line_says_what_to_do(
    copied_root: Path, line: str, complaint: str
) -> None:
    path = copied_root / FOLDER / "books_train.svmlight"
    path.write_text("\n".join([line, *path.read_text().splitlines()[1:]]))
    with pytest.raises(DataError, match=f"{complaint}.*data fetch amazon_reviews"):
        AmazonReviews(copied_root).load("books")


def test_unknown_domains_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no domain 'music'"):
        AmazonReviews(tmp_path).load("music")
    with pytest.raises(DataError, match="data fetch amazon_reviews"):
        AmazonReviews(tmp_path).load("books")
