"""Finds datasets: the module ``datasets/<name>.py`` holds the dataset ``<name>``; plug-ins bring others."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from transfer_sweep import datasets, plugins
from transfer_sweep.datasets.base import Dataset

_NO_DATASETS = {"base", "registry", "splits"}


@cache
def names() -> tuple[str, ...]:
    """Every dataset there is. Nothing is imported but plug-ins."""
    built_in = _built_in()
    return tuple(sorted([*built_in, *plugins.found(plugins.Kind.DATASETS, built_in)]))


@cache
def get(name: str) -> type[Dataset]:
    """The class of a dataset.

    Raises:
        UnknownNameError: there is no such dataset; it is a KeyError.
    """
    if name not in names():
        raise plugins.unknown(plugins.Kind.DATASETS, name, names())
    if name not in _built_in():
        plugin: type[Dataset] = plugins.found(plugins.Kind.DATASETS, _built_in())[name].value
        return plugin
    module = importlib.import_module(f"transfer_sweep.datasets.{name}")
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if issubclass(cls, Dataset) and cls.__module__ == module.__name__ and cls.__dict__.get("name") == name:
            return cls
    raise TypeError(f"{module.__name__} defines no Dataset with name = {name!r}")


def _built_in() -> set[str]:
    """Every dataset of ours."""
    modules = (module.name for module in pkgutil.iter_modules(datasets.__path__) if not module.ispkg)
    return {name for name in modules if name not in _NO_DATASETS and not name.startswith("_")}


plugins.on_change(names.cache_clear)
plugins.on_change(get.cache_clear)
