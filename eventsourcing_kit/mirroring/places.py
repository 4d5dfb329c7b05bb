"""A place for a mirror: a folder, or a prefix in a bucket on S3. Files are written once; one may be replaced.

A file is there whole or not at all. On a disk it is synced before anything names it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from eventsourcing_kit.errors import DamagedError, InputError, StorageError
from eventsourcing_kit.mirroring.arrow import fs, pa
from eventsourcing_kit.storage import local_folder, location

if TYPE_CHECKING:
    from eventsourcing_kit.storage.location import Location

_updating: dict[str, threading.RLock] = {}  # one a place, of all that this process updates
_ATTEMPTS = 3  # of a request to a bucket
_OPTIONS = {
    "access_key_id": "access_key",
    "secret_access_key": "secret_key",
    "session_token": "session_token",
    "region": "region",
}
_PASSED_OVER = {"endpoint", "allow_http", "timeout", "connect_timeout", "default_region", "skip_signature"}


def parse(place: object, options: dict[str, Any], seconds: float) -> Place:
    """The place that was typed; raises `InputError`."""
    if place is None:
        raise InputError("a mirror needs a place: give a folder's path, or 's3://bucket/prefix'")
    found = location.parse(place, options)
    for name in found.required - _OPTIONS.keys() - _PASSED_OVER:
        raise InputError(f"a mirror's S3 client has no option {name!r}; it has {', '.join(sorted(_OPTIONS))}, endpoint")
    if found.folder is not None and local_folder.is_store(found.folder):
        raise InputError(f"{str(found.folder)!r} holds an event store; give the mirror a folder of its own")
    return Place(found, seconds)


class Place:
    """Where a mirror is kept. It can be pickled, so that workers find the files; its secrets do not show themselves.

    A bucket that is silent for `seconds` is an error.
    """

    def __init__(self, location: Location, seconds: float) -> None:
        self._location, self._seconds = location, seconds

    def __getstate__(self) -> dict[str, Any]:
        return {"_location": self._location, "_seconds": self._seconds}

    def __str__(self) -> str:
        return str(self._location)

    @property
    def name(self) -> str:
        """Short, for a repr, and the same on every machine."""
        return self._location.name

    @cached_property
    def _folder(self) -> Path | None:
        return self._location.folder

    @cached_property
    def _client(self) -> Any:
        """The file system of the bucket."""
        settings = self._location.settings
        given: dict[str, Any] = {to: str(settings[name]) for name, to in _OPTIONS.items() if name in settings}
        given.setdefault("region", str(settings.get("default_region", "us-east-1")))
        if settings.get("skip_signature") in ("true", "1"):
            given = {"anonymous": True, "region": given["region"]}
        if "endpoint" in settings:
            parts = urlsplit(settings["endpoint"])
            given.update(scheme=parts.scheme, endpoint_override=f"{parts.netloc}{parts.path}")
        limits = {"connect_timeout": self._seconds / _ATTEMPTS, "request_timeout": self._seconds / _ATTEMPTS}
        return fs.S3FileSystem(
            **given,
            **limits,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
            background_writes=False,
            allow_delayed_open=True,
        )

    def path(self, name: str) -> str:
        """A file's whole path, as other tools open it."""
        return f"{self}/{name}"

    def _key(self, name: str) -> str:
        return "/".join(filter(None, (self._location.bucket, self._location.prefix, name)))

    def _trouble(self, what: str, error: Exception) -> StorageError:
        told = self._location.scrubbed(str(error))
        return StorageError(f"{what} of the mirror at {str(self)!r} failed: {told}; try again when that is mended")

    def updating(self) -> contextlib.AbstractContextManager[Any]:
        """Held by the one thread of this process that updates the mirror there."""
        return _updating.setdefault(self._location.identity, threading.RLock())

    def check_free(self) -> None:
        """Refuse a place that holds anything else than what a killed writer of a mirror left."""
        strange = sorted(name for name in self.ages() if not name.startswith(("bucket-", "manifest.json.")))
        if strange:
            raise InputError(f"{str(self)!r} holds other files ({strange[0]!r}, …); give the mirror a place of its own")

    # -- written -----------------------------------------------------------------------------------------------------

    def write(self, name: str, content: Any) -> None:
        """A new file, durable when this returns; one of that name that a killed writer left is replaced."""
        try:
            if self._folder is None:
                with self._client.open_output_stream(self._key(name)) as stream:
                    stream.write(content)
            else:
                _put(self._folder / name, content)
        except (OSError, pa.ArrowException) as error:
            raise self._trouble(f"writing the file {name!r}", error) from None

    def replace(self, name: str, content: bytes) -> None:
        """A file's new content in place of its old, in one step; durable when this returns."""
        self.write(name, content)
        self.settle([])

    def settle(self, names: list[str]) -> None:
        """Have the names of new files be durable, too."""
        if self._folder is None:
            return
        try:
            for folder in {(self._folder / name).parent for name in names} | {self._folder}:
                _sync(folder)
        except OSError as error:
            raise self._trouble("syncing the folder", error) from None

    def remove(self, name: str) -> None:
        """Remove a file, where it is there."""
        try:
            if self._folder is None:
                with contextlib.suppress(FileNotFoundError):
                    self._client.delete_file(self._key(name))
            else:
                (self._folder / name).unlink(missing_ok=True)
        except (OSError, pa.ArrowException) as error:
            raise self._trouble(f"removing the file {name!r}", error) from None

    # -- read --------------------------------------------------------------------------------------------------------

    def read(self, name: str) -> bytes | None:
        """A small file's content; None where there is no such file."""
        try:
            found = self._content(name)
        except (OSError, pa.ArrowException) as error:
            raise self._trouble(f"reading the file {name!r}", error) from None
        return None if found is None else found.to_pybytes()

    def buffer(self, name: str, size: int) -> Any:
        """The content of a file that is to have so many bytes, as an Arrow buffer; one request of a bucket.

        Raises `DamagedError` where it is missing or of another size, `StorageError` where it cannot be read.
        """
        try:
            found = self._content(name)
        except (OSError, pa.ArrowException) as error:
            raise self._trouble(f"reading the file {name!r}", error) from None
        if found is None:
            raise self.damaged(name, "is missing")
        if found.size != size:
            raise self.damaged(name, f"has {found.size} bytes and not {size}")
        return found

    def damaged(self, name: str, wrong: str) -> DamagedError:
        """The error for a file that is not as it was written."""
        return DamagedError(
            f"the file {name!r} of the mirror at {str(self)!r} {wrong}; a mirror can be made anew from its store: "
            "remove what is at that place, then store.mirror(…)",
            str(self),
            [name],
        )

    def _content(self, name: str) -> Any:
        try:
            if self._folder is not None:
                with pa.OSFile(str(self._folder / name)) as file:
                    return file.read_buffer()
            with self._client.open_input_stream(self._key(name)) as stream:
                return stream.read_buffer()
        except FileNotFoundError:
            return None

    def ages(self) -> dict[str, float]:
        """All files that are there, by name, and for how many seconds."""
        now = time.time()
        try:
            if self._folder is not None:
                files = [one for one in self._folder.rglob("*") if one.is_file()]
                return {one.relative_to(self._folder).as_posix(): now - one.stat().st_mtime for one in files}
            start = self._key("").rstrip("/")
            found = self._client.get_file_info(fs.FileSelector(start, recursive=True, allow_not_found=True))
            there = [one for one in found if one.is_file]
            return {one.path.removeprefix(f"{start}/"): now - one.mtime.timestamp() for one in there}
        except (OSError, pa.ArrowException) as error:
            raise self._trouble("listing the files", error) from None


def _put(path: Path, content: Any) -> None:
    """A file in one step: who reads meanwhile sees all of it, or what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
