"""Sections are found by their files, and stand where they say."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from transfer_sweep.reports import report, sections
from transfer_sweep.reports.sections import registry

TOY = """
from transfer_sweep.reports.document.elements import Block, Heading
from transfer_sweep.reports.sections.context import Context
from transfer_sweep.reports.sections.registry import Part, Place

PLACE = Place(Part.{part}, {number})


def blocks(context: Context):
    yield Heading(2, "A toy")
    yield f"Of {{len(context.groups)}} group of {{context.results.name}}."
"""


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that a test may write into the package of sections."""
    folder = tmp_path / "sections"
    folder.mkdir()
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(folder)])
    yield folder / "toy.py"
    sys.modules.pop(f"{sections.__name__}.toy", None)


@pytest.mark.parametrize(
    ("part", "number", "before", "after"),
    [
        ("OPENING", 15, "# office31_small", "**What ran**"),
        ("BACKGROUND", 25, "## How the numbers were chosen", "## Beside the published numbers"),
        ("CLOSING", 30, "## What it took", None),
    ],
)
def test_a_section_is_added_by_one_file(
    dropped: Path, small: Path, part: str, number: int, before: str, after: str | None
) -> None:
    without = report.render([small])
    dropped.write_text(TOY.format(part=part, number=number))
    text = report.render([small])
    toy = "## A toy\n\nOf 1 group of office31_small.\n"
    assert toy in text
    assert text.replace(toy + "\n" if after else "\n" + toy, "") == without
    assert text.index(before) < text.index(toy)
    if after is not None:
        assert text.index(toy) < text.index(after)


def test_no_two_sections_claim_one_place() -> None:
    places = [section.PLACE for section in registry.find()]
    assert len(places) > 10
    assert places == sorted(set(places))
