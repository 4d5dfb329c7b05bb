"""XML as a stream of tags, read safely: no entity is expanded, nothing is fetched, and memory does not grow with it."""

from __future__ import annotations

import codecs
import contextlib
import re
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from eventsourcing_kit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventsourcing_kit.formats.file import File

    Start = Callable[[str, list[str]], object]

_BYTES_AT_ONCE = 1 << 18
_DECLARED = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]+)")


class Parser:
    """Passes through a file; raises `InputError` naming the line where it is no XML, cut off, or declares entities."""

    def __init__(self, file: File) -> None:
        self._file, self._expat = file, _parser(file)

    @property
    def line(self) -> int:
        """Where it is."""
        return self._expat.CurrentLineNumber

    def run(self, start: Start, end: Callable[[str], object], text: Callable[[str], object] | None = None) -> None:
        """Call `start` with each tag that opens and its attributes, names and values in turn, `end` with each that
        closes, and `text` with what stands between them.
        """
        parser = self._expat
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
        for _ in _passed(self._file, parser):
            pass


def line(file: File, name: str, number: int) -> int:
    """The line of the tag of that name before which there are so many."""
    parser, left, found = _parser(file), number, 0

    def start(tag: str, _: Any) -> None:
        nonlocal left, found
        if tag.rpartition(":")[2] == name:
            if left == 0:
                found = parser.CurrentLineNumber
            left -= 1

    parser.StartElementHandler = start
    for _ in _passed(file, parser):
        if found:
            break
    return found


def children(head: bytes) -> list[tuple[str, dict[str, str]]]:
    """Of a file's beginning: the root's tag, then the tags directly below it, with their attributes."""
    found: list[tuple[str, dict[str, str]]] = []
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth < 2:
            found.append((tag, attributes))
        depth += 1

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    with contextlib.suppress(expat.ExpatError):  # what it is about will be said when the whole file is read
        parser.Parse(head)
    return found


def _passed(file: File, parser: expat.XMLParserType) -> Iterator[None]:
    """The file given to a parser, part by part."""
    try:
        decode = _decoder(file)
        with file.whole(), file.open() as opened:
            while part := opened.read(_BYTES_AT_ONCE):
                parser.Parse(decode(part))
                yield
            parser.Parse(decode(b"", True), True)
    except expat.ExpatError as error:
        told = expat.ErrorString(error.code)
        raise InputError(
            f"{file.name}, line {error.lineno} is no XML: {told}; the file may be cut off there, so get it again"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file.name} is no {error.encoding} text: {error.reason}; get the file again") from None


def _decoder(file: File) -> Callable[..., str]:
    """What makes text of bytes: in the encoding that the file declares, or else of its mark."""
    declared = _DECLARED.match(file.head)
    encoding = file.encoding if declared is None else declared[1].decode()
    try:
        return codecs.getincrementaldecoder("utf-8-sig" if encoding.lower() == "utf-8" else encoding)().decode
    except LookupError:
        raise InputError(f"{file.name} is written in {encoding!r}, an encoding that is not known here") from None


def _parser(file: File) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.ordered_attributes = True

    def doctype(_: str, system: str | None, public: str | None, has_subset: int) -> None:
        if system or public or has_subset:
            raise _refused(file.name, parser, "a document type that declares or fetches something")

    def entity(*_: object) -> None:
        raise _refused(file.name, parser, "an entity")

    parser.StartDoctypeDeclHandler, parser.EntityDeclHandler = doctype, entity
    return parser


def _refused(name: str, parser: expat.XMLParserType, what: str) -> InputError:
    return InputError(
        f"{name}, line {parser.CurrentLineNumber} has {what}, which no log needs and which can do harm; it is not "
        "expanded: remove the <!DOCTYPE …> and write the text that the entities stand for"
    )
