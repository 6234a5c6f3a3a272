"""Where the command line starts, and where what it refuses ends in one line."""

from __future__ import annotations

import sqlite3
import sys
import warnings
from typing import NoReturn, TextIO

import transfer_sweep
from transfer_sweep.plugins import PluginWarning
from transfer_sweep.sweep.cli.app import app
from transfer_sweep.sweep.cli.options import err, say

BAD_INPUT = 2
"""The exit code of what is refused."""

_show_another = warnings.showwarning


def run_app() -> None:
    """The command line; bad input ends in one line and exit code 2."""
    warnings.showwarning = _show
    try:
        app()
    except transfer_sweep.UserError as error:
        _refuse(str(error))
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.Error) or isinstance(error.__cause__, sqlite3.Error):  # pandas raises an OSError
            _refuse(f"the ledger cannot be used: {error}")
        _refuse(f"{error.filename or 'a file'}: {error.strerror or error}")


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning on stderr: that a plug-in is left out, without the line of our code that says so."""
    if category is PluginWarning:
        say(f"warning: {message}")
    else:
        _show_another(message, category, filename, lineno, file, line)


def _refuse(reason: str) -> NoReturn:
    err.print(f"error: {reason}", style="red", markup=False, soft_wrap=True)
    sys.exit(BAD_INPUT)
