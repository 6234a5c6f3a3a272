"""Fixtures shared by all tests."""

import os
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# The same examples every time: a test that fails, fails for everyone.
hypothesis.settings.register_profile("project", derandomize=True, deadline=None)
hypothesis.settings.load_profile("project")

_BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The data root named by SWEEP_DATA_ROOT, or the one beside the checkout."""
    root = Path(os.environ.get("SWEEP_DATA_ROOT", _BESIDE_THE_CHECKOUT))
    if not root.is_dir():
        pytest.skip("no data root: set SWEEP_DATA_ROOT to run this test")
    return root
