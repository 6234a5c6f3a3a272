"""Everything that is transfer-sweep's lies in this one package, so that no other software's ``datasets`` is touched.

Installed, its parts are folders inside this one. In a checkout they are the folders beside it, and this package's
search path begins with the checkout's root. Either way each module has one name, ``transfer_sweep.<part>…``: under a
second one, ``except`` would miss errors of what is the same class twice.

For a notebook or a script: ``run``, ``open`` and ``load_model`` of :mod:`transfer_sweep.sweep.api` are to be had from
here, and are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer_sweep.sweep.api import load_model as load_model
    from transfer_sweep.sweep.api import open as open
    from transfer_sweep.sweep.api import run as run

if __name__ != "transfer_sweep":  # a checkout's root holds this folder, too
    raise ImportError(f"{__name__} is transfer_sweep: import that", name=__name__)

_HERE = Path(__file__).resolve().parent

if not (_HERE / "sweep").is_dir():
    __path__ = [str(_HERE.parent), str(_HERE)]


def refuse_bare(name: str) -> None:
    """Refuse to be imported as ``datasets``, ``sweep.runner`` …, which a folder on the search path makes possible.

    Args:
        name: under which a module is being imported, its ``__name__``.

    Raises:
        ImportError: it lacks this package's.
    """
    if not name.startswith(f"{__name__}."):
        raise ImportError(f"{name} is a part of {__name__}: import {__name__}.{name}", name=name)


class UserError(Exception):
    """What the user can mend, of any part. Its text is one line: the thing, what is allowed, the next step."""


_API = ("load_model", "open", "run")


def __getattr__(name: str) -> Any:
    """What notebooks call, imported when it is first asked for: it takes a second, and the parts have no need of it."""
    if name in _API:
        return getattr(import_module(f"{__name__}.sweep.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
