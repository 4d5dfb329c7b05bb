"""Mirrors, as people hold them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from eventsourcing_kit.errors import InputError
from eventsourcing_kit.events import sending
from eventsourcing_kit.folding.projection import STREAM, ByTags, Projection
from eventsourcing_kit.folding.replay import EVERY, check_key
from eventsourcing_kit.log.log import Log
from eventsourcing_kit.records.unknown import Policies, Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from eventsourcing_kit.checking.report import Report
    from eventsourcing_kit.events.event import Event
    from eventsourcing_kit.following.subscription import Subscription
    from eventsourcing_kit.mirroring.manifest import Manifest
    from eventsourcing_kit.mirroring.places import Place
    from eventsourcing_kit.mirroring.tasks import Part
    from eventsourcing_kit.mirroring.view import View
    from eventsourcing_kit.reading.query import Query
    from eventsourcing_kit.reading.read import Read
    from eventsourcing_kit.records.moment import Moment
    from eventsourcing_kit.writing.decider import Decider

    class Mirrored(Protocol):
        """A store, as far as a mirror needs one."""

        _log: Log

        def subscribe(self, handler: Any, *, after: Any = None, name: str | None = None) -> Subscription:
            """As `EventStore.subscribe`."""
            ...


BUCKETS, MOST_BUCKETS, KEEP_HOURS, SECONDS = 64, 4096, 24.0, 30.0
_WORTH_A_BAR = 100_000


class Unset:
    """Stands where an argument is left out and None means something."""

    def __repr__(self) -> str:
        return "None"


UNSET = Unset()


class Mirror:
    """A log in Parquet files, bucketed by key: what others read, and what many machines fold. `store.mirror(place)`
    makes one; `ek.Mirror(place)` opens it, in a folder or at `"s3://bucket/prefix"`, without the store.

    A mirror is derived: the log stays the truth, and a mirror can be thrown away and made anew. `manifest.json` names
    its files and is replaced in one step, so whoever reads sees a whole position of the log, or a later one at the next
    call. Files are never changed; those that are needed no more stay for `keep` hours. What takes the longest is one
    bucket at a time, and so does what takes the most memory; the repr says how large the largest is.

    A bucket needs credentials that may read, and for `update` write; they come as those of a store (see `EventStore`).
    One that is silent for `patience` seconds (30) is an error. `unknown` and `newer` are policies as of a store.

    Raises `StorageError` where there is no mirror, or one of a newer format, `InputError` for what is no place.

    >>> import tempfile
    >>> import eventsourcing_kit as ek
    >>> store = ek.EventStore()
    >>> _ = store.append("order-7", ek.NewEvent(type="Shipped", data={"to": "Oslo"}))
    >>> shipped = ek.Projection("shipped", fields={"to": ek.fold.last("Shipped", "to")})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mirror = store.mirror(f"{folder}/mirror", buckets=4)
    ...     mirror, ek.Mirror(f"{folder}/mirror").replay(shipped)
    (<mirror 'mirror': position 1, 4 buckets by stream, the largest of 1 event>, {'order-7': {'to': 'Oslo'}})
    """

    def __init__(
        self,
        place: Any,
        *,
        unknown: Policy = "keep",
        newer: Policy = "fail",
        patience: float | None = None,
        **options: Any,
    ) -> None:
        from eventsourcing_kit.mirroring import places, updating

        self._policies = Policies(unknown, newer)
        self._place: Place = places.parse(place, options, SECONDS if patience is None else patience)
        self._manifest: Manifest = updating.opened(self._place)

    @classmethod
    def _of(cls, place: Place, manifest: Manifest, policies: Policies) -> Mirror:
        made = object.__new__(cls)
        made._place, made._manifest, made._policies = place, manifest, policies
        return made

    def _refreshed(self) -> Manifest:
        from eventsourcing_kit.mirroring import updating

        self._manifest = updating.opened(self._place)
        return self._manifest

    # -- how it stands -----------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The last position that it holds; looked up at each call. Raises `StorageError` where it is gone."""
        return self._refreshed().position

    @property
    def digest(self) -> str | None:
        """The digest of that position, as `store.verify()` tells it; None of an empty log.

        Raises `StorageError` where the mirror is gone.
        """
        return self._refreshed().digest

    @property
    def buckets(self) -> int:
        """Into how many buckets its keys are divided."""
        return self._manifest.buckets

    @property
    def key(self) -> str | ByTags | None:
        """The field whose values are its keys, or `ek.TAGS…` where tags are; None where streams are."""
        return self._manifest.key

    def files(self) -> pd.DataFrame:
        """One row a file: path (as other tools open it), bucket, first and last position, rows, bytes.

        Raises `StorageError` where the mirror is gone.
        """
        import pandas as pd

        from eventsourcing_kit.reading import frames

        found = sorted(self._refreshed().files, key=lambda one: (one.bucket, one.first))
        numbers = ("bucket", "first", "last", "rows", "bytes")
        columns: dict[str, Any] = {
            "path": frames.strings(frames.objects([self._place.path(one.path) for one in found]))
        }
        columns |= {name: pd.array([getattr(one, name) for one in found], dtype="Int64") for name in numbers}
        return pd.DataFrame(columns)

    # -- kept current ------------------------------------------------------------------------------------------------

    def update(self, store: Mirrored, *, progress: bool | None = None) -> int:
        """Add what the store's log has got since; return the position that the mirror has now.

        It costs what is new, not what is there. One that is killed has changed nothing that anybody sees.

        Raises `StorageError` for a store that is not the mirrored one, or has lost events since, and where a storage
        fails; `InputError` for what is no store.
        """
        from eventsourcing_kit.mirroring import updating

        log = _log_of(store)
        log.refresh()
        with self._place.updating():
            manifest = self._refreshed()
            updating.check_same(manifest, log, self._place)
            self._manifest = _updated(self._place, manifest, log, progress)
        return self._manifest.position

    def follow(self, store: Mirrored) -> Subscription:
        """Update now, and again whenever the store has new events, until the subscription or the store is closed.

        The subscription is named after the mirror's place; it adds all that is there at once, so it keeps up with
        batches. Through a store that only reads it has no name, for the mirror itself knows how far it is.

        Raises what `update` raises: `StorageError` and `InputError`.
        """
        position = self.update(store)

        def add(event: Any) -> None:
            if event.position > self._manifest.position:
                self.update(store)

        name = None if _log_of(store).read_only else f"mirror {self._place}"
        return store.subscribe(add, after=position, name=name)

    def verify(self, store: Mirrored) -> Report:
        """Whether this is the store's mirror as of its position: same store, same digest there, every file whole.

        The report's `position` and `digest` are the mirror's. Damage is reported, not raised. Raises `InputError` for
        what is no store.
        """
        from eventsourcing_kit.mirroring import verifying

        log = _log_of(store)
        log.refresh()
        return verifying.verify(self._place, self._refreshed(), log)

    # -- asked -------------------------------------------------------------------------------------------------------

    def read(
        self,
        stream: str | None = None,
        *,
        category: str | None = None,
        types: str | type[Event] | Sequence[str | type[Event]] | None = None,
        query: Query | None = None,
        after: Moment | None = None,
        as_of: Moment | None = None,
        backwards: bool = False,
        limit: int | None = None,
    ) -> Read:
        """The mirrored events, lazily and in the log's order, each once; as `store.read`, with its arguments.

        Raises `InputError` for a question that no event can answer, `MomentError` for a moment behind the mirror's
        position.
        """
        from eventsourcing_kit.reading.read import asked

        return asked(self._view(), stream, category, types, query, after, as_of, backwards=backwards, limit=limit)

    def replay(
        self,
        projection: Projection | Decider,
        *,
        as_of: Moment | None = None,
        key: Any = EVERY,
        on: Any = None,
    ) -> Any:
        """Fold a projection as of a moment: equal to `store.replay`. Each bucket is folded by itself.

        Without `on` they are folded here, one after another. With a client of `dask.distributed` each is a task on its
        workers, which need the kit and a way to the mirror's place; its dashboard shows the progress, and a worker that
        is lost has its tasks done by others. A time behind the mirror's last event means all of the mirror.

        Raises `InputError` for a projection by another key than the mirror's (unless the mirror has one bucket) and for
        one that cannot be sent, `MomentError` for a moment behind the mirror's position, `ProjectionError` where a
        handler fails, `StorageError` where files are missing or damaged, or workers are lost again and again.
        """
        from eventsourcing_kit.mirroring import spread, tasks

        asked = self._asked(projection, key)
        parts = self._parts(as_of, key)
        label = f"replay-{asked.projection.name}"
        states = spread.merged(spread.each(tasks.replayed, parts, (asked,), on, label))
        if key is EVERY and not asked.projection.is_single:
            return states
        wanted = None if key is EVERY else key
        return states[wanted] if wanted in states else asked.projection.first_state()

    def history(self, projection: Projection | Decider, *, as_of: Moment | None = None, on: Any = None) -> Any:
        """Every state there was as a Dask DataFrame: the rows of `store.history(…).df()`, a bucket a partition.

        With `on`, workers fold now and keep the rows until they are computed; without, each bucket is folded here to
        learn the columns' types, and again when the frame is computed.

        Raises what `replay` raises: `InputError`, `MomentError`, `ProjectionError` and `StorageError`.
        """
        from eventsourcing_kit.mirroring import dask_frames, tasks

        asked = self._asked(projection, EVERY)
        parts, label = self._parts(as_of, EVERY), f"history-{asked.projection.name}"
        return dask_frames.history(tasks.history, parts, asked, on, label)

    def df(self, *, as_of: Moment | None = None, on: Any = None) -> Any:
        """The mirrored events as a Dask DataFrame: the rows of `store.read().df()`, each once, a bucket a partition.

        `on` is as in `history`. Raises `InputError` where Dask is not installed, `MomentError` for a moment behind the
        mirror's position, `StorageError` where files are missing or damaged.
        """
        from eventsourcing_kit.mirroring import dask_frames, tasks

        parts, given = self._parts(as_of, EVERY), (sending.definitions(None),)
        return dask_frames.events(tasks.events, parts, given, on)

    def _view(self) -> View:
        from eventsourcing_kit.mirroring.view import View

        return View(self._place, self._refreshed(), self._policies)

    def _asked(self, projection: Projection | Decider, key: Any) -> Any:
        from eventsourcing_kit.mirroring import tasks
        from eventsourcing_kit.writing.decider import projection_of

        found = projection_of(projection)
        self._check_key(found)
        check_key(found, key)
        return tasks.Asked(found, sending.definitions(found.types), key)

    def _check_key(self, projection: Projection) -> None:
        keys = {one.key for one in projection.every_handler} or {projection.key}
        if self.buckets == 1 or keys == {STREAM if self.key is None else self.key}:
            return
        own = "by stream" if self.key is None else f"by {self.key!r}"
        (one, *others) = keys
        need = "has one bucket (buckets=1), for it has all keys together"
        if not others and one is STREAM:
            need = "is by stream (key=None)"
        elif not others and isinstance(one, (str, ByTags)):
            need = f"has key={'' if isinstance(one, str) else 'ek.'}{one!r}"
        raise InputError(
            f"the mirror is {own} in {self.buckets} buckets, and {projection.name!r} folds by another key; it needs a "
            f"mirror that {need}, at another place: store.mirror(…)"
        )

    def _parts(self, as_of: Moment | None, key: Any) -> list[Part]:
        """What each bucket with events is to do; the only one that can hold a key, where one is asked for."""
        from eventsourcing_kit.mirroring import tasks

        view = self._view()
        upto = view.head.last if as_of is None else view.resolve(as_of)
        return tasks.parts(view, upto, key)

    def __repr__(self) -> str:
        one = self._manifest
        return f"<mirror {self._place.name}: {one.told}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def made(
    store: Mirrored,
    place: Any,
    *,
    buckets: int | None,
    key: str | ByTags | Unset | None,
    keep: float | None,
    progress: bool | None,
    patience: float | None,
    options: dict[str, Any],
) -> Mirror:
    """A store's mirror at a place, as it is there already, or written now; see `EventStore.mirror`."""
    from eventsourcing_kit.mirroring import manifest as manifests
    from eventsourcing_kit.mirroring import places, updating

    _check(buckets, key, keep)
    found = places.parse(place, options, SECONDS if patience is None else patience)
    log = _log_of(store)
    with found.updating():
        there = manifests.load(found)
        if there is None:
            found.check_free()
            wanted_key = None if isinstance(key, Unset) else key
            there = manifests.Manifest(
                log.store_id, buckets or BUCKETS, wanted_key, KEEP_HOURS if keep is None else keep
            )
            if not log.head.last:
                there.save(found)
            return Mirror._of(found, _updated(found, there, log, progress), log.policies)
        _check_same_shape(found, there, buckets, key)
        updating.check_same(there, log, found)
        if keep is not None and keep != there.keep:
            there = updating.kept_for(found, there, keep)
        updating.sweep(found, there)
    return Mirror._of(found, there, log.policies)


def _updated(place: Place, manifest: Manifest, log: Log, progress: bool | None) -> Manifest:
    from eventsourcing_kit.mirroring import updating
    from eventsourcing_kit.reading.progress import bar

    new = log.head.last - manifest.position
    with bar(new, progress, worth_it=new >= _WORTH_A_BAR) as advance:
        return updating.update(place, manifest, log, advance)


def _log_of(store: object) -> Log:
    found = getattr(store, "_log", None)
    if not isinstance(found, Log) or not hasattr(store, "subscribe"):
        raise InputError(f"{type(store).__name__} is no store; give one that is open, as ek.EventStore(…)")
    return found


def _check(buckets: object, key: object, keep: object) -> None:
    is_number = isinstance(buckets, int) and not isinstance(buckets, bool)
    if buckets is not None and not (is_number and 1 <= buckets <= MOST_BUCKETS):  # type: ignore[operator]  # it is one
        raise InputError(
            f"buckets is {buckets!r}; give a whole number from 1 to {MOST_BUCKETS}: about how many tasks there are to "
            "be, some times as many as there are workers"
        )
    if key is not None and not isinstance(key, (Unset, ByTags)) and not (isinstance(key, str) and key):
        raise InputError(f"key is {key!r}; give a field's name, ek.TAGS, or None for streams as keys")
    if keep is not None and (isinstance(keep, bool) or not isinstance(keep, (int, float)) or not keep >= 0):
        raise InputError(f"keep is {keep!r}; give a number of hours from 0")


def _check_same_shape(place: Place, there: Manifest, buckets: int | None, key: str | ByTags | Unset | None) -> None:
    other = [f"{there.buckets} buckets, not {buckets}"] if buckets not in (None, there.buckets) else []
    if not isinstance(key, Unset) and key != there.key:
        other.append(f"key={there.key!r}, not {key!r}")
    if other:
        raise InputError(
            f"there is a mirror at {str(place)!r} with {' and '.join(other)}; ek.Mirror(…) opens it as it is, and "
            "another one needs another place"
        )
