"""The explorer in JupyterLab: alive beside a kernel, which it tells and hears, and alive when the kernel is dead."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests import browsers

pytestmark = pytest.mark.processes

CELLS = [
    """import eventsourcing_kit as ek
store = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min"), seed=1)
for n in range(40):
    store.append(f"account-{n % 3}", ek.NewEvent(type="Paid", data={"amount": n}))
paid = ek.Projection("paid", fields={"paid": ek.fold.total("Paid", "amount")})
view = ek.explore(store, paid)
view""",
    "view.moment, view.key",
    "view.moment = 7; view.key = 'account-2'",
    "view.moment, view.key",
    "_ = [store.append('account-9', ek.NewEvent(type='Paid', data={'amount': 500})) for _ in range(5)]",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, here / "explored.ipynb")
    return here


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[str]:
    with browsers.jupyterlab(folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with browsers.chromium(tmp_path_factory.mktemp("profile"), "1300,1400") as driver:
        yield driver


def until(browser: webdriver.Chrome, holds: Any, seconds: float = 60) -> Any:
    return WebDriverWait(browser, seconds, poll_frequency=0.1).until(holds)


def run_cell(browser: webdriver.Chrome, number: int) -> None:
    """Run a cell as people do, and wait until it has its number."""
    cell = browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell")[number]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
    cell.find_element(By.CSS_SELECTOR, ".cm-content").click()
    webdriver.ActionChains(browser).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
    prompt = cell.find_element(By.CSS_SELECTOR, ".jp-InputPrompt")
    until(browser, lambda _: prompt.text.strip("[]:").isdigit())


def output(browser: webdriver.Chrome, number: int) -> str:
    cell = browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell")[number]
    return cell.find_element(By.CSS_SELECTOR, ".jp-OutputArea-output").text


def press(browser: webdriver.Chrome, *keys: str) -> None:
    strip = browser.find_element(By.CSS_SELECTOR, ".ek .strip")
    for key in keys:
        strip.send_keys(key)


def position(browser: webdriver.Chrome) -> int:
    return int(browser.find_element(By.CSS_SELECTOR, ".ek .strip").get_attribute("aria-valuenow") or -1)


@pytest.fixture(scope="module")
def opened(lab: str, browser: webdriver.Chrome) -> webdriver.Chrome:
    """The notebook open, its first cell run, and the explorer there."""
    browser.get(f"{lab}/lab/tree/explored.ipynb?reset")
    until(browser, lambda b: len(b.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .cm-content")) >= len(CELLS))
    time.sleep(2)  # the kernel is being started
    run_cell(browser, 0)
    until(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".ek .row"))
    return browser


def test_the_next_cell_knows_where_the_person_points(opened: webdriver.Chrome) -> None:
    press(opened, Keys.HOME, *[Keys.ARROW_RIGHT] * 5)
    until(opened, lambda b: position(b) == 5)
    time.sleep(1)
    run_cell(opened, 1)
    assert output(opened, 1) == "(5, 'account-1')"


def test_a_cell_moves_the_view(opened: webdriver.Chrome) -> None:
    run_cell(opened, 2)
    until(opened, lambda b: position(b) == 7)
    assert opened.find_element(By.CSS_SELECTOR, ".ek .row.chosen .key").text == "account-2"
    run_cell(opened, 3)
    assert output(opened, 3) == "(7, 'account-2')"


def test_a_store_that_grows_is_followed(opened: webdriver.Chrome) -> None:
    """Who stands at the end goes along; who looks at the past stays there."""
    press(opened, Keys.END)
    until(opened, lambda b: position(b) == 40)
    time.sleep(1)
    run_cell(opened, 4)
    until(opened, lambda b: position(b) == 45)
    assert "account-9" in opened.find_element(By.CSS_SELECTOR, ".ek .rows").text


def test_scrubbing_is_alive_when_the_kernel_is_dead(lab: str, opened: webdriver.Chrome) -> None:
    kernels = json.load(urllib.request.urlopen(f"{lab}/api/kernels", timeout=5))
    for kernel in kernels:
        request = urllib.request.Request(f"{lab}/api/kernels/{kernel['id']}", method="DELETE")
        token = {one["name"]: one["value"] for one in opened.get_cookies()}.get("_xsrf", "")
        request.add_header("X-XSRFToken", token)
        request.add_header("Cookie", f"_xsrf={token}")
        urllib.request.urlopen(request, timeout=10)
    for button in opened.find_elements(By.CSS_SELECTOR, ".jp-Dialog .jp-mod-reject"):
        button.click()
    press(opened, Keys.HOME, *[Keys.ARROW_RIGHT] * 3)
    until(opened, lambda b: position(b) == 3)
    press(opened, Keys.END)
    until(opened, lambda b: position(b) == 45)
