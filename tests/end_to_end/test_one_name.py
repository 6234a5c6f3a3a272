"""Each module has one name, ``transfer_sweep.<part>…``: in the driver, in Ray's workers, in pickles, in tests."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from ray import cloudpickle

from tests.support import checkout
from tests.support.loaded import PARTS, ROOT, loaded_twice
from transfer_sweep.algorithms import registry

EXPERIMENT = """\
dataset: offline_digits
dataset_options: {channels: 1, train: 120, test: 60}
pairs: [rendered-photo]
methods: {nearest_neighbor: {}}
"""


def _files() -> Iterator[Path]:
    """Every Python file of the parts, relative to the checkout's root."""
    for part in PARTS:
        yield from (file.relative_to(ROOT) for file in sorted((ROOT / part).rglob("*.py")))


def _modules() -> list[str]:
    """Their bare names, packages too."""
    return [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in _files()]


def _python(code: str, folder: Path, *options: str) -> str:
    """What a Python started in ``folder`` prints, without what PYTHONPATH would add."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as a cluster's job gets it: files in a folder, nothing installed."""
    folder = checkout.copy(tmp_path_factory.mktemp("working_dir"))
    (folder / "search_spaces" / "only_here.yaml").write_text(EXPERIMENT)
    return folder


def test_every_module_refuses_its_bare_name_in_one_line() -> None:
    code = f"""
import importlib, json
said = {{}}
for name in {_modules()}:
    try:
        importlib.import_module(name)
        said[name] = None
    except ImportError as error:
        said[name] = str(error)
from tests.support.loaded import loaded_twice
print(json.dumps([said, loaded_twice()]))
"""
    said, twice = json.loads(_python(code, ROOT))
    assert [name for name, text in said.items() if text is None] == ["sweep", "sweep.__main__"]
    del said["sweep"], said["sweep.__main__"]
    for name, text in said.items():
        refused, _, advice = text.partition(" is a part of transfer_sweep: import transfer_sweep.")
        assert refused == advice
        assert f"{name}.".startswith(f"{refused}.")
    assert twice == {}


def test_what_sweep_holds_under_two_names_is_nothing() -> None:
    assert not (ROOT / "sweep" / "__init__.py").read_text().strip()


def test_the_package_is_no_part_of_itself() -> None:
    with pytest.raises(ImportError, match="import that"):
        import_module("transfer_sweep.transfer_sweep")


def test_no_file_imports_a_part_by_its_bare_name() -> None:
    places = [file for part in (*PARTS, "tests", "benchmarks") for file in (ROOT / part).rglob("*.py")]
    for file in places:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or "."]
                assert node.level == 0, f"{file}: relative to what it is imported as"
            else:
                continue
            assert not {name.split(".")[0] for name in names} & set(PARTS), f"{file}, line {node.lineno}"


def test_the_command_line_loads_no_file_twice() -> None:
    code = """
import json, runpy, sys
from tests.support.loaded import loaded_twice
for arguments in (["list", "methods"], ["list", "experiments"], ["show", "mcc"], ["report", "--help"]):
    sys.argv = ["sweep", *arguments]
    try:
        runpy.run_module("sweep", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code
import transfer_sweep.sweep.runner
print("loaded:", json.dumps([loaded_twice(), sorted(name for name in sys.modules if "sweep" in name)]))
"""
    twice, names = json.loads(_python(code, ROOT).rpartition("loaded:")[2])
    assert twice == {}
    assert {"transfer_sweep.sweep.runner", "transfer_sweep.sweep.cli.main"} <= set(names)
    assert [name for name in names if not name.startswith("transfer_sweep")] == ["sweep"]


def test_pytest_loads_no_file_twice() -> None:
    import_module("transfer_sweep.sweep.runner")
    assert loaded_twice() == {}


def test_a_method_is_pickled_by_its_one_name() -> None:
    for name in ("mcc", "tca"):
        pickled = cloudpickle.dumps(registry.get(name))
        assert f"transfer_sweep.algorithms.{registry.names()[name]}.{name}".encode() in pickled
        assert len(pickled) < 200  # a name, not a class
        assert cloudpickle.loads(pickled) is registry.get(name)


def test_the_checkout_runs_uninstalled(copy: Path) -> None:
    # -S: without the .pth file that an editable install leaves; -E: without what the environment adds.
    packages = [path for path in sys.path if path.endswith("site-packages")]
    code = f"""
import runpy, sys
sys.path += {packages}
sys.argv = ["sweep", "list", "experiments"]
try:
    runpy.run_module("sweep", run_name="__main__", alter_sys=True)
finally:
    import transfer_sweep
    print("from", transfer_sweep.__file__)
"""
    said = _python(code, copy, "-S", "-E")
    assert "only_here" in said
    assert f"from {copy}/" in said.replace("\n", "")


@pytest.mark.ray
def test_a_worker_has_the_same_one_name_for_what_the_driver_sends(copy: Path) -> None:
    shutil.copytree(ROOT / "tests" / "support", copy / "tests" / "support", dirs_exist_ok=True)
    code = """
import json, pathlib, ray
from transfer_sweep.algorithms import registry
ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")

@ray.remote
def look(method):
    import importlib, sys
    importlib.import_module("transfer_sweep.sweep.engine.trainable")
    from tests.support.loaded import loaded_twice
    parts = ("algorithms", "datasets", "reports", "search_spaces", "sweep")
    bare = [name for name in sys.modules if name.split(".")[0] in parts]
    return method, method.__module__, sys.modules["transfer_sweep"].__file__, bare, loaded_twice()

method, *seen = ray.get(look.remote(registry.get("mcc")))
print("seen:", json.dumps([method is registry.get("mcc"), *seen]))
"""
    same, module, file, bare, twice = json.loads(_python(code, copy).rpartition("seen:")[2])
    assert same
    assert module == "transfer_sweep.algorithms.deep.mcc"
    assert Path(file).is_relative_to(copy)
    assert bare == []
    assert twice == {}


@pytest.mark.ray
@pytest.mark.slow
def test_a_job_that_brings_the_checkout_along_runs_an_experiment(copy: Path, tmp_path: Path) -> None:
    code = f"""
import json, sys, time, ray
from ray.job_submission import JobSubmissionClient, JobStatus
context = ray.init(num_cpus=2, include_dashboard=True, logging_level="ERROR")
client = JobSubmissionClient("http://" + context.dashboard_url)
here = "RAY_ADDRESS=" + ray.get_runtime_context().gcs_address  # without it, a job joins any Ray of this machine
for _ in range(60):
    try:
        job = client.submit_job(
            entrypoint=here + " " + sys.executable + " -m sweep run only_here --address auto --results {tmp_path}",
            runtime_env={{"working_dir": "{copy}"}},
        )
        break
    except RuntimeError as error:  # the agent that takes jobs starts after the node does
        if "No available agent" not in str(error):
            raise
        time.sleep(1)

async def follow():
    async for lines in client.tail_job_logs(job):
        print(lines, end="")

import asyncio
asyncio.run(follow())
print("ended:", json.dumps([client.get_job_status(job), client.get_job_info(job).message]))
"""
    said = _python(code, tmp_path)
    status, message = json.loads(said.rpartition("ended:")[2])
    assert status == "SUCCEEDED", f"{message}\n{said}"
    assert (tmp_path / "only_here" / "ledger.sqlite").exists()
