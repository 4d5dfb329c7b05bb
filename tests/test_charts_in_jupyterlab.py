"""The charts as people see them: in JupyterLab, in a browser, with the network off and no kernel."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests import browsers
from tests.notebooks import pages

pytestmark = pytest.mark.processes

CELLS = [
    """import pandas as pd
import eventsourcing_kit.charts as charts
minutes = pd.Timestamp("2026-01-05T09:00:00Z") + pd.to_timedelta(range(6), unit="min")
keys = ["account-1", "account-2"] * 3
log = pd.DataFrame({"stream": keys, "position": range(1, 7), "type": ["Opened"] * 2 + ["Deposited"] * 4,
                    "recorded_at": minutes, "amount": range(6)})
history = log.rename(columns={"stream": "key", "recorded_at": "valid_from"}).drop(columns="amount")
history["valid_to"] = history.groupby("key")["valid_from"].shift(-1)
history["state"] = [0, 0, 40, 20, 70, 90]""",
    "charts.timeline(log)",
    "charts.evolution(history, 'state')",
    "charts.scrubber(history)",
]
# A canvas that holds more than one colour has something drawn on it.
DRAWN = """
return [...document.querySelectorAll('.vega-embed canvas')].map(canvas => {
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
});"""
# Of the state bars: how many pixels have the bars' blue in the right third of the canvas.
BLUE_BARS = """
const canvas = [...document.querySelectorAll('.vega-embed canvas')].at(-1);
const from = Math.floor(canvas.width * 0.66);
const {data} = canvas.getContext('2d').getImageData(from, 0, canvas.width - from, canvas.height);
let blue = 0;
for (let i = 0; i < data.length; i += 4)
  blue += data[i] === 0x3b && data[i + 1] === 0x6e && data[i + 2] === 0xa5;
return blue;"""
SLIDER = ".vega-bind input[type=range]"
MOVE_SLIDER = """
const slider = document.querySelector('.vega-bind input[type=range]');
slider.value = arguments[0];
slider.dispatchEvent(new Event('input', {bubbles: true}));
slider.dispatchEvent(new Event('change', {bubbles: true}));"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a notebook in it that has been executed, its charts among the outputs."""
    here = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    root = Path(__file__).parent.parent
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(root)}}).execute()
    nbformat.write(notebook, here / "charts.ipynb")
    return here


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with browsers.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[str]:
    """JupyterLab on the folder, where no kernel can be started."""
    with browsers.jupyterlab(folder, *browsers.NO_KERNEL) as address:
        yield address


@pytest.fixture(scope="module")
def opened(lab: str, browser: webdriver.Chrome) -> webdriver.Chrome:
    """The browser with the notebook open, all three charts in it."""
    browser.get(f"{lab}/lab/tree/charts.ipynb?reset")
    WebDriverWait(browser, 40).until(lambda b: len(b.execute_script(DRAWN)) == 3)
    return browser


def test_the_three_charts_are_drawn(opened: webdriver.Chrome) -> None:
    """Each canvas holds many colours, and there is no error where a chart should be."""
    WebDriverWait(opened, 10).until(lambda b: min(b.execute_script(DRAWN)) > 20)
    outputs = opened.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output")
    assert not [output.text for output in outputs if "error" in output.text.lower()]


def test_there_is_no_kernel(lab: str, opened: webdriver.Chrome) -> None:
    """The charts come out of the notebook's file alone."""
    assert urllib.request.urlopen(f"{lab}/api/kernels", timeout=5).read() == b"[]"


def test_the_network_is_off(opened: webdriver.Chrome) -> None:
    """What is drawn is drawn without it."""
    failed = "fetch('https://example.com').then(() => 'reached', () => 'off').then(arguments[0])"
    assert opened.execute_async_script(failed) == "off"


def test_the_slider_moves_the_states(opened: webdriver.Chrome) -> None:
    """The bars grow with the states: none before the first event, 40 and 0, then 70 and 90."""
    drawn = []
    for position in (0, 3, 6):
        opened.execute_script(MOVE_SLIDER, position)
        time.sleep(0.3)  # a frame or two; an unchanged picture could not be waited for
        drawn.append(opened.execute_script(BLUE_BARS))
    assert drawn[0] == 0
    assert drawn[2] > 3 * drawn[1] > 0


def test_the_slider_is_as_wide_as_its_chart(opened: webdriver.Chrome) -> None:
    slider = opened.find_element(By.CSS_SELECTOR, SLIDER)
    canvas = opened.find_elements(By.CSS_SELECTOR, ".vega-embed canvas")[-1]
    assert slider.size["width"] > 0.95 * canvas.size["width"]


def test_the_slider_obeys_keys(opened: webdriver.Chrome) -> None:
    """Which JupyterLab would otherwise take for itself."""
    for button in opened.find_elements(By.CSS_SELECTOR, ".jp-Dialog .jp-mod-reject"):
        button.click()  # it asks which kernel to start, in front of everything
    slider = opened.find_element(By.CSS_SELECTOR, SLIDER)
    opened.execute_script(MOVE_SLIDER, 4)
    for key, position in [(Keys.ARROW_LEFT, "3"), (Keys.ARROW_RIGHT, "4"), (Keys.HOME, "0"), (Keys.END, "6")]:
        slider.send_keys(key)
        WebDriverWait(opened, 5).until(lambda _, at=position: slider.get_attribute("value") == at)


def test_a_page_of_the_notebook_is_alive_without_network_and_kernel(folder: Path, browser: webdriver.Chrome) -> None:
    pages.main([str(folder / "charts.ipynb")])
    browser.get_log("browser")  # what was there before is no concern of the page
    browser.get((folder / "pages" / "charts.html").as_uri())
    WebDriverWait(browser, 40).until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".chart svg")) == 3)
    bars = []
    for position in (0, 3, 6):
        browser.execute_script(MOVE_SLIDER, position)
        time.sleep(0.3)
        bars.append(len(browser.find_elements(By.CSS_SELECTOR, "path[aria-roledescription=bar]")))
    assert bars == [0, 2, 2]
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
