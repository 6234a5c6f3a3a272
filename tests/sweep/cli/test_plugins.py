"""``--plugin`` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, assert_refused
from tests.support.small_ledger import RUNS, experiment

pytestmark = pytest.mark.usefixtures("no_plugins_in_use")

TOY = Path(__file__).resolve().parents[2] / "support" / "toy_plugin.py"

EXPERIMENT = """\
dataset: blobs
protocol: {backbone: blocky, training: frozen}
criterion: margin
methods:
  class_means: {shrink: [0, 0.5]}
"""


@pytest.mark.parametrize(
    ("what", "name"),
    [("methods", "class_means"), ("datasets", "blobs"), ("criteria", "margin"), ("backbones", "blocky")],
)
def test_what_a_file_defines_is_listed_beside_what_there_is(sweep: CommandLine, what: str, name: str) -> None:
    before = sweep("list", what)
    after = sweep("list", what, "--plugin", TOY)
    assert (before.code, after.code) == (0, 0)
    assert name not in before.out
    assert name in after.out
    assert len(after.out.splitlines()) == len(before.out.splitlines()) + 1


def test_the_params_of_a_files_method_are_shown(sweep: CommandLine) -> None:
    said = sweep("show", "class_means", "--plugin", TOY)
    assert said.code == 0
    assert "share by which means move to the origin" in said.out
    assert_refused(sweep("show", "class_meanz", "--plugin", TOY), "unknown method", "did you mean 'class_means'?")


def test_an_experiment_of_plug_ins_is_planned(sweep: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "toys.yaml").write_text(EXPERIMENT)
    said = sweep("run", tmp_path / "toys.yaml", "--results", tmp_path, "--dry-run", "--plugin", TOY)
    assert said.code == 0
    assert "class_means" in said.err
    assert "blocky" in said.err


def test_without_the_file_an_experiment_that_needs_it_is_refused(sweep: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "toys.yaml").write_text(EXPERIMENT)
    said = sweep("run", tmp_path / "toys.yaml", "--results", tmp_path)
    assert_refused(said, "toys.yaml, line 5", "unknown method 'class_means'")


def test_files_are_taken_from_the_environment_too(
    sweep: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.py").write_text(
        "from transfer_sweep.algorithms.deep.dann import DANN\nclass Other(DANN):\n    name = 'other_dann'\n"
    )
    monkeypatch.setenv("SWEEP_PLUGINS", f"{TOY}:{tmp_path / 'other.py'}")
    said = sweep("list", "methods")
    assert "class_means" in said.out
    assert "other_dann" in said.out


def test_a_broken_file_is_a_warning_and_the_list_goes_on(sweep: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    said = sweep("list", "methods", "--plugin", tmp_path / "broken.py", "--plugin", TOY)
    assert said.code == 0
    assert said.err == "warning: plug-in broken.py is left out: SyntaxError: invalid syntax (line 1)\n"
    assert "class_means" in said.out
    assert "dann" in said.out


def test_a_run_that_needs_what_is_broken_ends_in_one_line_after_the_warning(sweep: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "toys.yaml").write_text(EXPERIMENT)
    (tmp_path / "toy_plugin.py").write_text("import nothing_such\n")
    said = sweep("run", tmp_path / "toys.yaml", "--results", tmp_path, "--plugin", tmp_path / "toy_plugin.py")
    assert said.code == 2
    warning, error = said.err.splitlines()
    assert warning == (
        "warning: plug-in toy_plugin.py is left out: ModuleNotFoundError: No module named 'nothing_such'"
    )
    assert "unknown method 'class_means'" in error


def test_a_file_that_is_not_there_is_refused(sweep: CommandLine, tmp_path: Path) -> None:
    assert_refused(sweep("list", "--plugin", tmp_path / "none.py"), "none.py cannot be read")


def test_a_report_whose_criterion_is_a_missing_plug_ins_says_so_in_one_line(sweep: CommandLine, tmp_path: Path) -> None:
    experiment(tmp_path, RUNS, criterion="margin")
    said = sweep("report", "office31_small", "--results", tmp_path)
    assert_refused(said, "there is no criterion 'margin'", "--plugin")
