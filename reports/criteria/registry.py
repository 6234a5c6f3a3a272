"""Finds criteria: the module ``reports/criteria/NAME.py`` holds the criterion ``NAME``; plug-ins bring others."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TypeVar

from transfer_sweep import plugins
from transfer_sweep.reports import criteria as package
from transfer_sweep.reports.criteria import base

_Value = TypeVar("_Value")
_Criterion = TypeVar("_Criterion", bound=base.Criterion)


@cache
def find() -> Mapping[str, base.Criterion]:
    """Name → criterion, for every criterion there is, in the order in which lists show them.

    Raises:
        TypeError: a module's criterion does not bear the module's name, or is not a whole one.
    """
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    found = [criterion for name in names if (criterion := _in_module(name)) is not None]
    found += [plugin.value() for plugin in plugins.found(plugins.Kind.CRITERIA, names).values()]
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


class Selected(Mapping[str, _Value]):
    """Some of the criteria by name, or what is wanted of them. Each look finds those of plug-ins in use by then, too.

    Args:
        of: a criterion → what is wanted of it; None of one that is left out.
    """

    def __init__(self, of: Callable[[base.Criterion], _Value | None]) -> None:
        self._of = of
        self._all: Mapping[str, base.Criterion] | None = None
        self._selected: dict[str, _Value] = {}

    def _now(self) -> dict[str, _Value]:
        if self._all is not (found := find()):
            wanted = {name: self._of(each) for name, each in found.items()}
            self._all, self._selected = found, {name: value for name, value in wanted.items() if value is not None}
        return self._selected

    def __getitem__(self, name: str) -> _Value:
        return self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())


def of_kind(kind: type[_Criterion]) -> Selected[_Criterion]:
    """The criteria of a class."""
    return Selected(lambda each: each if isinstance(each, kind) else None)


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


plugins.on_change(find.cache_clear)
plugins.on_change(name_of.cache_clear)
