"""What the pages on extending and on the Python interface show is what there is."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import transfer_sweep
from tests.support.loaded import ROOT
from transfer_sweep import plugins
from transfer_sweep.plugins import Kind
from transfer_sweep.sweep.api import LoadedModel, RecordedExperiment
from transfer_sweep.sweep.config import loader

pytestmark = pytest.mark.usefixtures("no_plugins_in_use")

EXTENDING = (ROOT / "docs" / "extending.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def _shown(language: str) -> str:
    (block,) = re.findall(rf"```{language}\n(.*?)```", EXTENDING, re.DOTALL)
    return str(block)


def test_the_file_that_the_page_on_extending_shows_is_one_and_its_experiment_is_planned(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(_shown("python"))
    (tmp_path / "mine.yaml").write_text(_shown("yaml"))
    plugins.use([tmp_path / "mine.py"])
    assert {(each.kind, each.name) for each in plugins.in_use()} == {
        (Kind.METHODS, "means"),
        (Kind.DATASETS, "halves"),
        (Kind.CRITERIA, "sureness"),
        (Kind.BACKBONES, "pooled"),
    }
    assert loader.load(str(tmp_path / "mine.yaml")).criterion == "sureness"


def test_the_groups_of_entry_points_are_those_that_the_page_names() -> None:
    assert re.findall(r'entry-points\."(.*?)"', EXTENDING) == [kind.group for kind in Kind]


@pytest.mark.parametrize("function", ["run", "open", "load_model"])
def test_the_page_on_the_interface_names_every_argument(function: str) -> None:
    section = API.partition(f"## `transfer_sweep.{function}(")[2].partition("\n## ")[0]
    for name in inspect.signature(getattr(transfer_sweep, function)).parameters:
        assert re.search(rf"\b{name}\b", section), name


def test_the_page_on_the_interface_names_every_attribute_of_results() -> None:
    for name in (*vars(RecordedExperiment), *vars(LoadedModel)):
        assert name.startswith("_") or f"`{name}" in API, name


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_its_cells_gave(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [out for cell in cells for out in cell["outputs"] if out["output_type"] == "error"]


@pytest.mark.ray
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    copied = tmp_path / notebook.name
    copied.write_text(notebook.read_text())
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.notebooks", str(copied)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, after = (
        [cell["outputs"] for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        for path in (notebook, copied)
    )
    for shown, given in zip(before, after, strict=True):  # numbers may differ between machines
        assert [out["output_type"] for out in shown] == [out["output_type"] for out in given]
