"""Data sets are found by their file's name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from transfer_sweep import datasets
from transfer_sweep.datasets import registry

TOY = """
from transfer_sweep.datasets.base import Dataset

class Toy(Dataset):
    name = "toy"
"""


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files the package holds, too."""
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path)])
    caches = (registry.names, registry.get)
    for cache in caches:
        cache.cache_clear()
    yield tmp_path
    for cache in caches:
        cache.cache_clear()
    for name in ("toy", "wrong"):
        sys.modules.pop(f"transfer_sweep.datasets.{name}", None)


def test_a_file_that_is_dropped_in_is_a_data_set(dropped: Path) -> None:
    (dropped / "toy.py").write_text(TOY)
    assert "toy" in registry.names()
    assert registry.get("toy").__module__ == "transfer_sweep.datasets.toy"


def test_packages_and_what_all_data_sets_share_are_none(dropped: Path) -> None:
    (dropped / "helpers").mkdir()
    (dropped / "helpers" / "__init__.py").touch()
    (dropped / "_helper.py").touch()
    assert not {"helpers", "_helper", "io", "images", "base", "registry", "splits"} & set(registry.names())
    for name in registry.names():
        assert registry.get(name).name == name
    for name in ("io", "base", "nothing"):
        with pytest.raises(KeyError):
            registry.get(name)


def test_a_file_without_its_data_set_is_named(dropped: Path) -> None:
    (dropped / "wrong.py").write_text(TOY)
    with pytest.raises(TypeError, match=r"transfer_sweep\.datasets\.wrong defines no Dataset with name = 'wrong'"):
        registry.get("wrong")
