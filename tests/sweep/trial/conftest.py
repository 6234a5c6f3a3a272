"""Fixtures of the tests of one trial."""

import pytest

from transfer_sweep.datasets.base import Domain
from transfer_sweep.datasets.offline_digits import OfflineDigits, OfflineDigitsOptions


@pytest.fixture(scope="module")
def domains() -> dict[str, Domain]:
    """A pair of a few digits, each with a test part."""
    digits = OfflineDigits(options=OfflineDigitsOptions(channels=1, train=150, test=60))
    return {name: digits.load(name) for name in ("rendered", "photo")}
