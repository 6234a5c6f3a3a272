"""The digits that need no download: their form, their seed, and a domain gap that is there."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from transfer_sweep.datasets.base import DataError, Domain, Samples, checksum
from transfer_sweep.datasets.offline_digits import OfflineDigits, OfflineDigitsOptions


@pytest.fixture(scope="module")
def loaded() -> dict[str, Domain]:
    dataset = OfflineDigits()
    return {domain: dataset.load(domain) for domain in dataset.domains}


def small(**options: Any) -> OfflineDigits:
    return OfflineDigits(options=OfflineDigitsOptions(**{"train": 40, "test": 20, **options}))


def accuracy(source: Samples, target: Samples) -> float:
    """1-NN on pixels, percent."""
    model = KNeighborsClassifier(1, algorithm="brute")
    model.fit(source.inputs.reshape(len(source), -1).astype(np.float32), source.labels)
    return 100 * float(model.score(target.inputs.reshape(len(target), -1).astype(np.float32), target.labels))


def test_all_domains_have_one_form_and_a_test_part(loaded: dict[str, Domain]) -> None:
    sizes = {name: (len(domain.train), len(domain.scored)) for name, domain in loaded.items()}
    assert sizes == {"uci": (1200, 597), "rendered": (2000, 1000), "photo": (2000, 1000)}
    for domain in loaded.values():
        for part in (domain.train, domain.scored):
            assert part.inputs.dtype == np.uint8
            assert part.inputs.shape[1:] == (3, 28, 28)
            counts = np.bincount(part.labels, minlength=10)
            assert len(counts) == 10
            assert counts.min() > 0.9 * counts.max()


def test_scans_are_the_uci_digits(loaded: dict[str, Domain]) -> None:
    # Reduced to 8×8 again, what lies inside the border is the scan it came from.
    scans = load_digits()
    everything = np.concatenate([part.inputs[:, 0] for part in (loaded["uci"].train, loaded["uci"].scored)])
    labels = np.concatenate([part.labels for part in (loaded["uci"].train, loaded["uci"].scored)])
    inner = everything[:, 2:-2, 2:-2].reshape(-1, 8, 3, 8, 3).mean(axis=(2, 4)).reshape(-1, 64)
    model = KNeighborsClassifier(1, algorithm="brute").fit(scans.data * (255 / 16), scans.target)
    distances, nearest = model.kneighbors(inner)
    assert np.array_equal(scans.target[nearest[:, 0]], labels)
    assert len(np.unique(nearest)) > 1790  # enlarging blurs the odd pair of near twins together
    assert distances.max() / 8 < 30  # root mean square, in grey levels


def test_domain_gap(loaded: dict[str, Domain]) -> None:
    # Clearly below accuracy inside the target domain, clearly above chance where there is something to transfer.
    within = accuracy(loaded["uci"].train, loaded["uci"].scored)
    assert within > 95
    assert 30 < accuracy(loaded["rendered"].train, loaded["uci"].scored) < within - 20
    assert (
        accuracy(loaded["uci"].train, loaded["photo"].scored)
        < accuracy(loaded["photo"].train, loaded["photo"].scored) - 10
    )
    assert accuracy(loaded["rendered"].train, loaded["rendered"].scored) > 75


def test_photographs_are_blended_by_absolute_difference() -> None:
    dark, coloured = small().load("rendered").train, small().load("photo").train
    # Where the rendered digit is black, the photograph shows unchanged; where it is white, its negative does.
    digit, photo = dark.inputs.astype(int), coloured.inputs.astype(int)
    background = (digit == 0).all(axis=1)
    stroke = (digit == 255).all(axis=1)
    assert background.sum() > 1000
    assert stroke.sum() > 1000
    spread = photo.max(axis=1) - photo.min(axis=1)
    assert spread[background].mean() > 10  # in colour
    assert np.array_equal(dark.labels, coloured.labels)
    per_image = [
        (photo[i][:, b].mean(), photo[i][:, s].mean())
        for i, (b, s) in enumerate(zip(background, stroke, strict=True))
        if b.sum() > 20 and s.sum() > 20
    ]
    ground, ink = np.array(per_image).T
    assert np.corrcoef(ground, ink)[0, 1] < -0.5


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_size_and_channels_are_options(size: int, channels: int) -> None:
    dataset = small(size=size, channels=channels)
    for name in dataset.domains:
        assert dataset.load(name).scored.inputs.shape[1:] == (channels, size, size)


@pytest.mark.parametrize("domain", OfflineDigits.domains)
def test_the_generator_seed_decides(domain: str) -> None:
    assert checksum(small().load(domain)) == checksum(small().load(domain))
    assert checksum(small().load(domain)) != checksum(small(generator_seed=1).load(domain))


def test_more_training_samples_leave_the_test_samples_alone() -> None:
    assert np.array_equal(small().load("photo").scored.inputs, small(train=50).load("photo").scored.inputs)


def test_train_and_test_share_no_image(loaded: dict[str, Domain]) -> None:
    for domain in loaded.values():
        seen = {image.tobytes() for image in domain.train.inputs}
        assert not any(image.tobytes() in seen for image in domain.scored.inputs)


def test_verify_finds_what_the_installed_packages_ship() -> None:
    assert [check.state for check in OfflineDigits().verify()] == ["ok", "ok", "ok"]


def test_unknown_domain_and_option_are_refused() -> None:
    with pytest.raises(DataError, match="no domain 'mnist'; it has uci, rendered, photo"):
        OfflineDigits().load("mnist")
    with pytest.raises(ValidationError):
        OfflineDigitsOptions(size=30)
