"""A small picture of the view at a moment, for where nothing runs: exports, code hosts, mails.

It shows the log as a strip, and for some keys how a field of their states went, up to the moment and, paler, after it.
"""

from __future__ import annotations

import base64
from functools import cached_property
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from eventsourcing_kit.drawing.palette import PALETTE
from eventsourcing_kit.drawing.picture import smaller
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.events.texts import counted, time_text
from eventsourcing_kit.exploring.values import House, key_text
from eventsourcing_kit.folding.history import fields_of
from eventsourcing_kit.folding.projection import GONE
from eventsourcing_kit.records.moment import from_us

if TYPE_CHECKING:
    from eventsourcing_kit.folding.history import History

WIDTH, LEFT, RIGHT, TOP, STRIP, LANE = 860, 150, 130, 62, 56, 34
LANES = 6
_SCALE = 1.5
_ACROSS = WIDTH - LEFT - RIGHT
_INK, _PALE, _LINE, _ACCENT = "#1f2a35", "#66737f", "#e3e8ec", PALETTE[0]


def png(history: History, position: int, house: House) -> tuple[str, dict[str, int]] | None:
    """The picture in base64 and its size; None where the extra `pictures` is not installed."""
    try:
        import vl_convert
    except ImportError:
        return None
    drawing = svg(history, position, house)
    picture = smaller(vl_convert.svg_to_png(drawing, scale=_SCALE))
    return base64.b64encode(picture).decode("ascii"), {"width": WIDTH, "height": _height(history)}


def svg(history: History, position: int, house: House) -> str:
    """The picture as SVG, the same text every time."""
    return "".join(_Drawing(history, position, house).parts())


def _keys(history: History) -> list[int]:
    """The keys drawn, by number: those with the most rows, in order of appearance."""
    counts = np.bincount(history.rows.codes, minlength=len(history.rows.keys))
    return sorted(np.argsort(-counts, kind="stable")[:LANES].tolist())


def _height(history: History) -> int:
    return TOP + STRIP + 12 + LANE * len(_keys(history)) + 14


class _Drawing:
    def __init__(self, history: History, position: int, house: House) -> None:
        self.history, self.position, self.house = history, position, house
        us = history.rows.us
        self.first = int(us[0]) if len(us) else 0
        self.span = max(int(us[-1]) - self.first, 1) if len(us) else 1
        upto = int(np.searchsorted(history.rows.positions, position, side="right"))
        self.now = self.x(int(us[upto - 1])) if upto else float(LEFT)

    def x(self, us: int) -> float:
        return round(LEFT + (0.02 + 0.96 * (us - self.first) / self.span) * _ACROSS, 1)

    def parts(self) -> list[str]:
        height = _height(self.history)
        size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        font = 'font-family="Helvetica, Arial, sans-serif" font-size="13"'
        found = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>', _box(0, 0, WIDTH, height, "#ffffff")]
        found += self.words()
        found += self.strip()
        for number, code in enumerate(_keys(self.history)):
            found += self.lane(code, TOP + STRIP + 12 + LANE * number)
        found.append(_box(self.now, TOP, LEFT + _ACROSS - self.now, height - TOP, "#ffffff", 0.72))
        found.append(_box(self.now - 1, TOP, 2, height - TOP, _ACCENT))
        return [*found, "</svg>"]

    def words(self) -> list[str]:
        history, rows = self.history, self.history.rows
        about = f"{counted(history.as_of)} · {counted(len(rows.keys), 'key')}"
        upto = int(np.searchsorted(rows.positions, self.position, side="right"))
        when = f" · {time_text(from_us(int(rows.us[upto - 1])))}" if upto else ""
        at = f"position {self.position:,} of {history.as_of:,}{when}"
        return [
            _text(16, 26, history.projection.name, _INK, size=16, weight="bold"),
            _text(16, 46, about, _PALE, size=12),
            _text(WIDTH - 16, 26, at, _INK, anchor="end"),
            _text(WIDTH - 16, 46, "run this cell to travel", _PALE, size=12, anchor="end"),
        ]

    def strip(self) -> list[str]:
        """How many handled events there were, a bar for every four pixels."""
        found = [_box(0, TOP, WIDTH, STRIP, "#f6f7f9"), _box(LEFT, TOP + STRIP - 4, _ACROSS, 1, _LINE)]
        places = ((self.history.rows.us - self.first) / self.span * 0.96 + 0.02) * _ACROSS
        counts = np.bincount((places // 4).astype(np.int64)) if len(places) else np.array([0])
        for place, count in enumerate(counts.tolist()):
            if count:
                tall = round(max(4.0, (count / counts.max()) ** 0.5 * (STRIP - 16)), 1)
                found.append(_box(LEFT + 4 * place, TOP + STRIP - 4 - tall, 3, tall, _ACCENT))
        return found

    def lane(self, code: int, top: int) -> list[str]:
        """A key's name, how its first field went, and what that is at the moment."""
        rows = np.flatnonzero(self.history.rows.codes == code)
        states = self.history.rows.states.take(rows)
        values = [None if state is GONE else _first(state, self.house) for state in states]
        positions = self.history.rows.positions[rows]
        xs = [*(self.x(int(us)) for us in self.history.rows.us[rows].tolist()), LEFT + _ACROSS]
        upto = int(np.searchsorted(positions, self.position, side="right"))
        said = "" if not upto or values[upto - 1] is None else shown(values[upto - 1]).strip("'\"")
        name = str(self.house.seen("key", key_text(self.history.rows.keys[code])))
        found = [
            _text(16, top + 21, _cut(name, 19), _INK),
            _text(WIDTH - 16, top + 21, _cut(said, 16), _INK, anchor="end"),
        ]
        numbers = [float(one) if isinstance(one, (int, float)) else None for one in values]
        if any(one is not None for one in numbers):
            return found + self.steps(numbers, xs, top)
        return found + [_box(a, top + 10, max(b - a - 1, 1), 14, "#cfdded") for a, b in pairwise(xs)]

    def steps(self, numbers: list[float | None], xs: list[float], top: int) -> list[str]:
        low, high = self.reach

        def y(number: float) -> float:
            return round(top + LANE - 5 - (number - low) / (high - low) * (LANE - 10), 1)

        path, pen = [], False
        found = []
        for at, number in enumerate(numbers):
            if number is None:
                pen = False
                continue
            here = y(number)
            path.append(f"{'L' if pen else 'M'}{xs[at]} {here}H{xs[at + 1]}")
            pen = True
            found.append(_box(xs[at], min(here, y(0)), xs[at + 1] - xs[at], abs(y(0) - here), _ACCENT, 0.16))
        return [*found, f'<path d="{"".join(path)}" fill="none" stroke="{_ACCENT}" stroke-width="1.5"/>']

    @cached_property
    def reach(self) -> tuple[float, float]:
        """The least and the most that the drawn field has, 0 included."""
        rows = np.flatnonzero(np.isin(self.history.rows.codes, _keys(self.history)))
        states = [one for one in self.history.rows.states.take(rows) if one is not GONE]
        values = [_first(one, self.house) for one in states]
        numbers = [float(one) for one in values if isinstance(one, (int, float)) and np.isfinite(float(one))]
        low, high = min([0.0, *numbers]), max([0.0, *numbers])
        return low, high if high > low else low + 1.0


def _first(state: Any, house: House) -> Any:
    """A state's first field that may be shown, one with numbers before others."""
    fields = {name: house.seen(name, one) for name, one in fields_of(state).items() if house.shows(name)}
    numbers = [one for one in fields.values() if isinstance(one, (int, float)) and not isinstance(one, bool)]
    return next(iter([*numbers, *fields.values()]), None)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _box(x: float, y: float, width: float, height: float, color: str, opacity: float = 1.0) -> str:
    place = f'x="{round(x, 1)}" y="{round(y, 1)}" width="{round(max(width, 0.0), 1)}" height="{round(height, 1)}"'
    return f'<rect {place} fill="{color}" fill-opacity="{opacity}"/>'


def _text(
    x: float, y: float, text: str, color: str, *, size: int = 13, weight: str = "normal", anchor: str = "start"
) -> str:
    look = f'fill="{color}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
    plain = "".join(letter if letter >= " " else "�" for letter in text)
    return f'<text x="{x}" y="{y}" {look}>{escape(plain)}</text>'
