"""CSV and TSV: text in columns, whichever of the usual separators divides them."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic_core import to_json

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import plain_objects_only
from eventsourcing_kit.formats import conventions
from eventsourcing_kit.formats.format import OWN, RAW, ForeignLog, check_width, time_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventsourcing_kit.formats.file import File
    from eventsourcing_kit.formats.format import Events, Losses, Target

_SEPARATORS = ",;\t|"
_SAMPLE_LINES = 30
_FLOAT = re.compile(r"[+-]?(?:0|[1-9]\d*)?(?:\.\d*)?(?:[eE][+-]?\d+)?")
_BOOLEANS = {"true": True, "false": False, "True": True, "False": False, "TRUE": True, "FALSE": False}
_NOTHING = {None, "NaN", "nan", "NA", "N/A", "null", "NULL", "None"}
_TEXTS = {"id", "stream", "type", "recorded_at", "occurred_at", "metadata", "data", "tags"}  # of the kit's own columns


# -- read -------------------------------------------------------------------------------------------------------------


def read(file: File, given: Mapping[str, Any]) -> ForeignLog:
    """The columns with their values: whole numbers, numbers, truth values where all cells are such, else text."""
    with _any_field_size(), file.whole(), plain_objects_only():
        separator = _separator(file)
        header, columns = _columns(file, separator)
    is_own = set(header) >= OWN
    texts = _TEXTS if is_own else {*given.values(), *conventions.roles(header, given).values()}
    took = ""
    if header[0] == "" and columns[0] == [str(i) for i in range(len(columns[0]))]:  # which pandas writes
        header, columns, took = header[1:], columns[1:], "the first column numbers the rows, so it is left out"
    named = zip(header, columns, strict=True)
    frame = pd.DataFrame({name: _array(cells if name in texts else _typed(cells)) for name, cells in named}, copy=False)
    if is_own and "data" in header:
        frame.attrs[RAW] = True
    other = "" if separator == "," else f", sep={separator!r}"
    return ForeignLog(frame, given, took, f"pd.read_csv({file.name!r}{other}, dtype=str)")


@contextmanager
def _any_field_size() -> Iterator[None]:
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _separator(file: File) -> str:
    """The one that divides the first lines into most columns, as many in each."""
    if file.endings.endswith((".tsv", ".tab")):
        return "\t"
    lines = file.head.decode(file.encoding, errors="ignore").splitlines(keepends=True)
    sample = lines[: max(len(lines) - 1, 1)][:_SAMPLE_LINES]  # the last may be cut off
    best, most = "", 1
    for separator in _SEPARATORS:
        widths = set()
        with_errors = csv.reader(sample, delimiter=separator)
        try:
            widths = {len(row) for row in with_errors if row}
        except csv.Error:
            continue
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = separator, width
    if best:
        return best
    return max(_SEPARATORS, key=sample[0].count)  # lines of several lengths: the one at fault will be named


def _columns(file: File, separator: str) -> tuple[list[str], list[list[Any]]]:
    """The first line's names, and below each its cells, None where one is empty."""
    with file.text() as text:
        rows = csv.reader(text, delimiter=separator, strict=True)
        try:
            header = next(rows)
            _check_header(file, header)
            found = [row for row in rows if row]
        except csv.Error as error:
            raise InputError(
                f"{file.name}, line {rows.line_num}: {error}; the file may be cut off there, so get it again, or mend "
                "the quotes in that line"
            ) from None
        except UnicodeDecodeError as error:
            raise InputError(
                f"{file.name}, after line {rows.line_num}, is no {file.encoding} text: {error.reason}; load the frame, "
                f"and say which encoding it is: pd.read_csv({file.name!r}, sep={separator!r}, encoding='cp1252')"
            ) from None
    if any(len(row) != len(header) for row in found):
        raise _uneven(file, separator, len(header))
    columns = [list(column) for column in zip(*found, strict=True)] or [[] for _ in header]
    return header, [[cell or None for cell in column] if "" in column else column for column in columns]


def _check_header(file: File, header: Sequence[str]) -> None:
    check_width(len(header), file.name)
    twice = {name for name in header if header.count(name) > 1} if len(set(header)) < len(header) else set()
    if twice:
        raise InputError(f"{file.name}, line 1: the column {sorted(twice)[0]!r} is there twice; rename one of them")


def _uneven(file: File, separator: str, width: int) -> InputError:
    with file.text() as text:
        rows = csv.reader(text, delimiter=separator, strict=True)
        row = next(row for row in rows if row and len(row) != width)
        return InputError(
            f"{file.name}, line {rows.line_num} has {len(row)} cells and the first line {width}: "
            f"{separator.join(row)[:80]!r}; the file may be cut off there, so get it again, or mend that line"
        )


def _typed(cells: list[Any]) -> list[Any]:
    """Text as what all of it means alike; a number only where it is written as one, so 007 stays text.

    Among numbers, what programs write for none is none; among text it is text.
    """
    texts = [cell for cell in cells if cell not in _NOTHING]
    for convert in (_whole, _floats, _truths) if texts else ():
        values = convert(texts)
        if values is not None:
            if len(values) == len(cells):
                return values
            each = iter(values)
            return [None if cell in _NOTHING else next(each) for cell in cells]
    return cells


def _whole(texts: list[str]) -> list[Any] | None:
    try:
        values = list(map(int, texts))
    except ValueError:
        return None
    return values if list(map(str, values)) == texts else None


def _floats(texts: list[str]) -> list[Any] | None:
    if not all(map(_FLOAT.fullmatch, itertools.islice(texts, 1))) or not all(map(_FLOAT.fullmatch, texts)):
        return None
    try:
        values = list(map(float, texts))
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _truths(texts: list[str]) -> list[Any] | None:
    return [_BOOLEANS[text] for text in texts] if _BOOLEANS.keys() >= set(texts) else None


def _array(cells: list[Any]) -> Any:
    kinds = set(map(type, cells))
    if kinds == {int}:
        try:
            return np.array(cells, dtype=np.int64)
        except OverflowError:
            pass
    if kinds in ({float}, {bool}):
        return np.array(cells)
    return np.fromiter(cells, dtype=object, count=len(cells))


# -- written ----------------------------------------------------------------------------------------------------------


def write(events: Events, target: Target, losses: Losses) -> None:
    """The kit's own columns; data, metadata and tags as JSON. Nothing is lost."""
    separator = "\t" if ".tsv" in target.name.lower() else ","
    with target.open() as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        rows = csv.writer(text, delimiter=separator, lineterminator="\r\n")
        for number, frame in enumerate(events.frames()):
            if number == 0:
                rows.writerow(frame.columns)
            rows.writerows(zip(*(_written(frame[name]) for name in frame.columns), strict=True))


def _written(values: pd.Series[Any]) -> list[Any]:
    if values.dtype == object:
        return [to_json(value).decode() for value in values.tolist()]
    if values.dtype.kind == "M":
        return time_texts(values)
    return values.tolist()
