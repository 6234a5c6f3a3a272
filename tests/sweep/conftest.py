"""Fixtures of the tests of the program."""

import sys

import pytest

from tests.support.command_line import CommandLine, Said
from transfer_sweep.sweep.cli import options
from transfer_sweep.sweep.cli.main import run_app


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Calls the command line, in an environment that names no folder of this machine."""
    for name in ("SWEEP_DATA_ROOT", "SWEEP_RESULTS"):
        monkeypatch.delenv(name, raising=False)
    for console in (options.out, options.err):  # made when they were imported, in whatever environment that was
        monkeypatch.setattr(console, "width", 100_000)

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["sweep", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            run_app()
        code = end.value.code
        return Said(code if isinstance(code, int) else 0, *capsys.readouterr())

    return call
