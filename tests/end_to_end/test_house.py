"""Rules of the house that neither types nor import-linter can hold."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.loaded import PARTS, ROOT

RECORDS = ROOT / "reports" / "ledger" / "records.py"


def _trees(*parts: str) -> Iterator[tuple[Path, ast.Module]]:
    for part in parts:
        for file in sorted((ROOT / part).rglob("*.py")):
            yield file, ast.parse(file.read_text())


def _place(file: Path, node: ast.expr | ast.stmt) -> str:
    return f"{file.relative_to(ROOT)}, line {node.lineno}: {ast.unparse(node)}"


def protocols_decoded(tree: ast.Module) -> list[ast.Call]:
    """Calls of ``json.loads`` on what is called a protocol, or is the column of a row that is."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [
        call
        for call in calls
        if ast.unparse(call.func) in ("json.loads", "loads")
        and any(ast.unparse(a).endswith(("protocol", "protocol']")) for a in call.args)
    ]


def compared_by_identity(tree: ast.Module) -> list[ast.Compare]:
    """``a is b`` (or ``is not``) where one is called inputs and neither is a constant."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
            sides = [node.left, *node.comparators]
            named = any(ast.unparse(side).endswith("inputs") for side in sides)
            if named and not any(isinstance(side, ast.Constant) for side in sides):
                found.append(node)
    return found


def _imports_ray(tree: ast.Module) -> bool:
    modules = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    return any(name.split(".")[0] == "ray" for name in modules)


def _private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def rays_private_names(tree: ast.Module) -> list[ast.expr | ast.stmt]:
    """In a file that imports Ray: private names that it imports from there, and private attributes that it reads and
    does not itself define. (A class of ours may have private names; those that it inherits are Ray's.)"""
    if not _imports_ray(tree):
        return []
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    attributes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and _private(node.attr) and ast.unparse(node.value) != "os"
    ]
    own |= {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    imports = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray"
        if any(map(_private, [*(node.module or "").split("."), *(alias.name for alias in node.names)]))
    ]
    return [*imports, *(node for node in attributes if isinstance(node.ctx, ast.Load) and node.attr not in own)]


def test_a_protocol_is_decoded_in_the_records_alone() -> None:
    found = [
        _place(file, call)
        for file, tree in _trees(*PARTS, "benchmarks")
        if file != RECORDS
        for call in protocols_decoded(tree)
    ]
    assert found == []


def test_nothing_hangs_on_the_identity_of_an_array() -> None:
    found = [_place(file, node) for file, tree in _trees(*PARTS) for node in compared_by_identity(tree)]
    assert found == []


def test_no_private_name_of_ray_is_used() -> None:
    found = [_place(file, node) for file, tree in _trees(*PARTS) for node in rays_private_names(tree)]
    assert found == []
    assert any(_imports_ray(tree) for _, tree in _trees("sweep"))


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (protocols_decoded, "backbone = json.loads(row.protocol)['backbone']"),
        (protocols_decoded, "few = json.loads(row['protocol'])"),
        (compared_by_identity, "known = inputs is self.task.target_inputs"),
        (compared_by_identity, "known = self.inputs is not given"),
        (rays_private_names, "import ray\nrungs = scheduler._brackets[0]._rungs"),
        (rays_private_names, "from ray.tune.registry import _global_registry"),
        (rays_private_names, "from ray.tune._internal import anything"),
        (
            rays_private_names,
            "from ray.tune import Callback\nclass Ours(Callback):\n    def f(self): return self._trial_writer",
        ),
    ],
)
def test_each_rule_finds_what_it_forbids(rule: object, code: str) -> None:
    assert callable(rule)
    assert rule(ast.parse(code))
