"""``list`` and ``show``: what there is to run, and what a method takes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer_sweep.sweep.cli.options import Plugins, new_table, out
from transfer_sweep.sweep.errors import SweepError

if TYPE_CHECKING:
    from rich.table import Table

    from transfer_sweep.algorithms.base import Algorithm


class Kind(StrEnum):
    """What ``list`` lists."""

    EXPERIMENTS = "experiments"
    METHODS = "methods"
    DATASETS = "datasets"
    CRITERIA = "criteria"
    BACKBONES = "backbones"


def list_(
    what: Annotated[Kind, typer.Argument(help="What to list.")] = Kind.EXPERIMENTS, _plugins: Plugins = None
) -> None:
    """List experiments, methods, datasets, criteria or backbones."""
    tables = {
        Kind.EXPERIMENTS: _experiments,
        Kind.METHODS: _methods,
        Kind.DATASETS: _datasets,
        Kind.CRITERIA: _criteria,
        Kind.BACKBONES: _backbones,
    }
    table = tables[what]()
    table.columns[0].no_wrap = True
    out.print(table)


def _experiments() -> Table:
    from transfer_sweep.sweep.config import loader

    table = new_table("experiment", "what it is")
    for name in loader.names():
        table.add_row(name, loader.describe(name))
    return table


def _methods() -> Table:
    from transfer_sweep.algorithms import registry

    table = new_table("method", "family", "target labels", "source")
    for name in sorted(registry.names()):
        method = registry.get(name)
        table.add_row(name, method.family, _label_access(method), method.source)
    return table


def _datasets() -> Table:
    from transfer_sweep.datasets import registry

    table = new_table("dataset", "domains", "classes", "source")
    for name in registry.names():
        dataset = registry.get(name)
        domains = "yours" if dataset.of_user else ", ".join(dataset.domains)
        table.add_row(name, domains, "" if dataset.of_user else str(len(dataset.classes)), dataset.source)
    return table


def _criteria() -> Table:
    from transfer_sweep.reports.criteria import registry

    table = new_table("criterion", "what it is", "computed")
    for name, criterion in registry.find().items():
        table.add_row(name, criterion.text, criterion.cost.value)
    return table


def _backbones() -> Table:
    from transfer_sweep.algorithms.networks.backbones import BACKBONES

    table = new_table("backbone", "features", "weights")
    for name, backbone in BACKBONES.items():
        table.add_row(name, str(backbone.dim), backbone.weights if isinstance(backbone.weights, str) else "a package's")
    return table


def show(method: Annotated[str, typer.Argument(help="A method.")], _plugins: Plugins = None) -> None:
    """A method's params: default, bounds, and where each comes from."""
    from transfer_sweep.algorithms import registry
    from transfer_sweep.sweep.config.source import nearest

    if method not in registry.names():
        raise SweepError(f"unknown method {method!r}{nearest(method, registry.names())}")
    cls = registry.get(method)
    out.print(f"{method} ({cls.family}; target labels: {_label_access(cls)})\n{cls.source}\n", markup=False)
    table = new_table("param", "default", "allowed", "what it is")
    table.columns[0].no_wrap = True
    schema = cls.params_type.model_json_schema()["properties"]
    for key, field in cls.params_type.model_fields.items():
        table.add_row(key, str(field.default), _allowed(schema[key]), field.description or "")
    out.print(table)


def _label_access(method: type[Algorithm]) -> str:
    """Which target labels a method learns from."""
    return f"{method.label_access} or few" if method.semi_supervised else method.label_access


def _allowed(schema: dict[str, Any]) -> str:
    """The values that a param may take, from its JSON schema."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_allowed(part) for part in schema["anyOf"])
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = ", ".join(f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema)
    return bounds or str(schema.get("const", schema.get("type", "")))
