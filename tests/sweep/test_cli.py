"""The command line: bad input is one clear line and exit code 2; what is printed is what there is."""

import shutil
import sys
from pathlib import Path

import pytest

from transfer_sweep.sweep import environment
from transfer_sweep.sweep.cli import main as cli

Said = tuple[int, str, str]


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Calls the command line; gives exit code, stdout, stderr."""
    for name in ("SWEEP_DATA_ROOT", "SWEEP_RESULTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["sweep", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.run_app()
        said = capsys.readouterr()
        code = end.value.code
        return code if isinstance(code, int) else 0, said.out, said.err

    return call


def _refused(said: Said, *parts: str) -> None:
    code, out, err = said
    assert code == 2, err
    assert not out
    (line,) = err.strip().splitlines()
    for part in parts:
        assert part in line


def test_lists(sweep) -> None:  # type: ignore[no-untyped-def]
    assert "quickstart" in sweep("list", "experiments")[1]
    methods = sweep("list", "methods")[1]
    assert all(name in methods for name in ("nearest_neighbor", "tca", "jda", "dann", "mcc"))
    assert "rendered" in sweep("data", "list")[1]
    assert "2.5" in sweep("show", "mcc")[1]  # the temperature of Jin 2020
    assert sweep("run")[1] == sweep("list")[1]


def test_bad_names_are_refused(sweep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _refused(sweep("run", "quikstart"), "did you mean 'quickstart'")
    _refused(sweep("show", "tcaa"), "did you mean 'tca'")
    _refused(sweep("run", "quickstart", "--only", "method=tcaa"), "tcaa")
    _refused(sweep("run", "quickstart", "--set", "methods.tca.mu=-1"), "methods.tca.mu", "-1")
    _refused(sweep("run", "quickstart", "--set", "methods.tcaa={}"), "did you mean 'tca'")
    _refused(sweep("run", "quickstart", "--profile", "gpuu"), "gpuu")
    _refused(sweep("run", "quickstart", "--only", "method=dann", "--only", "pair=uci-photo"), "leaves no trial")
    _refused(sweep("data", "verify", "office32"), "office32")
    _refused(sweep("status", "quickstart", "--results", tmp_path), "run quickstart")
    _refused(sweep("report", "quickstart", "--results", tmp_path), "run quickstart")
    _refused(sweep("report", "--results", tmp_path), "no results")


def test_a_missing_data_root_is_refused_with_the_next_step(sweep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _refused(sweep("run", "office_caltech10", "--results", tmp_path), "--data-root", "data fetch office_caltech10")
    gone = tmp_path / "gone"
    _refused(sweep("run", "office_caltech10", "--data-root", gone, "--results", tmp_path), str(gone), "--data-root")
    assert not list(tmp_path.iterdir())


@pytest.mark.data
@pytest.mark.ray
def test_a_truncated_file_is_named(sweep, data_root: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    copy = tmp_path / "data"
    shutil.copytree(data_root / "office_caltech10", copy / "office_caltech10")
    file = copy / "office_caltech10" / "dslr_SURF_L10.mat"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:1000])
    said = sweep(
        *("run", "office_caltech10", "--data-root", copy, "--results", tmp_path / "results"),
        *("--only", "method=nearest_neighbor"),
    )
    assert said[0] == 2
    assert said[2].strip().splitlines()[-1].startswith("error:")
    assert "dslr_SURF_L10.mat" in said[2].strip().splitlines()[-1]
    verified = sweep("data", "verify", "office_caltech10", "--data-root", copy)
    assert verified[0] == 1
    assert "damaged" in verified[1]


def test_results_that_cannot_be_written_are_refused(sweep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "file"
    file.touch()
    said = sweep("run", "quickstart", "--results", file)
    assert said[0] == 2
    assert "cannot write" in said[2].strip().splitlines()[-1]


def test_ray_client_is_refused_with_advice(sweep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _refused(sweep("run", "quickstart", "--address", "ray://h:1", "--results", tmp_path), "ray job submit")


def test_dry_run_shows_the_plan_and_writes_nothing(sweep, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = sweep("run", "quickstart", "--dry-run", "--results", tmp_path)
    assert code == 0
    assert "jda" in err
    assert not list(tmp_path.iterdir())


def test_recorded_commands_name_no_folder_of_this_machine() -> None:
    typed = ["run", "/home/me/mine.yaml", "--data-root", "/data", "--results=/out", "--only", "method=tca"]
    assert environment.command(typed) == "python -m sweep run mine.yaml --only method=tca"
