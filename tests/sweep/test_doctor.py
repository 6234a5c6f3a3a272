"""What ``doctor`` says of a machine."""

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from transfer_sweep.sweep import doctor, environment
from transfer_sweep.sweep.doctor import Finding, examine


def _of(what: str, findings: list[Finding]) -> Finding:
    (found,) = [finding for finding in findings if finding.what == what]
    return found


def test_each_missing_data_set_comes_with_the_command_that_brings_it(tmp_path: Path) -> None:
    (tmp_path / "office_caltech10").mkdir()
    findings = examine(tmp_path, tmp_path / "results" / "of" / "mine")
    assert _of("office_caltech10", findings).fine
    lacking = _of("amazon_reviews", findings)
    assert not lacking.fine
    assert lacking.advice == "python -m sweep data fetch amazon_reviews"
    assert not lacking.needed  # other experiments run without
    assert _of("results folder", findings).fine
    assert not (tmp_path / "results").exists()


def test_a_package_that_is_lacking_is_said_and_what_rests_on_it_is_left_out(
    monkeypatch: pytest.MonkeyPatch, sweep: CommandLine, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package"))
    assert _of("no-such-package", examine(None, tmp_path)) == Finding(
        "no-such-package", False, "not installed", "make install", needed=True
    )
    called = sweep("doctor", "--results", tmp_path)
    assert called.code == 1
    assert "make install" in called.out
    assert "GPU" not in called.out


def test_advice_can_be_copied_as_it_stands(monkeypatch: pytest.MonkeyPatch, sweep: CommandLine) -> None:
    advice = "pip install 'ray[default]' " + "and " * 30 + "more"
    monkeypatch.setattr(doctor, "examine", lambda *_: [Finding("dashboard", False, "none", advice)])
    called = sweep("doctor")
    assert called.code == 0
    assert called.out.splitlines()[1].rstrip().endswith(advice)
