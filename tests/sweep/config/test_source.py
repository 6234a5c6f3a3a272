"""YAML with the lines that values stand on."""

from pathlib import Path

import pytest

from transfer_sweep.sweep.config.source import SourceFile, merge, nearest
from transfer_sweep.sweep.errors import SweepError

TEXT = "a: 1\nb:\n  c: [1,\n    2]\n  d:\n    - {e: 3}\n    - {f: 4}\n"


@pytest.fixture
def source(tmp_path: Path) -> SourceFile:
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT)
    return SourceFile.read(file)


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ((), "mine.yaml"),
        (("a",), "mine.yaml, line 1: a"),
        (("b", "c", 1), "mine.yaml, line 4: b.c.1"),
        (("b", "d", 1, "f"), "mine.yaml, line 7: b.d.1.f"),
        (("b", "d", 7, "f"), "mine.yaml, line 5: b.d"),
        (("b", "missing", "deeper"), "mine.yaml, line 2: b"),
        (("missing",), "mine.yaml"),
    ],
)
def test_a_place_is_told_by_the_deepest_part_that_the_file_has(
    source: SourceFile, place: tuple[str | int, ...], where: str
) -> None:
    assert source.at(place) == where


def test_values_are_plain(source: SourceFile) -> None:
    assert source.data == {"a": 1, "b": {"c": [1, 2], "d": [{"e": 3}, {"f": 4}]}}
    assert type(source.data["b"]) is dict
    assert type(source.data["b"]["c"]) is list


@pytest.mark.parametrize("text", ["", "[1, 2]", "text"])
def test_a_file_that_is_no_mapping_is_no_experiment(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(SweepError, match="not an experiment"):
        SourceFile.read(file)


def test_merging_replaces_values_and_lists_but_enters_mappings() -> None:
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": [1, 2], "f": {"g": 1}}
    assert merge(base, {"a": {"c": {"h": 3}}, "e": [3], "f": 4}) == {
        "a": {"b": 1, "c": {"d": 2, "h": 3}},
        "e": [3],
        "f": 4,
    }
    assert base["a"] == {"b": 1, "c": {"d": 2}}


def test_the_nearest_name_is_proposed_if_any_is_near() -> None:
    assert nearest("dnan", ["dann", "tca"]) == "; did you mean 'dann'? (there are: dann, tca)"
    assert nearest("x", ["dann", "tca"]) == " (there are: dann, tca)"
    assert nearest("x", []) == " (there are: none)"
