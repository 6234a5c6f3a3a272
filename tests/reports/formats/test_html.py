"""The page: complete, self-contained, and safe from what a ledger holds."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.small_ledger import PAIRS, RUNS, Run, experiment
from transfer_sweep.reports import report, results, selection
from transfer_sweep.reports.document.elements import Cell, Table
from transfer_sweep.reports.formats import Format, html
from transfer_sweep.reports.ledger.ledger import Ledger
from transfer_sweep.reports.ledger.records import TrialState

VOID = {"meta", "link", "input", "br", "img", "hr"}
LEFT_OPEN = {"li", "tr", "td", "th", "thead", "tbody", "tfoot"}  # HTML lets their ends out


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the rows of the tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.choice = ""
        self.rows: dict[str, list[list[str]]] = {}  # the choice of their table, or empty → rows
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag not in VOID | LEFT_OPEN and not found.get("/"):
            self.open.append(tag)
        if tag == "div":
            self.choice = found.get("data-choice") or self.choice
        if tag == "tr":
            self.rows.setdefault(self.choice, []).append([])
        if tag in ("td", "th"):
            self.rows[self.choice][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in LEFT_OPEN:
            assert self.open.pop() == tag
        if tag == "h2":
            self.choice = ""

    def handle_data(self, data: str) -> None:
        rows = self.rows.get(self.choice)
        if "table" in self.open and rows and rows[-1] and "caption" not in self.open:
            rows[-1][-1] += data.strip()

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(path: Path) -> tuple[str, Page]:
    text = report.render([path], Format.HTML)
    found = Page(text)
    assert not found.open
    return text, found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment(tmp_path_factory.mktemp("page"), RUNS, early_stopping={"scheduler": "none"})


@pytest.fixture(scope="module")
def of_small(small: Path) -> tuple[str, Page]:
    return page(small)


def test_a_page_asks_nobody_for_anything(of_small: tuple[str, Page]) -> None:
    text, found = of_small
    for tag, attributes in found.elements:
        for name in ("src", "href", "xlink:href", "action", "data"):
            where = attributes.get(name) or "#"
            assert where.startswith(("#", "data:")), f"<{tag} {name}={where}>"
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}


def test_each_way_of_choosing_has_the_numbers_that_markdown_has_for_it(small: Path, of_small: tuple[str, Page]) -> None:
    _, found = of_small
    offered = [option["value"] for option in found.of("option")]
    assert offered == [*results.read(small).criteria, "oracle"]
    for choice, dann in (("information_maximization", ["80.0 ± 4.0best"] * 3), ("oracle", ["82.0‖"] * 3)):
        assert ["dann", "efficientnet_lite0, frozen", *dann, dann[0].replace(" ± 4.0", "")] in found.rows[choice]
    written = report.render([small], Format.MD, criterion="source_validation")
    numbers = re.search(r"\| dann +\| efficientnet_lite0, frozen \|(.*)\|", written)
    assert numbers is not None
    of_markdown = [cell.strip(" *_") for cell in numbers[1].split("|")]
    of_page = next(r for r in found.rows["source_validation"] if r[0] == "dann")
    assert [cell.removesuffix("best").removesuffix("second") for cell in of_page[2:]] == of_markdown


def test_a_number_knows_its_paper_and_how_far_it_is_from_it(of_small: tuple[str, Page]) -> None:
    _, found = of_small
    behind = [button["data-details"] or "" for button in found.of("button") if "data-details" in button]
    first = next(text for text in behind if "82.00" in text)
    assert first.splitlines()[0] == "3 seeds, epoch 3 of 3"
    assert "paper 82.00 (−2.00): resnet50, Ganin et al. 2016" in first


ATTACK = '<script>alert("x")</script>'
QUOTE = '"><img src=x onerror=alert(1)>'


def test_nothing_from_a_ledger_is_taken_for_html(tmp_path: Path) -> None:
    runs = [
        Run(f"dann{ATTACK}", s, f"webcam{QUOTE}", {"kernel": value, f"lr{QUOTE}": 0.1}, [(70, 1, 1), (70, 1 + i, 1)])
        for s in ("amazon", "dslr", "${x}$")
        for i, value in enumerate((ATTACK, "$x^2", QUOTE))
    ]
    failed = Run(
        "mcc", "amazon", "dslr", {"lr": 1}, [], state=TrialState.FAILED, error=f"boom\nValueError: {ATTACK}{QUOTE}"
    )
    path = experiment(tmp_path, [*runs, failed], f"n{'<b>'}", description=ATTACK, citations={"mcc": QUOTE})
    text, found = page(path)
    assert len(found.of("script")) == 1
    assert not found.of("img")
    assert not found.of("b")
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert "&lt;script&gt;" in text
    assert any("ValueError: " + ATTACK in cell for rows in found.rows.values() for row in rows for cell in row)


def test_only_the_pages_own_script_may_run(of_small: tuple[str, Page]) -> None:
    (policy,) = (meta["content"] or "" for meta in of_small[1].of("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_failures_the_command_and_the_checksums_are_there(tmp_path: Path) -> None:
    path = experiment(
        tmp_path, [*RUNS, Run("mcc", "amazon", "dslr", {"lr": 1}, [], state=TrialState.FAILED, error="a\nlast line")]
    )
    with Ledger(path, write=True) as ledger:
        ledger.set_meta("data", {"checksums": {"amazon": "0123abcd"}})
    rows = [row for rows in page(path)[1].rows.values() for row in rows]
    assert ["command", "python -m sweep run office31_small"] in rows
    assert ["checksums", "amazon 0123abcd"] in rows
    assert next(row for row in rows if row[0] == "mcc" and "last line" in row)


def test_tables_are_tables_to_a_screen_reader(of_small: tuple[str, Page]) -> None:
    _, found = of_small
    tags = [tag for tag, _ in found.elements]
    assert tags.count("caption") == tags.count("table") > 4
    headers, figures = found.of("th"), found.of("svg")
    assert headers
    assert all(header.get("scope") in ("row", "col") for header in headers)
    assert figures
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    (root,) = found.of("html")
    assert root["lang"] == "en"


def test_no_two_elements_share_a_name(of_small: tuple[str, Page]) -> None:
    named = [attributes["id"] for _, attributes in of_small[1].elements if "id" in attributes]
    assert len(named) == len(set(named))


def test_an_experiment_that_has_not_begun_has_a_page(tmp_path: Path) -> None:
    text, _ = page(experiment(tmp_path, [Run("dann", *PAIRS[0], {}, [], state=TrialState.PENDING)]))
    assert "No trial has reported yet." in text


def test_several_experiments_get_a_page_each(small: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="name a folder"):
        report.write([small, small], tmp_path / "both.html", Format.HTML)


def test_a_criterion_is_said_as_on_paper_and_on_the_page(of_small: tuple[str, Page]) -> None:
    meanings = [option["data-meaning"] for option in of_small[1].of("option")]
    assert meanings[0] == selection.CRITERIA["information_maximization"]
    assert "for reporting only" in str(meanings[-1])


def test_shades_go_from_the_worst_to_the_best_of_each_column() -> None:
    rows: list[list[Any]] = [
        ["a", Cell("1", 0, 1.0)],
        ["b", Cell("3", 0, 3.0)],
        ["c", Cell("–")],
        ["d", Cell("2", 0, 2.0)],
    ]
    shades = np.array(html._shades(Table("", ["", ""], rows, "lr", shaded=True)), dtype=float)
    assert np.isnan(shades[:, 0]).all()
    assert shades[[0, 1, 3], 1].tolist() == [0, html._SHADE, round(html._SHADE / 2)]
    assert pd.isna(shades[2, 1])
