"""The explorer's view as code sees it: what it points at, what it saves, what a notebook is given."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter

import eventsourcing_kit as ek
from eventsourcing_kit.exploring import picture, values

VIEW = "application/vnd.jupyter.widget-view+json"
MARKUP = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def store() -> ek.EventStore:
    made = ek.EventStore(clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1h"), seed=1)
    for stream, amount in (("a", 5), ("b", 20), ("a", 7)):
        made.append(stream, ek.NewEvent(type="Paid", data={"amount": amount, "by": MARKUP}))
    return made


@pytest.fixture
def paid() -> ek.Projection:
    return ek.Projection("paid", fields={"paid": ek.fold.total("Paid", "amount")})


def test_a_view_begins_at_the_end_and_takes_any_moment(store: ek.EventStore, paid: ek.Projection) -> None:
    view = ek.explore(store, paid)
    assert (view.moment, view.key) == (3, "a")
    view.moment = "2026-01-05T10:30:00Z"
    assert (view.moment, view.key) == (2, "b")
    view.moment = 0
    assert (view.moment, view.key) == (0, None)


@pytest.mark.parametrize("moment", [4, -1, "2026-01-05", 1.5, True])
def test_what_is_no_moment_of_the_history_is_refused(store: ek.EventStore, paid: ek.Projection, moment: Any) -> None:
    view = ek.explore(store, paid)
    with pytest.raises(ek.MomentError):
        view.moment = moment
    assert view.moment == 3


def test_a_key_is_chosen_until_the_choice_is_taken_back(store: ek.EventStore, paid: ek.Projection) -> None:
    view = ek.explore(store.history(paid))
    view.key = "b"
    view.moment = 1
    assert view.key == "b"
    view.key = None
    assert view.key == "a"
    with pytest.raises(ek.InputError, match="it has 'a', 'b'"):
        view.key = "c"


def test_a_decider_is_explored_as_well(store: ek.EventStore) -> None:
    decider = ek.Decider(decide=lambda c, s: [], evolve=lambda state, event: state + event["amount"], initial=lambda: 0)
    assert ek.explore(store, decider).moment == 3


@pytest.mark.parametrize("given", [(), ("store",), ("store", "store"), ("history", "projection"), ("frame",)])
def test_what_is_nothing_to_explore_is_refused(store: ek.EventStore, paid: ek.Projection, given: Any) -> None:
    things = {"store": store, "projection": paid, "history": store.history(paid), "frame": store.read().df()}
    with pytest.raises((ek.InputError, TypeError)):
        ek.explore(*[things[name] for name in given])


def test_a_branch_and_its_base_are_told_apart_where_a_key_is_in_one_only(
    store: ek.EventStore, paid: ek.Projection, tmp_path: Path
) -> None:
    branch = store.branch(as_of=2)
    branch.append("only-here", ek.NewEvent(type="Paid", data={"amount": 1}))
    base, other = store.history(paid), branch.history(paid)
    assert "only-here: paid — | 1" in repr(ek.compare(base, other))
    ek.explore(base, other).save(tmp_path / "page.html")
    assert (tmp_path / "page.html").exists()


class Page(HTMLParser):
    """The elements of a page, each with its attributes and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[list[Any]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append([tag, dict(attributes), ""])

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.elements[-1][2] += data


def test_a_page_loads_nothing_and_holds_no_markup_of_the_data(
    store: ek.EventStore, paid: ek.Projection, tmp_path: Path
) -> None:
    ek.explore(store, paid).save(tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    tags = [tag for tag, _, _ in page.elements]
    assert tags.count("script") == 2
    assert not {"img", "link", "iframe", "object"} & set(tags)
    assert not [attributes for _, attributes, _ in page.elements if {"src", "href", "style"} & set(attributes)]
    policy = next(attributes["content"] for _, attributes, _ in page.elements if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_equal_histories_make_equal_pages(store: ek.EventStore, paid: ek.Projection, tmp_path: Path) -> None:
    for name in ("one", "two"):
        ek.explore(store, paid).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_page_of_10_000_events_takes_300_kilobytes(tmp_path: Path) -> None:
    store = ek.EventStore(seed=1)
    for start in range(0, 10_000, 1000):
        amounts = [(n * 7919) % 500 for n in range(start, start + 1000)]
        store.append_many(
            ek.Append(f"account-{(n * 31) % 700}", ek.NewEvent(type="Paid", data={"amount": n})) for n in amounts
        )
    ek.explore(store, ek.Projection("paid", fields={"paid": ek.fold.total("Paid", "amount")})).save(tmp_path / "page")
    assert (tmp_path / "page").stat().st_size <= 300_000


def test_the_module_is_small_enough_to_read() -> None:
    source = Path(ek.__file__).parent / "exploring" / "explorer.mjs"
    text = source.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 2000
    assert len(text.encode()) <= 120_000
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|^import ", text)


def test_a_notebook_gets_a_widget_a_picture_and_a_line(store: ek.EventStore, paid: ek.Projection) -> None:
    bundle, metadata = ek.explore(store, paid)._repr_mimebundle_()
    assert set(bundle) == {VIEW, "image/png", "text/plain"}
    assert bundle["text/plain"] == "<explorer of paid: 3 events, 2 keys, at 3>"
    assert base64.b64decode(bundle["image/png"])[:4] == b"\x89PNG"
    assert len(bundle["image/png"]) < 30_000
    assert metadata["image/png"]["width"] == 860


def test_an_export_shows_the_picture_where_nothing_runs(store: ek.EventStore, paid: ek.Projection) -> None:
    bundle, metadata = ek.explore(store, paid)._repr_mimebundle_()
    shown = nbformat.v4.new_output("execute_result", data=bundle, metadata=metadata, execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("view", outputs=[shown])])
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    assert "data:image/png;base64," in body


def test_the_picture_is_drawn_of_the_moment_and_holds_no_markup(store: ek.EventStore, paid: ek.Projection) -> None:
    house = values.House.of(None, lambda name, value: MARKUP if name == "key" else value)
    drawn = picture.svg(store.history(paid), 2, house)
    assert "position 2 of 3 · 2026-01-05T10:00:00Z" in drawn
    assert "<img" not in drawn
    assert drawn == picture.svg(store.history(paid), 2, house)


def settled(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold, as what another thread does."""
    return any(holds() or time.sleep(0.05) for _ in range(200))


def test_a_store_that_grows_is_followed(store: ek.EventStore, paid: ek.Projection) -> None:
    """Who stands at the end goes along; who looks at the past, or at a history, stays."""
    here, past, fixed = ek.explore(store, paid), ek.explore(store, paid), ek.explore(store.history(paid))
    past.moment = 1
    for view in (here, past, fixed):
        view._repr_mimebundle_()
    store.append("c", ek.NewEvent(type="Paid", data={"amount": 1}))
    assert settled(lambda: here.moment == 4)
    assert settled(lambda: "4 events" in repr(past))
    assert (here.key, past.moment, repr(fixed)) == ("c", 1, "<explorer of paid: 3 events, 2 keys, at 3>")


def test_nobody_follows_a_store_that_is_closed(store: ek.EventStore, paid: ek.Projection) -> None:
    before = set(threading.enumerate())
    view = ek.explore(store, paid)
    view._repr_mimebundle_()
    followers = set(threading.enumerate()) - before
    assert [one.name for one in followers] == ["eventsourcing-kit-explorer"]
    store.close()
    assert settled(lambda: not any(one.is_alive() for one in followers))
