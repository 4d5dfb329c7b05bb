"""What calls cost as a log grows: their steps are counted, so that no clock and no other process has a say."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from tests.benchmarks import growth

SIZES = (12, 24, 48)
MOST = (
    2.9  # the second doubling adds twice what the first does where cost is in proportion, and four times for a square
)
FEW = 2_500


def steps(work: Callable[[], object]) -> float:
    """How many of Python's instructions the package runs for some work that was done once before, in this thread."""
    work()
    count = 0

    def look(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "eventsourcing_kit" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def is_in_proportion(costs: list[float]) -> bool:
    small, middle, large = costs
    return large - middle <= max(MOST * (middle - small), FEW)


@pytest.mark.parametrize("axis", ["commits", "streams", "types", "fields"])
def test_no_question_costs_the_square_of_what_a_log_holds(axis: str) -> None:
    costs = growth.along(axis, steps, SIZES)
    assert {name: of for name, of in costs.items() if not is_in_proportion(of)} == {}


@pytest.mark.parametrize("name", growth.DONE)
def test_nothing_that_is_done_costs_the_square_of_its_size(name: str) -> None:
    costs = [steps(growth.DONE[name](n)) for n in SIZES]
    assert is_in_proportion(costs), costs
