"""Real logs by other people, where they lie beside the repository: loaded whole, and held against a ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import eventsourcing_kit as ek

DATA = Path(__file__).parents[2] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the folder with other people's logs is not there")

PROCESS = {"stream": "case:concept:name", "type": "concept:name", "recorded_at": "time:timestamp"}


@pytest.fixture
def git() -> ek.EventStore:
    """The history of a git repository, one stream a path, in the log's own order."""
    frame = pd.read_csv(DATA / "git_nbval.events.csv")
    assert frame["position"].is_monotonic_increasing
    for name in ("recorded_at", "occurred_at"):
        frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
    return ek.from_frame(
        frame, stream="stream_id", type="event_type", recorded_at="recorded_at", occurred_at="occurred_at"
    )


def files() -> ek.Projection:
    """Which files there are: a key a path, which its deletion ends."""
    made = ek.Projection("files", initial=lambda: 0)
    made.on("FileAdded", "FileModified")(lambda changes, event: changes + 1)
    made.on("FileDeleted")(lambda changes, event: ek.GONE)
    return made


def test_the_git_log_replays_to_exactly_gits_file_lists(git: ek.EventStore) -> None:
    """At each of 14 commits, by position, by id, by replay, by history and by one state over the whole log."""
    truth = json.loads((DATA / "git_nbval.truth.json").read_text())
    assert len(truth) == 14
    assert git.read().df()["data_position"].tolist() == list(range(1, 499))
    listing: Any = ek.Projection("listing", initial=frozenset, key=None)
    listing.on("FileAdded")(lambda paths, event, recorded: paths | {recorded.stream})
    listing.on("FileDeleted")(lambda paths, event, recorded: paths - {recorded.stream})
    history, listings = git.history(files()), git.history(listing)
    events = list(git.read())
    for commit in truth.values():
        position, paths = commit["after_position"], sorted(commit["paths"])
        assert sorted(git.replay(files(), as_of=position)) == paths
        assert sorted(history.at(position)) == paths
        assert sorted(history.at(events[position - 1].id)) == paths
        assert sorted(git.replay(listing, as_of=position)) == paths
        assert sorted(listings.at(position)) == paths
        frame = history.df()
        alive = frame[frame["position"] <= position].groupby("key").tail(1)
        assert sorted(alive[alive["type"] != "FileDeleted"]["key"]) == paths


def test_all_views_of_the_git_log_agree_at_its_times(git: ek.EventStore) -> None:
    """Many events share a time there; `occurred_at` runs backwards twice, and decides nothing."""
    frame = git.read().df()
    assert (frame["occurred_at"].diff() < pd.Timedelta(0)).sum() >= 2
    assert frame["recorded_at"].is_monotonic_increasing
    history = git.history(files())
    for time in frame["recorded_at"].unique()[::5]:
        for moment in (time - pd.Timedelta("1us"), time, time + pd.Timedelta("1us")):
            count = int((frame["recorded_at"] <= moment).sum())
            assert len(git.read(as_of=moment).df()) == count
            assert history.at(moment) == git.replay(files(), as_of=moment) == history.at(count)


def test_all_receipts_are_loaded_and_read_back(tmp_path: Path) -> None:
    """8,577 events in 1,434 cases, times with milliseconds and mixed offsets, into a folder and back, cell by cell."""
    frame = pd.read_csv(DATA / "receipt.csv")
    with ek.EventStore(tmp_path / "receipts", fsync=False) as store:
        assert store.load(frame, **PROCESS) == 8_577
    with ek.EventStore(tmp_path / "receipts", read_only=True) as store:
        back = store.read().df()
        assert (len(store.streams()), len(store.types())) == (1_434, 27)
        sample = store.read("case-10011").df()
    frame["utc"] = pd.to_datetime(frame["time:timestamp"], utc=True, format="ISO8601")
    wanted = frame.sort_values("utc", kind="stable").reset_index(drop=True)
    assert back["recorded_at"].tolist() == wanted["utc"].tolist()
    assert back["stream"].tolist() == wanted["case:concept:name"].tolist()
    assert back["type"].tolist() == wanted["concept:name"].tolist()
    assert back["version"].tolist() == (wanted.groupby("case:concept:name").cumcount() + 1).tolist()
    payload = [name for name in frame.columns if name not in {*PROCESS.values(), "utc"}]
    assert len(payload) == 12
    for name in payload:
        found = back[name.replace(":", "_")]
        assert found.isna().tolist() == wanted[name].isna().tolist(), name
        assert found.dropna().tolist() == wanted[name].dropna().tolist(), name
    assert sample["type"].tolist() == wanted[wanted["case:concept:name"] == "case-10011"]["concept:name"].tolist()


def test_the_textbooks_log_is_what_one_reads_by_hand() -> None:
    """42 events of 6 cases: what case 3 had cost, who decided, and when it was begun once more."""
    frame = pd.read_csv(DATA / "running-example.csv")
    with ek.from_frame(frame, **PROCESS) as store:
        assert (store.position, len(store.streams())) == (42, 6)
        cost = ek.Projection("cost", initial=lambda: 0)
        kinds = store.types()["type"].tolist()
        cost.on(*kinds)(lambda state, event: state + event["Costs"])
        by_hand = frame.groupby(frame["case:concept:name"].astype(str))["Costs"].sum().to_dict()
        history = store.history(cost)
        assert store.replay(cost) == history.at(42) == by_hand
        assert store.replay(cost, key="3", as_of="2010-12-30T14:32:00+01:00") == 50
        assert store.replay(cost, key="3", as_of="2010-12-30T14:31:59.999999+01:00") == 0
        assert store.replay(cost, key="3", as_of="2010-12-30T15:06:00+01:00") == 450
        again = history.first(lambda state: state > 450)
        assert again is not None
        assert (again.stream, again.data["Resource"]) == (
            frame.loc[again.data["Unnamed: 0"], "case:concept:name"].astype(str),
            frame.loc[again.data["Unnamed: 0"], "Resource"],
        )
