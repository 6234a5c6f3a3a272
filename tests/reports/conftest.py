"""Fixtures of the tests of reports."""

from pathlib import Path

import pytest

from tests.support.small_ledger import RUNS, experiment


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The ledger of a small experiment."""
    return experiment(tmp_path, RUNS)
