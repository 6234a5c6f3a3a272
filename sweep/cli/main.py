"""Where the command line starts, and where what it refuses ends in one line."""

from __future__ import annotations

import sqlite3
import sys
import warnings
from typing import NoReturn

import transfer_sweep
from transfer_sweep.sweep.cli.app import app
from transfer_sweep.plugins import PluginWarning
from transfer_sweep.sweep.cli.options import err, say

BAD_INPUT = 2
"""The exit code of what is refused."""


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


def _show(message: Warning | str, category: type[Warning], file: str, line: int, *_: object) -> None:
    """A warning on stderr: of a plug-in that is left out, in one line and without the line of code."""
    text = str(message) if category is PluginWarning else warnings.formatwarning(message, category, file, line).rstrip()
    say(f"warning: {text}")


def _refuse(reason: str) -> NoReturn:
    err.print(f"error: {reason}", style="red", markup=False, soft_wrap=True)
    sys.exit(BAD_INPUT)
