"""A file as it is found: what it holds, by its beginning, and how it is compressed. The ending only has to agree."""

from __future__ import annotations

import gzip
import io
import itertools
import lzma
import zipfile
import zlib
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from pydantic_core import from_json

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events.json_values import plain_objects_only
from eventsourcing_kit.formats.format import COMPRESSIONS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

Container = Literal["parquet", "sqlite", "xml", "json", "text"]

_HEAD_BYTES = 1 << 16
_PACKED = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz"}
_ZIP, _ZSTD = b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
_MAGIC: dict[bytes, Container] = {b"PAR1": "parquet", b"SQLite format 3\x00": "sqlite"}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\x00\x00": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_NO_LINE_IS_A_LOG = (".ndjson", ".jsonl")
_CUT = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile)


class File:
    """A file that is to be read. Raises `InputError` where there is none, or nothing in it that a format could have."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = self.path.name
        if self.path.suffix == ".part":
            raise InputError(f"{self.name} was left by an export that was broken off, and is not whole; export again")
        if self.path.is_dir():
            raise InputError(f"{str(path)!r} is a folder, not a file; a store's folder opens with ek.EventStore(path)")
        if not self.path.exists():
            raise InputError(f"there is no file {str(path)!r}; look where it is: {str(self.path.absolute())!r}")
        with self.path.open("rb") as file:
            start = file.read(8)
        self.is_zip = start.startswith(_ZIP)
        self.compression = next((ending for magic, ending in _PACKED.items() if start.startswith(magic)), "")
        if start.startswith(_ZSTD):
            raise InputError(f"{self.name} is compressed with Zstandard; unpack it first: zstd -d {self.name}")
        with self.whole(), self.open() as opened:
            self.head = opened.read(_HEAD_BYTES)
        if not self.head.strip() and self.endings not in _NO_LINE_IS_A_LOG:
            raise InputError(f"{self.name} is empty; get the file again")

    @property
    def endings(self) -> str:
        """The name's endings in lower case, those of compression left out: `.ocel.json`."""
        name = self.name.lower()
        for ending in (*COMPRESSIONS, ".zip"):
            name = name.removesuffix(ending)
        return "".join(Path(name).suffixes)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Raises `InputError` where it turns out that a compressed file is cut off or damaged."""
        try:
            yield
        except _CUT as error:
            raise InputError(
                f"{self.name} is cut off or damaged: {str(error) or 'it cannot be unpacked'}; get the file again"
            ) from None

    def open(self) -> IO[bytes]:
        """The file's bytes, unpacked."""
        if self.is_zip:
            return self._only_member()
        if not self.compression:
            return self.path.open("rb")
        opened: IO[bytes] = COMPRESSIONS[self.compression](self.path, "rb")
        return opened

    def _only_member(self) -> IO[bytes]:
        packed = zipfile.ZipFile(self.path)
        names = [one for one in packed.namelist() if not one.endswith("/")]
        if "[Content_Types].xml" in names:
            raise InputError(f"{self.name} is a spreadsheet; load the frame: pd.read_excel({self.name!r})")
        if len(names) != 1:
            raise InputError(f"{self.name} holds {len(names)} files: {names[:5]}; unpack it, and load the one you mean")
        return packed.open(names[0])

    @cached_property
    def encoding(self) -> str:
        """By the mark at its beginning; UTF-8 without one."""
        return next((name for mark, name in _MARKS.items() if self.head.startswith(mark)), "utf-8")

    @cached_property
    def container(self) -> Container:
        """What the beginning says that the file holds; raises `InputError` for what is no text that the kit knows."""
        for magic, container in _MAGIC.items():
            if self.head.startswith(magic):
                return container
        start = self.head.decode(self.encoding, errors="ignore").lstrip()
        if "\x00" in start[:1000] and not self.endings:
            raise InputError(f"{self.name} holds bytes that are neither text nor a format known here")
        return "xml" if start[:1] == "<" else "json" if start[:1] in ("{", "[") or not start else "text"

    def text(self) -> io.TextIOWrapper:
        """The file as text, line ends as they are. Use it within `decoded`."""
        return io.TextIOWrapper(self.open(), encoding=self.encoding, newline="")

    @cached_property
    def first_json(self) -> Any:
        """The one value, or the first of the array or of the lines: enough to tell formats apart."""
        return self.json[0] if isinstance(self.json, list) and self.json else self.json

    @cached_property
    def json(self) -> Any:
        """The file as JSON, or, where each line holds a value of its own, as the list of them."""
        with self.whole(), self.open() as opened:
            raw = opened.read()
        self.has_lines = not raw.strip()
        if self.has_lines:
            return []
        if self.encoding != "utf-8":
            raw = raw.decode(self.encoding).encode()
        with plain_objects_only():
            try:
                return from_json(raw, allow_inf_nan=False, cache_strings="keys")
            except ValueError as error:
                found = self._lines(raw)
                if found is None:
                    raise InputError(f"{self.name} is no JSON, or cut off: {error}; get the file again") from None
                self.has_lines = True
                return found

    def _lines(self, raw: bytes) -> list[Any] | None:
        """A value a line; None where the first line is none by itself."""
        found = []
        for number, line in zip(itertools.count(1), io.BytesIO(raw), strict=False):
            if not line.strip():
                continue
            try:
                found.append(from_json(line, allow_inf_nan=False, cache_strings="keys"))
            except ValueError as error:
                if not found:
                    return None
                raise InputError(
                    f"{self.name}, line {number} is no JSON: {error}; the file may be cut off there, so get it again, "
                    "or remove the line"
                ) from None
        return found
