"""The table of formats: a file is read by the one that its content is of, and written by the one that its name says."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.formats.file import Container, File
from eventsourcing_kit.formats.format import COMPRESSIONS, Losses, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventsourcing_kit.formats.format import Events, ForeignLog


@dataclass(frozen=True, slots=True)
class Format:
    """A format: what it is called, what its files are made of, what their names end with, and the module that knows it.

    `writes` are the endings by which `export` chooses it. `needs` is the package that it needs, of the extra `files`.
    """

    name: str
    container: Container
    endings: tuple[str, ...]
    module: str
    writes: tuple[str, ...] = ()
    needs: str = ""

    def load(self) -> Any:
        """The module; raises `InputError` where what it needs is not installed."""
        if self.needs:
            try:
                import_module(self.needs)
            except ImportError:
                raise InputError(
                    f"{self.name} needs {self.needs}; install it: pip install {self.needs}, or with the kit: "
                    "pip install 'eventsourcing_kit[files]'"
                ) from None
        return import_module(f"eventsourcing_kit.formats.{self.module}")


# Of formats in one kind of container, the first whose `fits` says so; the last of them takes what is left.
FORMATS = (
    Format("Parquet", "parquet", (".parquet", ".pq"), "parquet", writes=(".parquet",), needs="pyarrow"),
    Format("OCEL", "json", (".ocel.json", ".jsonocel"), "ocel_json", writes=(".ocel.json", ".jsonocel")),
    Format("CloudEvents", "json", (".json", ".ndjson", ".jsonl"), "cloudevents", writes=(".ndjson", ".jsonl")),
    Format("OpenTelemetry's spans", "json", (".json", ".ndjson", ".jsonl"), "spans"),
    Format("changes of rows", "json", (".json", ".ndjson", ".jsonl"), "changes"),
    Format("rows", "json", (".json", ".ndjson", ".jsonl"), "rows"),
    Format("OCEL", "sqlite", (".ocel.sqlite", ".sqlite", ".db"), "ocel_sqlite", writes=(".ocel.sqlite", ".sqlite")),
    Format("CSV", "text", (".csv", ".txt"), "delimited", writes=(".csv",)),
    Format("TSV", "text", (".tsv", ".tab"), "delimited", writes=(".tsv",)),
    Format("OCEL", "xml", (".ocel.xml", ".xmlocel"), "ocel_xml", writes=(".ocel.xml", ".xmlocel")),
    Format("XES", "xml", (".xes",), "xes", writes=(".xes",)),
)
_EVERY_ENDING = {ending: one.container for one in FORMATS for ending in one.endings}
_CONTAINERS: dict[Container, str] = {
    "parquet": "a Parquet file", "sqlite": "an SQLite database", "xml": "XML", "json": "JSON", "text": "text",
}  # fmt: skip


def read(path: str | os.PathLike[str], given: Mapping[str, Any]) -> ForeignLog:
    """A file as a frame, and which of its columns is what; `given` are the roles that were named by hand.

    Raises `InputError` for what is no file of a format known here, for one that is of another kind than its ending
    says, and for one that is cut off.
    """
    file = File(path)
    container = file.container
    ending = next((one for one in _ends(file.endings) if one in _EVERY_ENDING), None)
    if ending is not None and _EVERY_ENDING[ending] != container:
        raise InputError(
            f"{file.name} ends with {ending}, and is {_CONTAINERS[container]} by its content; where that is right, "
            "rename it by what it is, else get the file again"
        )
    fitting = [one for one in FORMATS if one.container == container]
    for one in fitting:
        module = one.load()
        if one is fitting[-1] or not hasattr(module, "fits") or module.fits(file):
            log: ForeignLog = module.read(file, given)
            return log
    raise InputError(f"{file.name} is {_CONTAINERS[container]}, of which no format is known here; {_known()}")


def export(path: str | os.PathLike[str], events: Events, *, lossy: bool) -> None:
    """Write events to a file, in the format that its ending names; the file appears when it is whole.

    Raises `InputError` for an ending that no format has, and for events of which the format would lose something,
    unless it may be `lossy`.
    """
    target = Path(path)
    _check_place(target)
    one, compression = _writer(target.name)
    module, losses = one.load(), Losses()
    with _whole_or_not_at_all(target) as part:
        module.write(events, Target(part, target.name, compression), losses)
        if not lossy:
            losses.check(one.name)


def _writer(name: str) -> tuple[Format, str]:
    lowered = name.lower()
    compression = next((ending for ending in COMPRESSIONS if lowered.endswith(ending)), "")
    lowered = lowered.removesuffix(compression)
    for one in FORMATS:
        if lowered.endswith(one.writes or ("\n",)):
            if compression and one.container in ("parquet", "sqlite"):
                raise InputError(f"{one.name} is not compressed a second time; write {lowered!r}")
            return one, compression
    raise InputError(f"no format is known by the ending of {name!r}; {_known()}")


def _known() -> str:
    return f"export writes {', '.join(ending for one in FORMATS for ending in one.writes)}"


def _ends(endings: str) -> Iterator[str]:
    """`.ocel.json`, then `.json`."""
    parts = endings.split(".")[1:]
    for i in range(len(parts)):
        yield "." + ".".join(parts[i:])


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; give the path of a file in it")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r}; make it first")


@contextlib.contextmanager
def _whole_or_not_at_all(path: Path) -> Iterator[Path]:
    """A place to write to, which takes the path's name at the end; nothing is left where that is not reached.

    A process that is killed leaves a file that ends with `.part`, which no reader takes for whole.
    """
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
