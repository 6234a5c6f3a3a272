"""Experiment files as YAML: read with the lines that values stand on, for errors that say where."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

import transfer_sweep
from transfer_sweep.sweep.errors import SweepError

transfer_sweep.refuse_bare(__name__)

Place = tuple[str | int, ...]
"""Where a value stands: the keys and indices that lead to it, as in ``("methods", "dann", 0, "lr")``."""


@dataclass(frozen=True)
class SourceFile:
    """An experiment file as it was read.

    Attributes:
        path: of the file.
        data: what it says, in plain Python types.
        root: the same with the lines that values stand on.
    """

    path: Path
    data: dict[str, Any]
    root: CommentedMap

    @classmethod
    def read(cls, path: Path) -> SourceFile:
        """Read a file.

        Raises:
            SweepError: it cannot be read, is not valid YAML, or is no mapping.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SweepError(f"{path.name} cannot be read: {error}") from None
        root, data = _parse(text, path.name, "rt")
        if not isinstance(root, CommentedMap):
            raise SweepError(f"{path.name} is not an experiment: it should be a mapping that starts with `dataset:`")
        return cls(path, data, root)

    def at(self, place: Iterable[str | int]) -> str:
        """``file, line n: a.b.c`` for the deepest part of a place that stands in the file."""
        node: Any = self.root
        line: int | None = None
        known = []
        for key in place:
            if isinstance(node, CommentedMap) and key in node:
                if key in (node.lc.data or {}):  # what a merge key (<<) brings has no line of its own
                    line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
                line = node.lc.item(key)[0] + 1
            else:
                break
            node = node[key]
            known.append(str(key))
        where = f"{self.path.name}, line {line}" if line else self.path.name
        return f"{where}: {'.'.join(known)}" if known else where


def parse_value(text: str, where: str) -> Any:
    """A value given as YAML on the command line, in plain Python types.

    Raises:
        SweepError: it is not valid YAML; one line that starts with ``where``.
    """
    return _parse(text, where, "safe")[1]


def _parse(text: str, where: str, kind: Literal["rt", "safe"]) -> tuple[Any, Any]:
    """YAML as ruamel gives it, and the same without ruamel's types."""
    try:
        raw = YAML(typ=kind, pure=True).load(io.StringIO(text))
        return raw, _plain(raw)
    except MarkedYAMLError as error:
        if error.problem_mark and kind == "rt":
            where += f", line {error.problem_mark.line + 1}"
        problem: object = error.problem or error.context or "no reason given"
    except RecursionError:
        problem = "nested too deeply"
    except (YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:  # some tags raise the latter
        problem = error
    raise SweepError(f"{where}: not valid YAML: {' '.join(str(problem).split())}")


def _plain(value: Any) -> Any:
    """``value`` without ruamel's types."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over`` in place of its own; mappings in mappings are merged likewise."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def nearest(name: str, allowed: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest allowed one, and all of them."""
    allowed = sorted(allowed)
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (there are: {', '.join(allowed) or 'none'})"
