"""README's picture, drawn anew: `python -m tests.notebooks.draw_time_travel`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert

import eventsourcing_kit as ek
from eventsourcing_kit.drawing.picture import smaller
from tests.notebooks import generate_data

PICTURE = Path(__file__).parents[2] / "notebooks" / "images" / "time_travel.png"
POSITION = 91


def balance() -> ek.Projection:
    """What each account of the sample bank holds."""
    money = ek.Projection("balance", initial=lambda: 0)

    @money.on("MoneyDeposited")
    @money.on("TransferCompleted", key="receiver")
    @money.on("TransferReversed", key="sender")
    def more(state: int, event: dict[str, Any]) -> int:
        return state + int(event["amount"])

    @money.on("MoneyWithdrawn")
    @money.on("TransferCompleted", key="sender")
    @money.on("TransferReversed", key="receiver")
    def less(state: int, event: dict[str, Any]) -> int:
        return state - int(event["amount"])

    return money


def spec() -> dict[str, Any]:
    """The chart, with its slider left standing in the second week."""
    store = ek.from_frame(pd.DataFrame(generate_data.rows()), stream="case", type="activity", recorded_at="time")
    chart = ek.charts.scrubber(store.history(balance()), title="Five accounts, as of any moment").to_dict()
    (slider,) = chart["params"]
    slider["value"] = POSITION
    return {**chart, "background": "white", "padding": 16}


def picture() -> bytes:
    """The picture's bytes, the same every time (with one version of vl-convert, which brings its own fonts)."""
    return smaller(vl_convert.vegalite_to_png(spec(), scale=1.5))


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(picture())
    print(f"{PICTURE.name}: {PICTURE.stat().st_size:,} bytes")
