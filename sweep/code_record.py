"""What code trials ran with: recorded with every run, so that one whose method was edited since is noticed.

Only code counts: comments, docstrings and layout may change. A method's code is its file, and of what this imports the
losses and networks, or the other modules of its own package where a plug-in is one. The common loop is left out: who
changes what it does raises the versions of methods.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import pandas as pd

import transfer_sweep
from transfer_sweep import plugins
from transfer_sweep.algorithms import registry
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import FINISHED

transfer_sweep.refuse_bare(__name__)

_OURS = "transfer_sweep."
_FOLLOWED = ("transfer_sweep.algorithms.losses", "transfer_sweep.algorithms.networks")


def code_digests(methods: Iterable[str]) -> dict[str, dict[str, str]]:
    """Digests of the code of methods, and of the plug-ins in use.

    Args:
        methods: names.

    Returns:
        ``{"code": {method: digest}, "plugins": {file or module: digest}}``, without the latter where there are none.
    """
    code = {name: _digest(_sources_of(registry.get(name).__module__)) for name in sorted(methods)}
    found = {origin: _digest([text]) for origin, text in sorted(plugins.sources().items())}
    return {"code": code} | ({"plugins": found} if found else {})


def changed(ledger: Ledger, methods: Iterable[str]) -> list[str]:
    """What was edited since trials of the current plan ran.

    Args:
        ledger: of these trials, and of the code that each run had.
        methods: those of the experiment.

    Returns:
        One line for each method or plug-in.
    """
    now = code_digests(methods)
    files = {name: _file_of(registry.get(name).__module__) for name in now["code"]}
    shared = {plugin.origin for plugin in plugins.in_use() if plugin.kind is not plugins.Kind.METHODS}
    runs = ledger.environments()
    trials = ledger.trials()
    trials = trials[trials["state"].isin(FINISHED) & trials["method"].isin(list(files))]
    older: Counter[str] = Counter()
    for method, started in zip(trials["method"], trials["started_at"], strict=True):
        then = _run_of(runs, started)
        if then.get("code", {}).get(method, now["code"][method]) != now["code"][method]:
            older[files[method]] += 1
            continue
        for origin in shared:  # data sets, criteria and backbones may have had a part in any trial
            if then.get("plugins", {}).get(origin, now["plugins"][origin]) != now["plugins"][origin]:
                older[origin] += 1
    return [
        f"{name} changed since {count} {'trial' if count == 1 else 'trials'} ran (they stay; --fresh runs them again)"
        for name, count in sorted(older.items())
    ]


def _run_of(runs: Iterable[Mapping[str, Any]], started: float) -> Mapping[str, Any]:
    """The environment of the run in which a trial started: the last one before it."""
    before = [run for run in runs if not pd.isna(started) and run["started_at"] <= started]
    return before[-1] if before else {}


def _file_of(module: str) -> str:
    """What the user knows a method's module by: the file's name; of a package's plug-in the module's."""
    if module.startswith(_OURS):
        return f"{module.rpartition('.')[2]}.py"
    return {plugin.module: plugin.origin for plugin in plugins.in_use()}.get(module, module)


def _sources_of(module: str) -> list[str]:
    """The source texts that make up a method, the module's own first."""
    followed = _FOLLOWED if module.startswith(_OURS) else (module.partition(".")[0],)
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = plugins.source_of(sys.modules[name])
            waiting += [each for each in _imported(found[name]) if _is_within(each, followed) and each in sys.modules]
    return [found.pop(module), *(found[name] for name in sorted(found))]


def _is_within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _imported(source: str) -> Iterator[str]:
    """The names that a module imports and that may be modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _digest(sources: Iterable[str]) -> str:
    """Of code: 12 hexadecimal digits."""
    return plugins.digest("\n".join(map(_code, sources)))


@cache
def _code(source: str) -> str:
    """A source text without what does nothing."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)
