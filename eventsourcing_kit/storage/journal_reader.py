"""A folder's journal, read beside its owner, or after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.storage import marker
from eventsourcing_kit.storage.journal import FULL_BYTES, OLDER_NAME, goes_on, outstanding, path
from eventsourcing_kit.storage.journal_entries import HEAD, START, find, follow, key_of, newest, number_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit.storage.journal_entries import Entry, Row


class Follower:
    """A folder's journal, read beside its owner. It is read now, and SlateDB is to be opened afterwards.

    So an entry that leaves the journal in between is in SlateDB by then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._noted = marker.known(folder)  # before the file, which may grow meanwhile
        self._content = _content(path(folder))
        self._key = key_of(self._content)
        last = newest(self._content, self._key)
        self.newest = 0 if last is None else last.number
        self._number, self._at = 0, START.size

    def pending(self, done: int) -> list[Entry] | str:
        """What SlateDB, which has the entries up to number `done`, does not have.

        What is wrong, as text, where something is missing: a writer moved on while it was read, or, if that is so
        again, the file is damaged.
        """
        content, self._content = self._content, b""
        entries = outstanding(content, done, self._noted)
        if not isinstance(entries, str):
            self._number, self._at = goes_on(content, entries, done)
        return entries

    def more(self) -> list[Entry] | None:
        """What has come since; None where SlateDB must be looked at again."""
        try:
            with open(path(self._folder), "rb", buffering=0) as file:
                start = file.read(START.size + HEAD.size)
                since = file.seek(self._at)
                content = file.read(FULL_BYTES)
        except FileNotFoundError:
            return [] if self._key is None else None
        if key_of(start) != self._key:
            return None
        entries = [] if self._key is None else list(self._following(content))
        ahead = max(number_at(start, START.size), number_at(content, self._at - since))
        if ahead > self._number:  # a lap further on, or behind what only SlateDB got
            return None  # and so again, until there is a new view: the one that is to be opened now may fail
        return entries

    def _following(self, content: bytes) -> Iterator[Entry]:
        assert self._key is not None
        start = self._at
        for entry in follow(content, 0, self._key):
            if entry.number > self._number + 1:
                return
            self._at = start + entry.end
            if entry.number > self._number:  # else SlateDB had it when it was opened
                self._number = entry.number
                yield entry


def rows(folder: Path) -> list[Row]:
    """The rows of every entry that can be read, for a rescue."""
    found: list[Entry] = []
    noted = marker.known(folder)
    for file in (folder / OLDER_NAME, path(folder)):
        content = _content(file)
        key = key_of(content)
        if noted.knows_journal and key is not None and key.hex() != noted.journal:
            continue  # another store's
        found += [] if key is None else find(content, key)
    return [row for entry in found for row in entry.rows]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
