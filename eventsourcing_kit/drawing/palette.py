"""Colours of names: a name that was drawn once keeps its colour in everything that this process draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PALETTE = [
    *("#3b6ea5", "#e08e45", "#4f9d78", "#b8566f", "#8a78b4"),
    *("#c9ab3f", "#45a3ab", "#94705a", "#d68fb4", "#6b7f99"),
]

_places: dict[str, int] = {}  # in the palette, of each name that was drawn


def colors_of(names: Sequence[str]) -> dict[str, str]:
    """Return a colour of its own for each of some names, no more than there are colours.

    A name keeps the colour with which it was first drawn in this process: in a notebook that runs from top to bottom
    it has the same one everywhere. New names take the colours that the fewest have; where there are more names
    than colours, two that meet may make one of them take another colour there.
    """
    places: dict[str, int] = {}
    for name in sorted(names, key=lambda name: name not in _places):  # those known come first
        free = [place for place in range(len(PALETTE)) if place not in places.values()]
        fewest = min(free, key=lambda place: list(_places.values()).count(place))
        place = _places.setdefault(name, fewest)
        places[name] = place if place in free else fewest
    return {name: PALETTE[places[name]] for name in names}
