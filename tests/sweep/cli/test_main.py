"""Bad input is one clear line and exit code 2; a command loads what it needs and no more."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, assert_refused
from tests.support.small_ledger import RUNS, experiment

ROOT = Path(__file__).resolve().parents[3]
TORCH_AND_RAY = {"torch", "ray"}
HEAVY = TORCH_AND_RAY | {"numpy", "pandas", "scipy", "sklearn", "matplotlib"}

LOADED = """\
import sys
from transfer_sweep.sweep.cli.main import run_app
try:
    run_app()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def _loaded(*arguments: object) -> set[str]:
    """The top-level names of the modules that a call loads."""
    command = [sys.executable, "-c", LOADED, *map(str, arguments)]
    called = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(called.stderr.strip().splitlines()[-1].split())


def test_bad_names_are_refused(sweep: CommandLine, tmp_path: Path) -> None:
    assert_refused(sweep("run", "quikstart"), "did you mean 'quickstart'")
    assert_refused(sweep("show", "tcaa"), "did you mean 'tca'")
    assert_refused(sweep("run", "quickstart", "--only", "method=tcaa"), "tcaa")
    assert_refused(sweep("run", "quickstart", "--set", "methods.tca.mu=-1"), "methods.tca.mu", "-1")
    assert_refused(sweep("run", "quickstart", "--set", "methods.tcaa={}"), "did you mean 'tca'")
    assert_refused(sweep("run", "quickstart", "--profile", "gpuu"), "gpuu")
    assert_refused(
        sweep("run", "quickstart", "--only", "method=dann", "--only", "pair=uci-photo"),
        "leaves no trial",
    )
    assert_refused(sweep("data", "verify", "office32"), "office32")
    assert_refused(sweep("status", "quickstart", "--results", tmp_path), "run quickstart")
    assert_refused(sweep("report", "quickstart", "--results", tmp_path), "run quickstart")
    assert_refused(sweep("report", "--results", tmp_path), "no results")
    assert_refused(
        sweep("report", "--criterion", "entropi", "--results", experiment(tmp_path, RUNS).parents[1]), "entropi"
    )


def test_an_unknown_option_is_refused(sweep: CommandLine) -> None:
    called = sweep("status", "quickstart", "--wach")
    assert called.code == 2
    assert "--watch" in called.err


def test_a_ledger_that_is_none_is_named_in_one_line(sweep: CommandLine, tmp_path: Path) -> None:
    for command in ("status", "report"):
        path = experiment(tmp_path, RUNS, command)
        path.write_bytes(b"no database" * 1000)
        assert_refused(sweep(command, command, "--results", tmp_path), "ledger", str(path))


def test_a_ledger_that_is_damaged_inside_is_refused_in_one_line(sweep: CommandLine, tmp_path: Path) -> None:
    path = experiment(tmp_path, RUNS)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)  # the first page, with the schema, is whole
    path.write_bytes(content)
    assert_refused(sweep("status", path.parent.name, "--results", tmp_path), "the ledger cannot be used")


def test_a_file_that_is_not_there_is_named(sweep: CommandLine, tmp_path: Path) -> None:
    assert_refused(sweep("criteria", tmp_path / "no.trials.csv.gz"), "no.trials.csv.gz", "No such file")


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("report", "--help"), ("data", "--help")])
def test_help_loads_nothing_that_computes(arguments: tuple[str, ...]) -> None:
    assert not _loaded(*arguments) & HEAVY


def test_what_reads_results_loads_neither_torch_nor_ray(tmp_path: Path) -> None:
    path = experiment(tmp_path, RUNS)
    folder = tmp_path / "report"
    results = ("--results", tmp_path)
    assert not _loaded("status", path.parent.name, *results) & TORCH_AND_RAY
    assert not _loaded("report", path.parent.name, *results, "--out", folder) & TORCH_AND_RAY
    (trials,) = folder.glob("*.trials.csv.gz")
    assert not _loaded("criteria", trials) & TORCH_AND_RAY


def test_experiments_and_data_sets_are_listed_without_torch_and_ray() -> None:
    assert not _loaded("list") & TORCH_AND_RAY
    assert not _loaded("data", "list") & TORCH_AND_RAY
