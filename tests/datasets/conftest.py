"""Fixtures of the tests of data sets."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copied_root(data_root: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A data root of the test's own, with the folder that its module names ``FOLDER``, to be damaged."""
    folder = request.module.FOLDER
    shutil.copytree(data_root / folder, tmp_path / folder, copy_function=shutil.copyfile)
    return tmp_path
