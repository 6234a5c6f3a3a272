"""The page as headless Chromium shows it: skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from tests.support.small_ledger import RUNS, experiment
from transfer_sweep.reports import report
from transfer_sweep.reports.formats import Format

Browser = webdriver.Chrome


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver = shutil.which("chromedriver")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if driver is None or binary is None:
        pytest.skip("no Chromium with its driver here")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    except WebDriverException as error:
        pytest.skip(f"Chromium does not start here: {error.msg}")
    with found:
        path = experiment(tmp_path_factory.mktemp("page"), RUNS)
        page = path.with_name("report.html")
        page.write_text(report.render([path], Format.HTML), encoding="utf-8")
        found.get(page.as_uri())
        yield found


@pytest.fixture(autouse=True)
def nothing_wrong(browser: Browser) -> Iterator[None]:
    """Every test ends without a message in the browser's console."""
    yield
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def shown_table(browser: Browser, caption: str) -> WebElement:
    tables = browser.find_elements(By.TAG_NAME, "table")
    (found,) = (t for t in tables if t.is_displayed() and caption in t.find_element(By.TAG_NAME, "caption").text)
    return found


def column(table: WebElement, number: int) -> list[str]:
    return [
        row.find_elements(By.XPATH, "th|td")[number].text for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def test_the_selector_switches_every_table(browser: Browser) -> None:
    select = Select(browser.find_element(By.ID, "choice"))
    assert column(shown_table(browser, "Target accuracy in percent, chosen by information maximization"), 2)[
        1
    ].startswith("80.0 ± 4.0")
    select.select_by_value("oracle")
    matrix = shown_table(browser, "Target accuracy in percent, chosen by the oracle")
    assert column(matrix, 2)[1].startswith("82.0")
    assert "for reporting only" in browser.find_element(By.ID, "meaning").text
    select.select_by_value("entropy")
    assert shown_table(browser, "Target accuracy in percent, chosen by entropy")
    select.select_by_value("information_maximization")


def test_a_column_sorts_both_ways_by_number_and_says_so(browser: Browser) -> None:
    table = shown_table(browser, "Target accuracy in percent, chosen by information maximization")
    header = table.find_elements(By.CSS_SELECTOR, "thead th")[-1]
    button = header.find_element(By.TAG_NAME, "button")
    button.click()
    assert header.get_attribute("aria-sort") == "descending"
    assert column(table, 0) == ["dann", "source_only"]
    button.send_keys(Keys.ENTER)
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(table, 0) == ["source_only", "dann"]


def test_the_row_of_sums_stays_last(browser: Browser) -> None:
    table = shown_table(browser, "Trials and epochs")
    table.find_elements(By.CSS_SELECTOR, "thead button")[1].click()
    assert [row.text.split()[0] for row in table.find_elements(By.TAG_NAME, "tr")][-1] == "all"


def test_the_keyboard_reaches_what_stands_behind_a_number(browser: Browser) -> None:
    table = shown_table(browser, "Target accuracy in percent, chosen by information maximization")
    numbers = table.find_elements(By.CSS_SELECTOR, "[data-details]")
    assert [number.get_attribute("tabindex") for number in numbers].count("0") == 1
    details = browser.find_element(By.ID, "details")
    assert not details.is_displayed()
    numbers[0].send_keys(Keys.ARROW_DOWN)
    focused = browser.switch_to.active_element
    assert focused == numbers[3]
    assert details.is_displayed()
    assert focused.get_attribute("aria-describedby") == "details"
    assert "epoch 3 of 3" in details.text
    focused.send_keys(Keys.ESCAPE)
    assert not details.is_displayed()


def test_the_choice_outlives_loading_again(browser: Browser) -> None:
    Select(browser.find_element(By.ID, "choice")).select_by_value("oracle")
    browser.refresh()
    assert shown_table(browser, "Target accuracy in percent, chosen by the oracle")
    Select(browser.find_element(By.ID, "choice")).select_by_index(0)


@pytest.mark.parametrize("width", [360, 1280])
def test_a_page_is_never_wider_than_its_window(browser: Browser, width: int) -> None:
    browser.set_window_size(width, 800)
    script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(script) <= 0
