"""Finds methods: the module ``algorithms/<family>/<name>.py`` holds the method ``<name>``; plug-ins bring others."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from transfer_sweep import plugins
from transfer_sweep.algorithms import deep, shallow
from transfer_sweep.algorithms.base import Algorithm


@cache
def names() -> dict[str, str]:
    """Method name → family, for every method there is. Nothing is imported but plug-ins."""
    families = _built_in()
    return families | {name: each.value.family for name, each in plugins.found(plugins.Kind.METHODS, families).items()}


@cache
def get(name: str) -> type[Algorithm]:
    """The class of a method.

    Raises:
        UnknownNameError: there is no such method; it is a KeyError.
    """
    if name not in names():
        raise plugins.unknown(plugins.Kind.METHODS, name, names())
    if name not in _built_in():
        plugin: type[Algorithm] = plugins.found(plugins.Kind.METHODS, _built_in())[name].value
        return plugin
    module = importlib.import_module(f"transfer_sweep.algorithms.{names()[name]}.{name}")
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if issubclass(cls, Algorithm) and cls.__module__ == module.__name__ and cls.__dict__.get("name") == name:
            return cls
    raise TypeError(f"{module.__name__} defines no Algorithm with name = {name!r}")


def _built_in() -> dict[str, str]:
    """Method name → family, for every method of ours."""
    return {
        module.name: family
        for family, package in (("shallow", shallow), ("deep", deep))
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_")
    }


plugins.on_change(names.cache_clear)
plugins.on_change(get.cache_clear)
