"""SURF features of Office-Caltech10: the published 1-NN column, and files that are not as published."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat, savemat
from sklearn.neighbors import KNeighborsClassifier

from transfer_sweep.datasets.base import DataError, Domain
from transfer_sweep.datasets.office_caltech10 import OfficeCaltech10

FOLDER = "office_caltech10"
Change = Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]  # of features and labels
# Long et al. 2013, table 3, column NN (percent).
PUBLISHED_1NN = {
    "caltech-amazon": 23.70,
    "caltech-webcam": 25.76,
    "caltech-dslr": 25.48,
    "amazon-caltech": 26.00,
    "amazon-webcam": 29.83,
    "amazon-dslr": 25.48,
    "webcam-caltech": 19.86,
    "webcam-amazon": 22.96,
    "webcam-dslr": 59.24,
    "dslr-caltech": 26.27,
    "dslr-amazon": 28.50,
    "dslr-webcam": 63.39,
}


@pytest.fixture(scope="module")
def loaded(data_root: Path) -> dict[str, Domain]:
    dataset = OfficeCaltech10(data_root)
    return {domain: dataset.load(domain) for domain in dataset.domains}


@pytest.mark.data
def test_nearest_neighbour_gives_the_published_column_to_two_decimals(loaded: dict[str, Domain]) -> None:
    measured = {}
    for pair in PUBLISHED_1NN:
        source, target = (loaded[domain].train for domain in pair.split("-"))
        model = KNeighborsClassifier(1, algorithm="brute").fit(source.inputs, source.labels)
        measured[pair] = round(100 * model.score(target.inputs, target.labels), 2)
    assert measured == PUBLISHED_1NN


@pytest.mark.data
def test_domains_are_zscored_float32_and_transductive(loaded: dict[str, Domain]) -> None:
    for domain in loaded.values():
        assert domain.test is None
        assert domain.scored is domain.train
        assert domain.train.inputs.dtype == np.float32
        assert np.isfinite(domain.train.inputs).all()
        assert np.abs(domain.train.inputs.mean(axis=0)).max() < 1e-5
        deviations = domain.train.inputs.std(axis=0)
        assert np.all(np.isclose(deviations, 1, atol=1e-4) | (deviations == 0))


@pytest.mark.data
def test_class_names_are_those_of_office31(loaded: dict[str, Domain], data_root: Path) -> None:
    # The features come from the same photographs: amazon's class sizes tell which name each label has.
    images = data_root / "office31" / "amazon" / "images"
    sizes = [len(list((images / name).iterdir())) for name in OfficeCaltech10.classes]
    assert np.bincount(loaded["amazon"].train.labels).tolist() == sizes


@pytest.mark.data
def test_a_constant_column_becomes_zeros(copied_root: Path) -> None:
    path = copied_root / FOLDER / "dslr_SURF_L10.mat"
    content = loadmat(path)
    content["fts"][:, 7] = 0
    savemat(path, {key: content[key] for key in ("fts", "labels")})
    inputs = OfficeCaltech10(copied_root).load("dslr").train.inputs
    assert np.isfinite(inputs).all()
    assert not inputs[:, 7].any()


@pytest.mark.data
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_named_in_one_line(copied_root: Path, share: float) -> None:
    path = copied_root / FOLDER / "webcam_SURF_L10.mat"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"webcam_SURF_L10\.mat is damaged") as refused:
        OfficeCaltech10(copied_root).load("webcam")
    assert "\n" not in str(refused.value)
    states = {check.path: check.state for check in OfficeCaltech10(copied_root).verify()}
    assert states.pop(f"{FOLDER}/webcam_SURF_L10.mat") == "damaged"
    assert set(states.values()) == {"ok"}


@pytest.mark.data
@pytest.mark.parametrize(
    "change",
    [
        lambda fts, labels: (fts[:-1], labels[:-1]),
        lambda fts, labels: (fts[:, :600], labels),
        lambda fts, labels: (fts, labels[:-1]),
        lambda fts, labels: (fts, labels - 1),
        lambda fts, labels: (fts * (np.arange(len(fts)) != 3)[:, None], labels),
    ],
    ids=["rows", "bins", "labels missing", "labels from 0", "empty row"],
)
def test_other_contents_are_refused(copied_root: Path, change: Change) -> None:
    path = copied_root / FOLDER / "dslr_SURF_L10.mat"
    content = loadmat(path)
    fts, labels = change(content["fts"], content["labels"])
    savemat(path, {"fts": fts, "labels": labels})
    with pytest.raises(DataError, match=r"dslr_SURF_L10\.mat is damaged"):
        OfficeCaltech10(copied_root).load("dslr")


def test_missing_files_and_roots_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"amazon_SURF_L10\.mat is missing.*data fetch office_caltech10"):
        OfficeCaltech10(tmp_path).load("amazon")
    assert {check.state for check in OfficeCaltech10(tmp_path).verify()} == {"missing"}
    with pytest.raises(DataError, match="no domain 'amzon'; it has amazon, caltech, dslr, webcam"):
        OfficeCaltech10(tmp_path).load("amzon")
    with pytest.raises(DataError, match="SWEEP_DATA_ROOT"):
        OfficeCaltech10()
