"""Finds datasets: the module ``datasets/<name>.py`` holds the dataset ``<name>``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from transfer_sweep import datasets
from transfer_sweep.datasets.base import Dataset

_NO_DATASETS = {"base", "registry", "splits"}


@cache
def names() -> tuple[str, ...]:
    """Every dataset there is (nothing is imported)."""
    modules = (module.name for module in pkgutil.iter_modules(datasets.__path__) if not module.ispkg)
    return tuple(sorted(name for name in modules if name not in _NO_DATASETS and not name.startswith("_")))


@cache
def get(name: str) -> type[Dataset]:
    """The class of a dataset.

    Raises:
        KeyError: there is no such dataset.
    """
    if name not in names():
        raise KeyError(name)
    module = importlib.import_module(f"transfer_sweep.datasets.{name}")
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if issubclass(cls, Dataset) and cls.__module__ == module.__name__ and cls.__dict__.get("name") == name:
            return cls
    raise TypeError(f"{module.__name__} defines no Dataset with name = {name!r}")
