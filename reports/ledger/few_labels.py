"""Few-label settings of protocols in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text(few: Mapping[str, Any] | None, count: bool = True) -> str:
    """A few-label setting; an empty text where there is none.

    Args:
        few: as a protocol has it.
        count: whether to say how many labels a class has.
    """
    if few is None:
        return ""
    parts = [f"{few['per_class']} per class"] if count else []
    parts += [f"of {few['classes']} classes"] if few["classes"] is not None else []
    parts += [] if few["source"] else ["without source"]
    return ", ".join(parts)


def tag(few: Mapping[str, Any] | None) -> str:
    """The same as part of a cell's name: ``+3``, ``+3of15``, ``+3only``."""
    if few is None:
        return ""
    of = "" if few["classes"] is None else f"of{few['classes']}"
    return f"+{few['per_class']}{of}" + ("" if few["source"] else "only")
