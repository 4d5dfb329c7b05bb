"""The live page of the explorer, beside the notebooks' pages, and README's picture of it.

`make pages` writes the page; `python -m tests.notebooks.explored` draws the picture, which needs Chromium.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import eventsourcing_kit as ek
from tests import browsers
from tests.notebooks import draw_time_travel, execution, generate_data

PAGE = execution.NOTEBOOKS / "pages" / "a_bank_explored.html"
PICTURE = execution.NOTEBOOKS / "images" / "explorer.png"
POSITION = draw_time_travel.POSITION
WIDTH, HEIGHT = 1080, 640


def write_page() -> None:
    """The sample bank's two weeks, explored; the same page every time."""
    rows = pd.DataFrame(generate_data.rows())
    store = ek.from_frame(rows, stream="case", type="activity", recorded_at="time", seed=1)
    ek.explore(store, draw_time_travel.balance()).save(PAGE)


def picture() -> bytes:
    """The page in its second week, as Chromium shows it."""
    with TemporaryDirectory() as profile, browsers.chromium(Path(profile), f"{WIDTH},{HEIGHT}") as browser:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1.5, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(f"{PAGE.as_uri()}#position={POSITION}")
        while not browser.execute_script("return performance.getEntriesByName('ek-ready').length"):
            time.sleep(0.05)
        time.sleep(1)  # what fades is faded
        return browser.get_screenshot_as_png()


if __name__ == "__main__":
    write_page()
    PICTURE.write_bytes(picture())
    print(f"{PICTURE.name}: {PICTURE.stat().st_size:,} bytes")
