"""Tests that use plug-ins leave none behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from transfer_sweep import plugins


@contextmanager
def no_plugins() -> Iterator[None]:
    """Begins and ends without plug-ins in use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "_state", plugins._State(listeners=plugins._state.listeners))
        plugins._state.changed()
        yield
    plugins._state.changed()
