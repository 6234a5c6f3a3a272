"""Digits split by class."""

from pathlib import Path

import numpy as np
import pytest

from transfer_sweep.datasets.base import DataError, Domain, Samples
from transfer_sweep.datasets.digit_halves import DigitHalves, DigitHalvesOptions
from transfer_sweep.datasets.digits import Digits


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DigitHalves:
    """Over ten images of each digit, whose grey level says which digit it is."""

    def load(digits: Digits, domain: str) -> Domain:
        assert domain == "usps"
        labels = np.tile(np.arange(10), 10)
        images = np.broadcast_to(labels[:, None, None, None], (100, 1, 28, 28)).astype(np.uint8)
        parts = Samples(images, labels), Samples(images[:50], labels[:50])
        return Domain(domain, *parts, train_size=digits.options.train.get("usps"))

    monkeypatch.setattr(Digits, "load", load)
    return DigitHalves(tmp_path, DigitHalvesOptions(of="usps"))


@pytest.mark.parametrize("name", DigitHalves.domains)
def test_a_half_has_its_five_digits_numbered_by_their_place(halves: DigitHalves, name: str) -> None:
    domain = halves.load(name)
    for samples, count in ((domain.train, 50), (domain.scored, 25)):
        assert len(samples) == count
        digits = samples.inputs[:, 0, 0, 0]
        assert [int(name[label]) for label in samples.labels] == digits.tolist()


def test_of_a_part_of_the_whole_a_half_has_its_share(halves: DigitHalves) -> None:
    part = halves.with_options(DigitHalvesOptions(of="usps", train={"usps": 30}))
    assert [part.load(name).trained_on for name in DigitHalves.domains] == [15] * 6
    assert [halves.load(name).trained_on for name in DigitHalves.domains] == [50] * 6


def test_the_domains_are_complements_in_pairs() -> None:
    for a, b in zip(DigitHalves.domains[::2], DigitHalves.domains[1::2], strict=True):
        assert sorted(a + b) == list("0123456789")
        assert len(a) == len(b) == len(DigitHalves.classes)


def test_an_unknown_half_is_refused_and_what_the_whole_lacks_is_lacking(halves: DigitHalves, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no domain '12345'"):
        halves.load("12345")
    assert "data fetch digits" in str(DigitHalves(tmp_path, DigitHalvesOptions(of="svhn")).lacking("01234"))


def test_halves_of_mnist_hold_all_of_it(data_root: Path) -> None:
    mnist = Digits(data_root).load("mnist")
    parts = [DigitHalves(data_root).load(name) for name in DigitHalves.domains[2:4]]
    assert sum(len(part.train) for part in parts) == len(mnist.train)
    assert sum(len(part.scored) for part in parts) == len(mnist.scored)
