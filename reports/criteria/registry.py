"""Finds criteria: the module ``reports/criteria/NAME.py`` holds the criterion ``NAME``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from transfer_sweep.reports import criteria as package
from transfer_sweep.reports.criteria import base

_Value = TypeVar("_Value")


@cache
def find() -> Mapping[str, base.Criterion]:
    """Name → criterion, for every criterion there is, in the order in which lists show them.

    Raises:
        TypeError: a module's criterion does not bear the module's name, or is not a whole one.
    """
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    found = [criterion for name in names if (criterion := _in_module(name)) is not None]
    return {criterion.name: criterion for criterion in sorted(found, key=lambda each: (each.place, each.name))}


def _in_module(name: str) -> base.Criterion | None:
    """The criterion of a module; None of one that holds mathematics."""
    module = importlib.import_module(f"{package.__name__}.{name}")
    classes = [
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, base.Criterion) and cls.__module__ == module.__name__
    ]
    if not classes or module is base:
        return None
    (cls, *others) = classes
    if others or getattr(cls, "name", None) != name:
        raise TypeError(f"{module.__name__} has to define one Criterion, with name = {name!r}")
    return cls()


@cache
def name_of(key: str) -> str | None:
    """The name of what is recorded under a key; None where that is of another version of a criterion.

    What no criterion is (``predicted_classes``, say) bears its own name.
    """
    criterion = find().get(key.partition("@")[0])
    if criterion is None:
        return key
    return criterion.name if criterion.key == key else None


def by_name(recorded: Mapping[str, _Value]) -> dict[str, _Value]:
    """Recorded values by name: those of other versions of a criterion count as not recorded."""
    return {name: value for key, value in recorded.items() if (name := name_of(key)) is not None}
