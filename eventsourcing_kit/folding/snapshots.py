"""Snapshots: saved states from which replays go on. Only ever an optimisation: every answer is the same without.

A snapshot is a note beside the log. Its name holds the fingerprint of the fold's code and what it is of: one stream's
state, or the states of all keys. Its number is the position as of which it holds. It says, too, of which event types it
was folded, and with which classes: where one of them has changed since, it is passed over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import from_json, to_json

from eventsourcing_kit.errors import EventSourcingError, InputError, ProjectionError
from eventsourcing_kit.events import fingerprint, renames, schema, upcasters
from eventsourcing_kit.events.callables import is_lazy
from eventsourcing_kit.events.wanted import EVERY_TYPE, meant
from eventsourcing_kit.folding import state_json
from eventsourcing_kit.folding.replay import EVERY, Tally, fold, fold_facts, versioned_facts
from eventsourcing_kit.folding.state_json import NotKeptError
from eventsourcing_kit.reading.read import Selection
from eventsourcing_kit.records.unknown import Policies
from eventsourcing_kit.storage import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from eventsourcing_kit.folding.projection import Projection
    from eventsourcing_kit.folding.replay import Fact
    from eventsourcing_kit.log.log import Log

    Note = Callable[[list[tuple[bytes, bytes | None]]], None]
    Reading = Callable[[str], str | None]

KIND = "snapshot"
WHOLE = ""  # the scope of all keys; any other scope is a stream's name
_LOOKS_BACK = 8  # how many snapshots whose event types have changed are passed over before the fold begins anew
_NOTES_A_WRITE = 200
_FORMAT = 1


@dataclass
class Base:
    """Where a fold goes on from: the states as of a position, a stream's version there, the types folded so far."""

    position: int = 0
    version: int = 0
    states: dict[Any, Any] = field(default_factory=dict)
    types: frozenset[str] = frozenset()


class CodeFingerprint(NamedTuple):
    """What a fold's code is: its fingerprint, None where there is none, and the classes that it names."""

    text: str | None
    classes: Mapping[str, type]


def code_of(projection: Projection) -> CodeFingerprint:
    """The fingerprint of a projection's handlers, keys and first state."""
    text, walk = fingerprint.of(*_parts(projection))
    return CodeFingerprint(text, walk.classes)


def _parts(projection: Projection) -> list[Any]:
    """What a projection does."""
    parts: list[Any] = [_FORMAT, projection.key, projection.initial]
    if projection.declared is not None:
        return [_FORMAT, projection.key, *projection.declared.parts]
    if projection.types is None:
        parts += [(one.function, one.key) for name, one in projection.registered if name == EVERY_TYPE]
    for name in sorted(meant(frozenset(projection.names) - {EVERY_TYPE})):
        parts += [name, *((one.function, one.takes_record, one.key) for one in projection.handlers[name])]
    return parts


def reading_of(name: str, *, strict: bool = True) -> str | None:
    """The fingerprint of how stored events of a type are read today; None where there is none."""
    name = renames.current(name)
    kind = schema.registered(name)
    links = [(version, link.function) for version, link in sorted(upcasters.of(name).items())]
    known = [] if kind is None else [kind.cls, kind.version]
    text, _ = fingerprint.of(name, renames.former(name), links, *known, strict=strict)
    return text


class FoldFingerprint:
    """The code and the event classes by which states are folded, for as long as they are the same objects.

    What has no fingerprint counts by its type: such a fold has no snapshots, but its changes can be noticed.
    """

    def __init__(self, projection: Projection) -> None:
        self._projection, self._generation = projection, schema.generation()
        self._shape = self._shape_now()
        text, self._walk = fingerprint.of(*_parts(projection), strict=False)
        self.text = text or "too deep to follow"
        self._readings: dict[str, str | None] = {}

    def _shape_now(self) -> Any:
        """What may be set or added to a projection after it was made."""
        own = self._projection
        return own.key, own.initial, list(own.registered)

    def still_holds(self) -> bool:
        """Whether a state folded then would be the same today."""
        same = self._generation == schema.generation() and self._walk.still_holds()
        return same and self._shape == self._shape_now()

    def reading(self, name: str) -> str | None:
        """How stored events of a type are read."""
        if name not in self._readings:
            self._readings[name] = reading_of(name, strict=False)
        return self._readings[name]


class Snapshots:
    """A store's snapshots: found, used, and (with a `note` that stores rows) taken."""

    def __init__(self, log: Log, note: Note | None) -> None:
        self._log, self._note = log, note
        self.met: dict[str, str | None] = {}  # by a projection's name: its newest fingerprint
        self.refused: dict[str, str] = {}  # by a projection's name: why its states are not kept

    # -- used --------------------------------------------------------------------------------------------------------

    def fold(
        self, projection: Projection, selection: Selection, *, only: Any = EVERY, tally: Tally | None = None
    ) -> Base:
        """As `replay.fold`, from the nearest snapshot on; leaves one behind where many events had to be folded."""
        tally = Tally() if tally is None else tally
        scope = self._scope(projection, selection)
        code = CodeFingerprint(None, {}) if scope is None else self.code(projection)
        if scope is None or code.text is None:
            states = fold(projection, self._log, selection, only=only, tally=tally)
            return Base(selection.upto, 0, states, frozenset(tally.types))
        base = self.nearest(code, scope, selection.upto)
        states = {key: state for key, state in base.states.items() if only is EVERY or key == only}
        rest = replace(selection, after=base.position, after_version=base.version)
        states = fold(projection, self._log, rest, only=only, states=states, tally=tally)
        end = Base(selection.upto, base.version, states, base.types | tally.types)
        due = isinstance(projection.snapshots, int) and tally.events >= projection.snapshots
        if due and (scope != WHOLE or only is EVERY):
            self.leave(projection, scope, end)
        return end

    def starts(self, projection: Projection, selection: Selection, moments: Sequence[int]) -> list[int]:
        """For each position, that of the snapshot from which such a fold would go on; 0 is the beginning."""
        scope = self._scope(projection, selection)
        code = CodeFingerprint(None, {}) if scope is None else self.code(projection)
        if scope is None or code.text is None:
            return [0] * len(moments)
        notes = [(at, self._base(code, at, value)) for _, at, value in self._log.notes(KIND, _name(code, scope))]
        positions, found = [at for at, _ in notes], []
        for one in moments:
            last = bisect_right(positions, one)
            near = reversed(notes[max(last - _LOOKS_BACK, 0) : last])
            found.append(next((at for at, base in near if base is not None), 0))
        return found

    def _scope(self, projection: Projection, selection: Selection) -> str | None:
        """What a snapshot for this fold is of; None where there is none."""
        skips = self._log.policies.skips  # what is skipped leaves no trace
        if projection.snapshots is None or selection.category is not None or skips:
            return None
        return WHOLE if selection.stream is None else selection.stream

    def code(self, projection: Projection) -> CodeFingerprint:
        """A projection's fingerprint, remembered as the newest under its name."""
        code = code_of(projection)
        self.met[projection.name] = code.text
        if code.text is None:
            self.refused[projection.name] = "its code reaches something that has no fingerprint"
        return code

    def nearest(self, code: CodeFingerprint, scope: str, upto: int) -> Base:
        """The newest snapshot up to a position that today's code may go on from; else the beginning."""
        name = _name(code, scope)
        for _ in range(_LOOKS_BACK):
            found = self._log.last_note(KIND, name, upto)
            if found is None:
                break
            base = self._base(code, *found)
            if base is not None:
                return base
            upto = found[0] - 1
        return Base()

    def _base(self, code: CodeFingerprint, position: int, value: bytes) -> Base | None:
        """A snapshot, read; None where it does not belong to this store, or to today's event classes."""
        body = from_json(value)
        if not self.is_readable(body):
            return None
        try:
            states = {key: state_json.load(written, code.classes) for key, written in body["states"]}
        except Exception:  # whatever a class raises that reads it: then it is folded anew
            return None
        return Base(position, body["version"], states, frozenset(body["types"]))

    def is_readable(self, body: dict[str, Any], reading: Reading = reading_of) -> bool:
        """Whether a snapshot is of this store, and its events would be read today as they were then."""
        types: dict[str, str | None] = body["types"]
        same = all(text is not None and reading(name) == text for name, text in types.items())
        return same and body["store"] in map(str, self._log.lineage) and self._would_not_fail(body.get("policies", {}))

    def _would_not_fail(self, policies: dict[str, Any]) -> bool:
        """Whether the events that were folded under some policies are none at which those of today fail."""
        then, today = (dataclasses.asdict(one) for one in (Policies(**policies), self._log.policies))
        return all(then[name] in (policy, "fail") for name, policy in today.items())

    # -- taken -------------------------------------------------------------------------------------------------------

    def leave(self, projection: Projection, scope: str, end: Base) -> None:
        """Save states in passing; what does not work is left, for nobody asked for it."""
        if self._note is None:
            return
        if scope != WHOLE:
            end = replace(end, version=self._log.version(scope, end.position))
        with contextlib.suppress(EventSourcingError):
            self._store([row for row in [self._row(projection, self.code(projection), scope, end)] if row is not None])

    def after_command(self, projection: Projection, stream: str, before: int, end: Base, data: Iterable[Any]) -> None:
        """Save a stream's state after a command's events, where the policy says so."""
        policy = projection.snapshots
        if policy is None or self._note is None:
            return
        try:
            due = any(policy(end.states.get(stream, projection.first_state()), one) for one in data) if callable(
                policy
            ) else end.version // policy > before // policy  # fmt: skip
        except Exception as error:  # the command is stored: a snapshot is not worth an error
            self.refused[projection.name] = f"its policy failed: {type(error).__name__}: {error}"
            return
        if due and self._scope(projection, Selection(0, end.position, stream=stream)) is not None:
            self.leave(projection, stream, end)

    def take(self, projection: Projection) -> int:
        """Fold the whole log and save what the policy says on the way, and all keys' states at the end."""
        if projection.snapshots is None:
            raise InputError(
                f"{projection!r} has no policy for snapshots; give it one: snapshots=100, or a function of "
                "(state, event)"
            )
        selection = Selection(0, self._log.head.last, types=projection.types)
        code = self.code(projection)
        if self._note is None or code.text is None or self._scope(projection, selection) is None:
            return 0
        rows: list[tuple[bytes, bytes]] = []
        taken, reading = 0, cache(reading_of)
        for scope, base in self._due(projection, selection):
            row = self._row(projection, code, scope, base, reading)
            rows += [] if row is None else [row]
            if len(rows) >= _NOTES_A_WRITE:
                self._store(rows)
                taken, rows = taken + len(rows), []
        self._store(rows)
        return taken + len(rows)

    def _due(self, projection: Projection, selection: Selection) -> Iterable[tuple[str, Base]]:
        """What is to be saved: of each stream, where streams are the keys, else of all keys; at last, of all keys."""
        policy, states = projection.snapshots, dict[Any, Any]()
        counts: dict[str, int] = {}
        room = (
            0  # of all keys' states, as many are saved as events were folded: every 100 events it would be the square
        )
        types: dict[str, set[str]] = {}
        seen: set[str] = set()
        by_stream, handlers = projection.is_by_stream, projection.handlers
        for fact, version in versioned_facts(projection, self._log, selection):
            scope = fact.stream if by_stream else WHOLE
            states = fold_facts(projection, [fact], states=states, handlers=handlers)
            counts[scope] = counts.get(scope, 0) + 1
            types.setdefault(scope, set()).add(fact.type)
            seen.add(fact.type)
            if callable(policy):
                state = states.get(fact.stream if by_stream else None, projection.begun())
                one_state = by_stream or projection.is_single
                judged = projection.shown(state) if one_state else projection.all_shown(states)
                due = _is_due(projection, policy, judged, fact)
            else:
                due = policy is not None and counts[scope] % policy == 0
            room += scope == WHOLE
            if due and (scope != WHOLE or len(states) <= room):
                room -= len(states)
                held = {k: states[k] for k in ([scope] if scope != WHOLE else list(states)) if k in states}
                yield scope, Base(fact.position, version if scope != WHOLE else 0, held, frozenset(types[scope]))
        if selection.upto:
            yield WHOLE, Base(selection.upto, 0, dict(states), frozenset(seen))

    def _row(
        self, projection: Projection, code: CodeFingerprint, scope: str, base: Base, reading: Reading = reading_of
    ) -> tuple[bytes, bytes] | None:
        """A snapshot as a note's row; None where its states would not read back the same."""
        types = {name: reading(name) for name in sorted(base.types)}
        if code.text is None or None in types.values():
            self.refused[projection.name] = "its code, or an event's class, reaches something that has no fingerprint"
            return None
        try:
            states = [[_kept_key(key), state_json.dump(one, code.classes)] for key, one in base.states.items()]
        except NotKeptError as error:
            self.refused[projection.name] = str(error)
            return None
        self.refused.pop(projection.name, None)
        body = {
            "name": projection.name,
            "store": str(self._log.store_id),
            "version": base.version,
            "types": types,
            "states": states,
        }
        if self._log.policies != Policies():
            body["policies"] = dataclasses.asdict(self._log.policies)
        return keys.note(KIND, _name(code, scope), base.position), to_json(body)

    def _store(self, rows: list[tuple[bytes, bytes]]) -> None:
        if rows and self._note is not None:
            self._note([(key, value) for key, value in rows])

    # -- removed -----------------------------------------------------------------------------------------------------

    def is_current(self, name: str, text: str, body: dict[str, Any], reading: Reading = reading_of) -> bool | None:
        """Whether replays would use a snapshot; None for a projection that was not met yet."""
        return (self.met[name] == text and self.is_readable(body, reading)) if name in self.met else None

    def drop(self, names: Iterable[str], abandoned: Iterable[str]) -> int:
        """Remove snapshots of some names that replays would not use, and all of abandoned names; return how many."""
        outdated, gone = set(names), set(abandoned)
        kept, rows, reading = set[str](), list[tuple[bytes, bytes | None]](), cache(reading_of)
        for note, position, value in self._log.notes(KIND):
            text, _ = name_of(note)
            body = from_json(value)
            name = body["name"]
            kept.add(name)
            if name in gone or (name in outdated and self.is_current(name, text, body, reading) is False):
                rows.append((keys.note(KIND, note, position), None))
        unknown = sorted(gone - kept)
        if unknown:
            raise InputError(f"there is no snapshot named {unknown[0]!r}; there are those of: {sorted(kept)}")
        for at in range(0, len(rows), _NOTES_A_WRITE):
            if self._note is not None:
                self._note(rows[at : at + _NOTES_A_WRITE])
        return len(rows)


def _is_due(projection: Projection, policy: Callable[[Any, Any], bool], state: Any, fact: Fact) -> bool:
    try:
        due = policy(state, fact.data)
        if is_lazy(due):
            raise TypeError(f"it returned {due!r}; return True or False")
        return bool(due)
    except Exception as error:
        raise ProjectionError(
            f"the function of (state, event) that says when {projection.name!r} has snapshots failed at position "
            f"{fact.position} on {fact.data!r}: {type(error).__name__}: {error}; the state was {state!r}"
        ) from error


def _name(code: CodeFingerprint, scope: str) -> str:
    return json.dumps([code.text, scope], ensure_ascii=False)


def name_of(note: str) -> tuple[str, str]:
    """The fingerprint and the scope in a note's name."""
    text, scope = json.loads(note)
    return text, scope


def _kept_key(key: Any) -> Any:
    if type(key) not in (str, int, bool, type(None)):
        raise NotKeptError(f"a key of type {type(key).__name__}, which JSON does not keep")
    return key
