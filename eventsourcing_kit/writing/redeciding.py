"""Redeciding: the kept commands of a log, decided anew on a branch, and what that changes."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from eventsourcing_kit.errors import EventSourcingError, InputError
from eventsourcing_kit.events.event import NewEvent
from eventsourcing_kit.events.json_values import shown
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.folding.history import same
from eventsourcing_kit.reading import frames
from eventsourcing_kit.reading.read import Selection, recorded
from eventsourcing_kit.records.moment import to_us
from eventsourcing_kit.records.rows import Draft, Rows
from eventsourcing_kit.writing import kept_commands
from eventsourcing_kit.writing.append import Submission
from eventsourcing_kit.writing.checks import as_read, rows_of
from eventsourcing_kit.writing.kept_commands import ACCEPTED, REJECTED
from eventsourcing_kit.writing.picking import drafts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from eventsourcing_kit.events.event import RecordedEvent
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.records.record import Commit
    from eventsourcing_kit.writing.decider import Decider
    from eventsourcing_kit.writing.writer import Writer

    StateAt = Callable[[Decider, str, int], Any]

UNABLE = "unable"
_COMMITS_AT_ONCE = 256


class Decision(NamedTuple):
    """One command, as it was decided and as it is decided now."""

    position: int
    stream: str
    command: Any
    was: str
    now: str
    differs: bool
    follows: bool
    error: str | None


class Trial:
    """A log's commands, decided anew: `branch` is what the log would be; `df()` has one row a command.

    Columns: position (in the log that was tried), stream, command, was and now (accepted, rejected, or unable where the
    decider cannot take the command), differs, follows (whether the state that the command met differed already), error.
    """

    def __init__(self, name: str, branch: Any, decisions: list[Decision]) -> None:
        self.name, self.branch, self._decisions = name, branch, decisions

    def df(self) -> pd.DataFrame:
        """One row a command: position, stream, command, was, now, differs, follows, error."""
        import pandas as pd

        columns = dict(zip(Decision._fields, zip(*self._decisions, strict=True), strict=False))
        made = {name: list(columns.get(name, ())) for name in Decision._fields}
        texts = ("stream", "was", "now", "error")
        return pd.DataFrame(
            {
                name: pd.array(values, dtype="Int64") if name == "position"
                else pd.array(values, dtype="boolean") if name in ("differs", "follows")
                else frames.strings(frames.objects([pd.NA if one is None else one for one in values])) if name in texts
                else frames.objects(values)
                for name, values in made.items()
            }
        )  # fmt: skip

    def __repr__(self) -> str:
        differing = [one for one in self._decisions if one.differs]
        text = f"<trial of {self.name}: {len(differing)} of {counted(len(self._decisions), 'command')} differ"
        if differing:
            first = differing[0]
            text += f", first {shown(first.command)} of {first.stream!r} at position {first.position}: {first.now}"
        return text + ">"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


class Redeciding:
    """The way through a log: each command meets the state that there is on the branch by then."""

    def __init__(self, decider: Decider, log: Log, after: int, state_at: StateAt, *, stops: bool) -> None:
        self._decider, self._log, self._after, self._stops = decider, log, after, stops
        self._type = kept_commands.Place.of(decider.name, "").type
        self._were: dict[str, Any] = {}  # by stream the state on the base, by the same `evolve` …
        self._are: dict[str, Any] = {}  # … and on the branch
        self._state_at = state_at
        self.decisions: list[Decision] = []
        self._branch_id: uuid.UUID | None = None

    def run(self, branch: Log, writer: Writer) -> None:
        """Fill the branch; raises `InputError` where no command is kept, or one cannot be taken."""
        self._branch_id, waiting = branch.store_id, []
        for commit, rows in Selection(self._after, self._log.head.last).chunks(self._log):
            waiting.append(self._submission(commit, rows, branch.head.last))
            if len(waiting) == _COMMITS_AT_ONCE:
                writer.append_together(waiting)
                waiting = []
        writer.append_together(waiting)
        if not self.decisions:
            raise InputError(
                f"no commands of {self._decider.name!r} are kept behind position {self._after}; they are with "
                f"Decider(…, name={self._decider.name!r}, log_commands=True), from the next command on"
            )

    def _submission(self, commit: Commit, rows: Any, upto: int) -> Submission:
        drafts = list(zip(drafts_of(commit, rows), recorded(commit, rows), strict=True))
        led_to: defaultdict[str, list[tuple[Draft, RecordedEvent]]] = defaultdict(list)
        prefix = f"{self._decider.name}.commands-"
        commands = {
            str(event.id): event.stream.removeprefix(prefix)
            for _, event in drafts
            if event.type == self._type and event.stream.startswith(prefix)
        }
        for draft, event in drafts:
            cause = event.metadata.get("causation_id")
            if cause in commands and event.stream == commands[cause]:
                led_to[str(cause)].append((draft, event))
        decided = {id(draft) for several in led_to.values() for draft, _ in several}
        kept: list[tuple[Draft, int]] = []
        for draft, event in drafts:
            us = to_us(event.recorded_at)
            if str(event.id) in commands:
                found = self._decided(draft, event, commands[str(event.id)], led_to[str(event.id)])
                kept += [(one, us) for one in found]
            elif id(draft) not in decided:
                kept.append((draft, us))
                self._move_on(draft, event.data)
        return Submission(
            Rows.of([draft for draft, _ in kept]), times=[us for _, us in kept], new_upto=upto, again="redecide again"
        )

    def _move_on(self, draft: Draft, data: Any) -> None:
        """An event that stands on both sides."""
        for states in (self._were, self._are):
            if draft.stream in states:
                states[draft.stream] = self._decider.after(states[draft.stream], draft.type, draft.stream, data)

    def _decided(
        self, draft: Draft, event: RecordedEvent, stream: str, before: list[tuple[Draft, RecordedEvent]]
    ) -> Iterator[Draft]:
        """The command and its events, as they are decided now."""
        if stream not in self._are:
            self._are[stream] = self._were[stream] = self._state_before(stream, event)
        follows = not same(self._are[stream], self._were[stream])
        was, now, error, events = event.data["outcome"], ACCEPTED, None, []
        command = event.data["command"]
        try:
            command = kept_commands.command_in(event.data)
            events = self._decider.events_for(command, self._are[stream])
        except EventSourcingError as trouble:
            if self._stops:
                raise InputError(
                    f"{self._decider.name!r} cannot take the command at position {event.position}, "
                    f"{shown(command)}: {trouble}; with on_error=ek.SKIP its events stay as they were"
                ) from trouble
            now, error = UNABLE, kept_commands.told(trouble)
        except Exception as rejection:
            now, error = REJECTED, kept_commands.told(rejection)
        made = [draft for draft, _ in before] if now == UNABLE else self._drafts(stream, events, event, draft)
        is_same = now == UNABLE or _same_facts([old for old, _ in before], made)
        own = draft if now in (was, UNABLE) else self._changed(draft, event, now, error)
        if is_same:
            made = [old for old, _ in before]
        elif own is not draft:
            made = [replace(one, metadata={**(one.metadata or {}), "causation_id": str(own.id)}) for one in made]
        for old, one in before:
            self._were[stream] = self._decider.after(self._were[stream], old.type, stream, one.data)
        known = {id(old): one.data for old, one in before}
        for new in made:
            data = known[id(new)] if id(new) in known else as_read(new, NewEvent(type=new.type, data=new.data))
            self._are[stream] = self._decider.after(self._are[stream], new.type, stream, data)
        differs = now != was or not is_same
        self.decisions.append(Decision(event.position, stream, command, was, now, differs, follows, error))
        return iter([own, *made])

    def _state_before(self, stream: str, event: RecordedEvent) -> Any:
        return self._state_at(self._decider, stream, event.position - 1)

    def _drafts(self, stream: str, events: list[Any], event: RecordedEvent, command: Draft) -> list[Draft]:
        if not events:
            return []
        metadata = {**(command.metadata or {}), "causation_id": str(event.id)}
        return rows_of(stream, events, metadata).drafts()

    def _changed(self, draft: Draft, event: RecordedEvent, now: str, error: str | None) -> Draft:
        """The command with another outcome."""
        return replace(
            draft,
            data={**draft.data, "outcome": now, "error": error},
            id=uuid.uuid5(self._branch_id or uuid.NAMESPACE_URL, str(event.id)),
            metadata={**(draft.metadata or {}), "picked_from": str(event.id)},
        )


def _same_facts(old: list[Draft], new: list[Draft]) -> bool:
    """Whether the same was decided: types, data and tags."""
    facts = [[(one.type, one.data, one.occurred_us, set(one.tags)) for one in several] for several in (old, new)]
    return same(*facts)
