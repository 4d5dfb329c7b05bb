"""The commands of `ek`. Each opens the store to read it, beside its writer; only `load` writes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from eventsourcing_kit.errors import EventSourcingError, InputError, OutcomeUnknownError
from eventsourcing_kit.events.texts import counted
from eventsourcing_kit.formats.file import File
from eventsourcing_kit.store import EventStore
from eventsourcing_kit.terminal import asked, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

_BROKEN_OFF = 130  # as shells say of Ctrl-C


class Kit(click.Group):
    """The commands, whose errors are told without a traceback and by their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of the kit ends it."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except InputError as error:
            _fail(error, 2)
        except OutcomeUnknownError as error:
            _fail(error, 4)
        except EventSourcingError as error:
            _fail(error, 3)
        except KeyboardInterrupt:
            ctx.exit(_BROKEN_OFF)


def _fail(error: Exception, code: int) -> None:
    click.echo(f"{click.style('ek:', fg='red')} {error}", err=True)
    sys.exit(code)


def _example(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


_as_of = click.option("--as-of", metavar="MOMENT", help="As of a position, a time with its zone, or an event's id.")
_as_json = click.option("--json", "as_json", is_flag=True, help="For programs: an array of objects.")
_store = click.argument("store", metavar="STORE")
_projection = click.argument("projection", metavar="PROJECTION")


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--type", "types", multiple=True, metavar="NAME", help="Only events of a type; repeatable.")(
        command
    )
    command = click.option("--category", metavar="NAME", help="Only streams of a category.")(command)
    return click.option("--stream", metavar="NAME", help="Only one stream.")(command)


@click.group(
    cls=Kit,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExit codes:\n"
    "  0  done\n"
    "  1  the answer is no: `verify` found damage, `first` found nothing\n"
    "  2  a question or an input that cannot be meant\n"
    "  3  the store cannot be read or written\n"
    "  4  a load was broken off, and its last part may be stored or not\n"
    "  130  broken off with Ctrl-C",
)
@click.version_option(package_name="eventsourcing_kit", prog_name="ek")
def ek() -> None:
    """Ask an event store: what happened, what was true when, and which event did it.

    STORE is a folder or s3://bucket/prefix. It is read beside its writer; only `load` takes its place.
    PROJECTION is module:name, or path/to/file.py:name.
    """


def _opened(store: str) -> EventStore:
    return EventStore(store, read_only=True)


def _answer(rows: list[shown.Row], columns: Iterable[str], as_json: bool) -> None:
    if as_json:
        shown.print_json(rows)
    else:
        shown.print_table(list(columns), rows)


def _frame(frame: pd.DataFrame, as_json: bool) -> None:
    _answer(shown.frame_rows(frame), frame.columns, as_json)


# -- the log ----------------------------------------------------------------------------------------------------------


@ek.command(epilog=_example("ek log bank --stream account-1 --follow", "ek log bank --as-of 2026-01-05T12:00:00Z"))
@_store
@_filters
@click.option("--after", metavar="MOMENT", help="Only events after a moment.")
@_as_of
@click.option("-n", "--limit", type=click.IntRange(0), default=20, show_default=True, help="The last so many.")
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C; with --json an object a line.")
@_as_json
def log(
    store: str,
    stream: str | None,
    category: str | None,
    types: tuple[str, ...],
    after: str | None,
    as_of: str | None,
    limit: int,
    every: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """The last events, in the log's order."""
    if follow and as_of is not None:
        raise InputError("--follow goes on with what comes, and --as-of ends at a moment; give one of them")
    asks: dict[str, Any] = {"stream": stream, "category": category, "types": list(types) or None}
    with _opened(store) as opened:
        end = opened.position if as_of is None else asked.optional_moment(as_of)
        found = opened.read(
            **asks, after=asked.optional_moment(after), as_of=end, backwards=not every, limit=None if every else limit
        )
        events = found if every else reversed(list(found))
        if as_json and not follow:
            shown.print_json(map(shown.event_row, events))
            return
        line = (lambda event: shown.json_of(shown.event_row(event))) if as_json else shown.event_line
        for event in events:
            click.echo(line(event))
        for event in opened.follow(**asks, after=end) if follow else ():
            click.echo(line(event))


@ek.command(epilog=_example("ek streams bank --as-of 1000"))
@_store
@_as_of
@_as_json
def streams(store: str, as_of: str | None, as_json: bool) -> None:
    """The streams, in order of appearance."""
    with _opened(store) as opened:
        _frame(opened.streams(as_of=asked.optional_moment(as_of)), as_json)


@ek.command(epilog=_example("ek types bank --json"))
@_store
@_as_of
@_as_json
def types(store: str, as_of: str | None, as_json: bool) -> None:
    """The event types, and how many events there are of each."""
    with _opened(store) as opened:
        _frame(opened.types(as_of=asked.optional_moment(as_of)), as_json)


@ek.command(epilog=_example("ek trace bank 17"))
@_store
@click.argument("event", metavar="EVENT")
@_as_json
def trace(store: str, event: str, as_json: bool) -> None:
    """What led to an event, and what it led to.

    EVENT is a position or an id. The tree is that of `causation_id` in the events' metadata.
    """
    from eventsourcing_kit.terminal import causes

    with _opened(store) as opened:
        tree = causes.tree(opened, asked.moment(event))
        nodes = [("", tree.root), *shown.tree_lines(tree.children, tree.root)]
        if as_json:
            depths = ((len(branch) // 3, tree.events.get(id_)) for branch, id_ in nodes)
            rows = ({"depth": depth} | shown.event_row(one) for depth, one in depths if one is not None)
            shown.print_json(rows)
            return
        for branch, id_ in nodes:
            one = tree.events.get(id_)
            told = (
                f"caused by {id_}, which is no event of this store" if one is None else shown.event_line(one, width=0)
            )
            is_asked = one is not None and event in (str(one.position), id_)
            click.echo(f"{branch}{told}{click.style('  <- asked for', fg='yellow') if is_asked else ''}")


# -- time travel ------------------------------------------------------------------------------------------------------


@ek.command(epilog=_example("ek state bank bank:balance --as-of 2026-01-05T12:00:00Z"))
@_store
@_projection
@click.option("--key", metavar="KEY", help="Only one key; as JSON where it is no text.")
@_as_of
@_as_json
def state(store: str, projection: str, key: str | None, as_of: str | None, as_json: bool) -> None:
    """The state of each key as of a moment."""
    fold = asked.named(projection)
    with _opened(store) as opened:
        answer = opened.replay(fold, as_of=asked.optional_moment(as_of))
    states = answer if isinstance(answer, dict) and not getattr(fold, "is_single", False) else {None: answer}
    if key is not None:
        states = {found: states[found] for found in [asked.key(key, states)]}
    rows = [{"key": one, "state": value} for one, value in states.items()]
    _answer(rows, ["state"] if list(states) == [None] else ["key", "state"], as_json)


@ek.command(epilog=_example("ek diff bank bank:balance 100 2026-01-05T12:00:00Z"))
@_store
@_projection
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
@_as_json
def diff(store: str, projection: str, before: str, after: str, as_json: bool) -> None:
    """What differs between two moments, and which event did it."""
    with _opened(store) as opened:
        _frame(opened.history(asked.named(projection)).diff(asked.moment(before), asked.moment(after)), as_json)


@ek.command(epilog=_example("ek blame bank bank:balance account-1"))
@_store
@_projection
@click.argument("key", metavar="KEY", required=False)
@_as_of
@_as_json
def blame(store: str, projection: str, key: str | None, as_of: str | None, as_json: bool) -> None:
    """Each field of a key's state, and the event that set it."""
    with _opened(store) as opened:
        history = opened.history(asked.named(projection), as_of=asked.optional_moment(as_of))
        states = history.at(history.as_of)
        meant = None if key is None else asked.key(key, states if isinstance(states, dict) else {})
        _frame(history.blame(meant), as_json)


@ek.command(epilog=_example("ek first bank bank:balance 'state < 0'"))
@_store
@_projection
@click.argument("condition", metavar="CONDITION")
@_as_of
@_as_json
def first(store: str, projection: str, condition: str, as_of: str | None, as_json: bool) -> None:
    """The event after which a state met a condition.

    CONDITION is FIELD < VALUE (or <= > >= = !=), or module:name of a function of a state. Exit code 1 where no state
    met it.
    """
    from eventsourcing_kit.folding.history import fields_of

    fold = asked.named(projection)
    is_named = ":" in condition and not any(sign in condition for sign in "<>=")
    predicate: Any = asked.named(condition) if is_named else asked.Condition(condition, fields_of)
    with _opened(store) as opened:
        found = opened.history(fold, as_of=asked.optional_moment(as_of)).first(predicate)
    if found is None and isinstance(predicate, asked.Condition):
        predicate.check()
    if as_json:
        shown.print_json([] if found is None else [shown.event_row(found)])
    elif found is not None:
        click.echo(shown.event_line(found))
    else:
        click.echo("none", err=True)
    if found is None:
        sys.exit(1)


@ek.command(epilog=_example("ek explore bank bank:balance incident.html --field amount --field owner"))
@_store
@_projection
@click.argument("file", metavar="FILE")
@click.option("--field", "fields", multiple=True, metavar="NAME", help="Only these fields; repeatable. All without.")
@_as_of
@_as_json
def explore(store: str, projection: str, file: str, fields: tuple[str, ...], as_of: str | None, as_json: bool) -> None:
    """Make a page that travels through time.

    One HTML file that works offline; FILE#position=1234 opens it there. It holds what the fields say, so name them
    where not everybody who gets it may read all.
    """
    from eventsourcing_kit.exploring.view import explore

    with _opened(store) as opened:
        history = opened.history(asked.named(projection), as_of=asked.optional_moment(as_of))
        explore(history, fields=list(fields) or None).save(file)
    if as_json:
        shown.print_json([{"path": file, "position": history.as_of}])
    else:
        click.echo(f"{file}: as of position {history.as_of}")


# -- the store --------------------------------------------------------------------------------------------------------


@ek.command(epilog=_example("ek verify bank --expect 1000:9f86d081…"))
@_store
@click.option("--expect", metavar="POSITION:DIGEST", help="Where the log was at a position noted earlier.")
@_as_json
def verify(store: str, expect: str | None, as_json: bool) -> None:
    """Check that nothing in the log was changed.

    The whole log is walked, with every index. Exit code 1 where something was changed or lost.
    """
    noted = None
    if expect is not None:
        position, colon, digest = expect.partition(":")
        if not colon or not position.isdigit():
            raise InputError(f"--expect is {expect!r}; give a position and its digest, as in 1000:9f86…")
        noted = (int(position), digest)
    with _opened(store) as opened:
        report = opened.verify(expected=noted)
    if as_json:
        names = ("ok", "position", "digest", "commits", "events", "streams", "first_bad", "is_complete")
        findings = [{name: getattr(one, name) for name in one.__slots__} for one in report.findings]
        shown.print_json([{name: getattr(report, name) for name in names} | {"findings": findings}])
    else:
        click.secho(repr(report), fg="green" if report.ok else "red")
        click.echo(f"{report.position}:{report.digest}")
    if not report.ok:
        sys.exit(1)


@ek.command(epilog=_example("ek load orders orders.csv --stream order --type what --recorded-at at --tz Europe/Berlin"))
@_store
@click.argument("file", metavar="FILE")
@click.option("--stream", metavar="COLUMN", help="What an event is about.")
@click.option("--type", metavar="COLUMN", help="What happened.")
@click.option("--recorded-at", metavar="COLUMN", help="When it was recorded.")
@click.option("--occurred-at", metavar="COLUMN", help="When it happened, where that differs.")
@click.option("--id", metavar="COLUMN", help="The event's id.")
@click.option("--data", metavar="COLUMN", help="All data, as JSON.")
@click.option("--metadata", metavar="COLUMN", help="Metadata, as JSON.")
@click.option("--tags", metavar="COLUMN", help="What it is about beside its stream, as JSON.")
@click.option("--unit", type=click.Choice(["s", "ms", "us", "ns"]), help="What numbers count since 1970.")
@click.option("--tz", metavar="ZONE", help="The zone of times without one.")
@click.option("--dayfirst/--monthfirst", default=None, help="Whether 03/04 is in April.")
@click.option("--known", type=click.Choice(["error", "skip"]), default="error", help="What of events that are there.")
@_as_json
def load(store: str, file: str, as_json: bool, **keywords: Any) -> None:
    """Load a file into a store.

    The store may be there or not; this becomes its writer. The file's format is told by what it holds.
    """
    _ = File(file).container  # before this takes the writer's place
    with EventStore(store) as opened:
        before = opened.position
        position = opened.load(file, **keywords)
    if as_json:
        shown.print_json([{"events": position - before, "position": position}])
    else:
        click.echo(f"loaded {counted(position - before)}; {store} is at position {position}")


@ek.command(epilog=_example("ek export bank bank.parquet", "ek export bank account-1.ndjson --stream account-1"))
@_store
@click.argument("file", metavar="FILE")
@_filters
@click.option("--after", metavar="MOMENT", help="Only events after a moment.")
@_as_of
@click.option("--lossy", is_flag=True, help="Leave out what the format has no place for.")
@_as_json
def export(
    store: str,
    file: str,
    stream: str | None,
    category: str | None,
    types: tuple[str, ...],
    after: str | None,
    as_of: str | None,
    lossy: bool,
    as_json: bool,
) -> None:
    """Write events to a file.

    The ending names the format. What it has no place for is listed, and nothing is written without --lossy.
    """
    with _opened(store) as opened:
        read = opened.read(
            stream,
            category=category,
            types=list(types) or None,
            after=asked.optional_moment(after),
            as_of=asked.optional_moment(as_of),
        )
        read.export(file, lossy=lossy)
        position = read.selection.upto
    if as_json:
        shown.print_json([{"path": file, "position": position}])
    else:
        click.echo(f"{file}: as of position {position}")
