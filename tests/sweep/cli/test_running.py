"""``run``: what it refuses before anything runs, and the plan that it shows."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, assert_refused


def test_a_missing_data_root_is_refused_with_the_next_step(sweep: CommandLine, tmp_path: Path) -> None:
    assert_refused(
        sweep("run", "office_caltech10", "--results", tmp_path),
        *("--data-root", "data fetch office_caltech10"),
    )
    gone = tmp_path / "gone"
    called = sweep("run", "office_caltech10", "--data-root", gone, "--results", tmp_path)
    assert_refused(called, str(gone), "--data-root")
    assert not list(tmp_path.iterdir())


@pytest.mark.data
@pytest.mark.ray
def test_a_truncated_file_is_named(sweep: CommandLine, data_root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data_root / "office_caltech10", copy / "office_caltech10")
    file = copy / "office_caltech10" / "dslr_SURF_L10.mat"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:1000])
    called = sweep(
        *("run", "office_caltech10", "--data-root", copy, "--results", tmp_path / "results"),
        *("--only", "method=nearest_neighbor"),
    )
    assert called.code == 2
    last = called.err.strip().splitlines()[-1]
    assert last.startswith("error:")
    assert "dslr_SURF_L10.mat" in last
    verified = sweep("data", "verify", "office_caltech10", "--data-root", copy)
    assert verified.code == 1
    assert "damaged" in verified.out


def test_results_that_cannot_be_written_are_refused(sweep: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    called = sweep("run", "quickstart", "--results", file)
    assert called.code == 2
    assert "cannot write" in called.err.strip().splitlines()[-1]


def test_ray_client_is_refused_with_advice(sweep: CommandLine, tmp_path: Path) -> None:
    called = sweep("run", "quickstart", "--address", "ray://h:1", "--results", tmp_path)
    assert_refused(called, "ray job submit")


def test_dry_run_shows_the_plan_and_writes_nothing(sweep: CommandLine, tmp_path: Path) -> None:
    called = sweep(
        *("run", "quickstart", "--dry-run", "--results", tmp_path),
        *("--only", "method=nearest_neighbor,jda", "--only", "pair=rendered-uci"),
    )
    assert called.code == 0
    rows = {line.split()[0]: line.split() for line in called.err.splitlines() if line}
    assert rows["jda"][2] == "1"  # cell
    trials = [int(rows[name][3]) for name in ("nearest_neighbor", "jda")]
    assert int(rows["all"][2]) == sum(trials)
    assert re.search(r"^forecast: [\d:]+ with \d+ at a time", called.err, re.MULTILINE)
    assert not list(tmp_path.iterdir())
