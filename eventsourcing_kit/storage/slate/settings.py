"""SlateDB as it is set up here: its settings, and the object storage underneath."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.storage.location import unknown_option
from eventsourcing_kit.storage.slate.binding import slate

if TYPE_CHECKING:
    from eventsourcing_kit.storage.location import Location

DB = "log"
_MEMTABLE_BYTES = 16 << 20  # what an open may have to read again from the write-ahead log: a fifth of a second


def settings(collects: bool = True, merges: bool = False) -> Any:
    """How a writer's database is set up.

    Without `collects` it removes no file that is needed no more; with `merges` it only makes and merges tables.
    """
    made = slate.Settings.default()
    made.set("flush_interval", "null")  # the log flushes each commit itself: nothing is flushed behind its back
    made.set("l0_sst_size_bytes", str(_MEMTABLE_BYTES))
    if merges:
        made.set("max_unflushed_bytes", str(4 * _MEMTABLE_BYTES))  # its own gigabyte may be more than there is
        made.set("compactor_options.checkpoint_lifetime", json.dumps("1s"))  # nobody reads through it
    for step in ("poll", "worker.compactions_poll", "commit_compacted") if merges else ():
        made.set(f"compactor_options.{step}_interval", json.dumps("10ms"))
    if not collects:
        made.set("garbage_collector_options", "null")
        return made
    # Each WAL file takes a disk block until it is collected; SlateDB's own ten minutes would keep 60,000 of them.
    made.set("garbage_collector_options.wal_options.interval", json.dumps("60s"))
    made.set("garbage_collector_options.wal_options.min_age", json.dumps("60s"))
    return made


def object_store(location: Location) -> Any:
    """The storage at a location, as SlateDB takes it."""
    if location.is_memory:
        return slate.ObjectStore.resolve("memory:///")
    if location.bucket:
        return _bucket_client(location)
    builder = slate.ObjectStoreBuilder(slate.ObjectStoreType.LOCAL)
    builder.with_config("local_path", str(location.folder))
    return builder.build()


def _bucket_client(location: Location) -> Any:
    builder = slate.ObjectStoreBuilder(slate.ObjectStoreType.S3)
    builder.with_config("bucket", location.bucket)
    for name, value in {"conditional_put": "etag", **location.settings}.items():
        if _is_option(name):
            builder.with_config(name, value)
        elif name in location.required:
            raise unknown_option(name)
    wrong = ""
    try:
        return builder.build()
    except slate.Error as error:
        wrong = location.scrubbed(error.message).rsplit("error: ", 1)[-1]
    raise InputError(f"the options for {str(location)!r} don't make an S3 client: {wrong}")


def _is_option(name: str) -> bool:
    """Whether the S3 client has such an option; asked of a builder of its own, for a wrong name spoils it."""
    try:
        slate.ObjectStoreBuilder(slate.ObjectStoreType.S3).with_config(name, "")
    except slate.Error:
        return False
    return True


def path_in(location: Location) -> str:
    """Where in its storage a database lies."""
    return f"{location.prefix}/{DB}" if location.prefix else DB
