"""Fixtures shared by all tests."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.no_plugins import no_plugins
from tests.support.pictures import COLOURS, paint

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


@pytest.fixture
def no_plugins_in_use() -> Iterator[None]:
    """Begins and ends without plug-ins in use."""
    with no_plugins():
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a small file system here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a labelled domain, ``catalog``, and its pictures as another camera has them, ``phone``."""
    for k, (name, colour) in enumerate(COLOURS.items()):
        for i in range(14):
            paint(tmp_path / f"catalog/{name}/{i}.png", colour, 100 * k + i)
        for i in range(8):
            paint(tmp_path / f"phone/{name}-{i}.jpg", colour, 1000 + 100 * k + i, dim=0.7)
    return tmp_path
