"""Finds methods: the module ``algorithms/<family>/<name>.py`` holds the method ``<name>``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from transfer_sweep.algorithms import deep, shallow
from transfer_sweep.algorithms.base import Algorithm


@cache
def names() -> dict[str, str]:
    """Method name → family, for every method there is (nothing is imported)."""
    return {
        module.name: family
        for family, package in (("shallow", shallow), ("deep", deep))
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_")
    }


@cache
def get(name: str) -> type[Algorithm]:
    """The class of a method.

    Raises:
        KeyError: there is no such method.
    """
    module = importlib.import_module(f"transfer_sweep.algorithms.{names()[name]}.{name}")
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if issubclass(cls, Algorithm) and cls.__module__ == module.__name__ and cls.__dict__.get("name") == name:
            return cls
    raise TypeError(f"{module.__name__} defines no Algorithm with name = {name!r}")
