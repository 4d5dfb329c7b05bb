"""Which files of a store's folder are damaged, found before SlateDB passes over the damage in silence."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from eventsourcing_kit.errors import DamagedError, StorageError
from eventsourcing_kit.storage import local_folder, marker, wal
from eventsourcing_kit.storage.slate import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventsourcing_kit.storage.marker import Marker

_NAMED = 3
_LOOKS = 3
_NOTES = "log/compactions"


class Damage(NamedTuple):
    """A file, by its path within the store's folder, and what is wrong with it."""

    file: str
    what: str


OLDER_MANIFEST = Damage(
    "log/manifest", "is older than the files in log/wal, as where a folder was copied while its store was written to"
)


def error(folder: Path, found: list[Damage]) -> DamagedError:
    """The error that names damaged files and says what to do."""
    named = "; ".join(f"{one.file} {one.what}" for one in found[:_NAMED])
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    message = f"the store in {str(folder)!r} is damaged: {named}{more}. "
    if all(one.file.startswith(_NOTES) for one in found):
        message += f"Such files hold no events: move the folder {_NOTES} away, and open the store again"
    else:
        message += (
            "Bring the folder back from a copy, or save every event before the damage with "
            f"ek.rescue({str(folder)!r}, into='a new folder'); that changes nothing here"
        )
    return DamagedError(message, str(folder), [one.file for one in found])


class Expected(NamedTuple):
    """What shows only when the store is open: where a commit must end before an empty file; how far the log reached."""

    ends: list[tuple[int, str]]
    position: int


def check(folder: Path) -> Expected:
    """Look for what SlateDB would not notice; called before each opening. Raises the error that names the files.

    What is cheap is looked at: names, sizes, and the commits beside a file that is empty and not known as the mark of
    an opening.
    """
    safe = marker.known(folder)
    if not local_folder.is_store(folder):
        return Expected([], safe.position)
    found, after = _manifests(folder, safe), 0
    for _ in range(0 if found else _LOOKS):
        newest = _newest(folder)
        after = newest.replay_after
        found = [*_tables(folder, newest, read=False), *_names(folder, after)]
        if not found:
            break  # else look again: a writer in another process may have moved on in between
    if found:
        raise error(folder, found)
    found, ends = _holes(folder, after, safe.fences)
    if found:
        raise error(folder, found)
    return Expected(ends, safe.position)


def check_log(folder: Path, expected: Expected, last: int, ends: Callable[[int], bool]) -> None:
    """The rest of the check, when the store is open; `ends` tells whether a commit ends at a position."""
    for position, file in expected.ends:
        if not ends(position):
            raise error(folder, [Damage(file, f"is empty, and the log lacks position {position}")])
    if last < expected.position:
        lost = f"has lost its end: the log stops at position {last}, and it reached {expected.position}"
        raise error(folder, [Damage("log/wal", lost)])


def explained(folder: Path, failure: Exception) -> Exception:
    """The failure of an opening, with the files to blame where such are found."""
    found = everything(folder) if local_folder.is_store(folder) else []
    if found:
        return error(folder, found)
    if isinstance(failure, TimeoutError):
        return StorageError(f"the storage in {str(folder)!r} does not answer, and no file there is found damaged")
    return failure


def everything(folder: Path) -> list[Damage]:
    """All damage that reading every file finds."""
    found = [*_manifests(folder, marker.known(folder)), *_compactions(folder)]
    after = 0
    with contextlib.suppress(StorageError):
        newest = _newest(folder)
        after = newest.replay_after
        found += _tables(folder, newest, read=True)
    return [*found, *_names(folder, after), *_unreadable(folder, after)]


def read_table(file: Path) -> list[tuple[bytes, bytes]]:
    """The rows of one table, wherever it lies; raises where it is damaged.

    A table has the form of a write-ahead file, so it is read as the only one of a store that has nothing else.
    """
    if wal.is_cut_off(file):
        raise StorageError(f"{file.name} is cut off")
    with tempfile.TemporaryDirectory() as alone:
        link = wal.path(Path(alone), 1)
        link.parent.mkdir(parents=True)
        try:
            link.symlink_to(file.resolve())
        except OSError:
            shutil.copyfile(file, link)
        return files.wal_rows(Path(alone), 1)


# -- by kind ----------------------------------------------------------------------------------------------------------


def _manifests(folder: Path, safe: Marker) -> list[Damage]:
    newest = files.newest_manifest(folder)
    if newest < (safe.manifest or 0):
        return [Damage(_manifest(safe.manifest or 0), "is missing")]
    if newest == 0:
        return [Damage("log/manifest", "holds no manifest")] if any(wal.sizes(folder).values()) else []
    try:
        files.manifest(folder)
    except StorageError as failure:
        empty = (folder / _manifest(newest)).stat().st_size == 0
        return [Damage(_manifest(newest), "is empty" if empty else _reason(failure))]
    return []


def _manifest(number: int) -> str:
    return f"log/manifest/{number:020d}.manifest"


def _newest(folder: Path) -> files.Manifest:
    none = files.Manifest(0, [], [], [])
    return files.manifest(folder) if files.newest_manifest(folder) else none


def _compactions(folder: Path) -> list[Damage]:
    ids = files.numbered(folder, files.NOTES)
    try:
        if ids:
            files.is_merging(folder)
    except StorageError as failure:
        return [Damage(f"log/compactions/{ids[-1]:020d}.compactions", _reason(failure))]
    return []


def _names(folder: Path, after: int) -> list[Damage]:
    """Write-ahead files that are missing or cut off, as far as names and sizes tell."""
    sizes = wal.sizes(folder)
    needed = [number for number in sizes if number > after]
    missing = [number for number in range(after + 1, max(needed, default=0)) if number not in sizes]
    cut_off = [number for number in sorted(needed) if sizes[number] and _is_cut_off(folder, number)]
    return [Damage(_wal(number), "is missing") for number in missing] + [
        Damage(_wal(number), "is cut off, or was never written to its end") for number in cut_off
    ]


def _is_cut_off(folder: Path, number: int) -> bool:
    with contextlib.suppress(FileNotFoundError):  # collected meanwhile
        return wal.is_cut_off(wal.path(folder, number))
    return False


def _wal(number: int) -> str:
    return f"log/wal/{wal.name(number)}"


def _unreadable(folder: Path, after: int) -> Iterator[Damage]:
    """Write-ahead files that are damaged, found by reading all of them."""
    for number, size in sorted(wal.sizes(folder).items()):
        if number > after and size and not _is_cut_off(folder, number):
            try:
                files.wal_rows(folder, number)
            except StorageError as failure:
                yield Damage(_wal(number), _reason(failure))


def _tables(folder: Path, newest: files.Manifest, *, read: bool) -> Iterator[Damage]:
    """Tables that are missing or cut off, which SlateDB may wait for, for ever; and what only reading them finds."""
    for name in newest.tables:
        file = f"log/compacted/{name}.sst"
        try:
            if wal.is_cut_off(folder / file):
                yield Damage(file, "is cut off, or was never written to its end")
            elif read:
                read_table(folder / file)
        except FileNotFoundError:
            yield Damage(file, "is missing")
        except StorageError as failure:
            yield Damage(file, _reason(failure))


def _reason(failure: StorageError) -> str:
    return "does not match its checksum" if "checksum" in str(failure) else "cannot be read"


# -- holes ------------------------------------------------------------------------------------------------------------


def _holes(folder: Path, after: int, known: tuple[int, ...]) -> tuple[list[Damage], list[tuple[int, str]]]:
    """Empty files between commits that do not follow each other; and where commits must end that lie in the tables."""
    sizes = {number: size for number, size in wal.sizes(folder).items() if number > after}
    found: list[Damage] = []
    ends: list[tuple[int, str]] = []
    held = [number for number in sorted(sizes) if sizes[number]]
    for number in sorted(sizes):
        if sizes[number] == 0 and number not in known:
            behind = _beside(folder, [other for other in held if other > number])
            before = _beside(folder, [other for other in reversed(held) if other < number])
            if behind is None:
                continue
            if before is None:
                ends += [(behind[0] - 1, _wal(number))] if behind[0] > 1 else []
            elif before[1] + 1 != behind[0]:
                gap = f"position {before[1] + 1}" + (f" to {behind[0] - 1}" if behind[0] - 2 > before[1] else "")
                found.append(Damage(_wal(number), f"is empty, and the log lacks {gap}"))
    return found, ends


def _beside(folder: Path, numbers: list[int]) -> tuple[int, int] | None:
    """The positions in the first of some files that holds commits."""
    for number in numbers:
        held = wal.positions(folder, number)
        if held is not None:
            return held
    return None
