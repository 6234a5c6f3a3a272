"""The wheel: one package of ours beside a ``sweep`` of two files, so that nobody else's ``datasets`` is touched."""

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.loaded import PARTS, ROOT


def _build(source: Path, folder: Path, target: str) -> Path:
    """What hatchling makes of a checkout or an unpacked source distribution, without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


def _names(wheel: Path) -> list[str]:
    """Its files, but those that describe it."""
    with zipfile.ZipFile(wheel) as packed:
        return [name for name in packed.namelist() if ".dist-info/" not in name]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Site-packages in which somebody else's ``datasets`` was installed before the wheel."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "datasets").mkdir()
    (folder / "datasets" / "__init__.py").write_text("def load_dataset(): return 'theirs'\n")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


def _python(code: str, site: Path, folder: Path) -> str:
    """What a Python prints in ``folder`` that sees ``site`` and what is installed: -S leaves out .pth files."""
    packages = [path for path in sys.path if path.endswith("site-packages")]
    command = [sys.executable, "-I", "-S", "-c", f"import sys\nsys.path += {[str(site), *packages]}\n{code}"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_wheel_has_two_roots_and_the_thin_one_two_files(wheel: Path) -> None:
    names = _names(wheel)
    assert {name.split("/")[0] for name in names} == {"transfer_sweep", "sweep"}
    assert sorted(name for name in names if name.startswith("sweep/")) == ["sweep/__init__.py", "sweep/__main__.py"]
    with zipfile.ZipFile(wheel) as packed:
        assert not packed.read("sweep/__init__.py").strip()


def test_a_wheel_holds_every_file_of_the_parts(wheel: Path) -> None:
    files = [
        file
        for part in PARTS
        for file in (ROOT / part).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]
    wanted = {f"transfer_sweep/{file.relative_to(ROOT).as_posix()}" for file in files if file.suffix != ".pyc"}
    assert {name for name in _names(wheel) if name.startswith("transfer_sweep/")} == {
        "transfer_sweep/__init__.py",
        "transfer_sweep/plugins.py",
        *wanted,
    }
    for name in ("search_spaces/quickstart.yaml", "reports/paper_results.csv", "reports/formats/page/page.css"):
        assert f"transfer_sweep/{name}" in wanted


def test_a_source_distribution_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(_build(ROOT, tmp_path / "made", "sdist")) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert not [name for name in ("docs/results", ".git", ".venv", "results") if (source / name).exists()]
    assert _build(source, tmp_path / "wheel", "wheel").read_bytes() == wheel.read_bytes()


def test_an_editable_install_copies_nothing(tmp_path: Path) -> None:
    editable = _build(ROOT, tmp_path, "wheel:editable")
    assert _names(editable) == ["_transfer_sweep.pth"]
    with zipfile.ZipFile(editable) as packed:
        assert packed.read("_transfer_sweep.pth").decode().strip() == str(ROOT)


def test_a_wheel_runs_in_another_folder(site: Path, tmp_path: Path) -> None:
    code = """
import json, runpy
for what in ("methods", "experiments", "datasets"):
    sys.argv = ["sweep", "list", what]
    try:
        runpy.run_module("sweep", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code
import transfer_sweep.sweep.runner
ours = {n: m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in ("sweep", "transfer_sweep")}
print("loaded:", json.dumps(ours))
"""
    said, _, loaded = _python(code, site, tmp_path).rpartition("loaded:")
    assert all(name in said for name in ("nearest_neighbor", "quickstart", "office_caltech10"))
    files = json.loads(loaded)
    assert {"sweep", "transfer_sweep.sweep", "transfer_sweep.sweep.runner"} <= set(files)
    assert all(Path(file).is_relative_to(site) for file in files.values())
    assert len(set(files.values())) == len(files)


def test_a_wheel_leaves_another_datasets_alone(site: Path, tmp_path: Path) -> None:
    code = """
from datasets import load_dataset
from transfer_sweep.datasets import registry
from transfer_sweep.datasets.io import cache
print(load_dataset(), *registry.names())
"""
    theirs, *ours = _python(code, site, tmp_path).split()
    assert theirs == "theirs"
    assert "offline_digits" in ours
    assert not {"base", "io", "images", "splits", "registry"} & set(ours)
