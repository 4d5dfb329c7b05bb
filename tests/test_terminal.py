"""`ek`, as it is typed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import eventsourcing_kit as ek
from eventsourcing_kit.terminal.commands import ek as command
from tests.object_storage import Server

BANK = """
import eventsourcing_kit as ek

class Deposited(ek.Event, type="Terminal.Deposited"):
    amount: int

class Withdrawn(ek.Event, type="Terminal.Withdrawn"):
    amount: int

balance = ek.Projection("balance", initial=lambda: 0)
balance.on(Deposited)(lambda state, event: state + event.amount)
balance.on(Withdrawn)(lambda state, event: state - event.amount)

total = ek.Projection("total", initial=lambda: {"sum": 0}, key=None)
total.on(Deposited)(lambda state, event: {"sum": state["sum"] + event.amount})

by_amount = ek.Projection("by amount", initial=lambda: 0, key="amount")
by_amount.on(Deposited)(lambda state, event: state + 1)

def is_rich(state):
    return state > 100
"""
NAMES = ["log", "streams", "types", "state", "diff", "blame", "first", "trace", "verify", "load", "export", "explore"]

Ek = Callable[..., Result]


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ek.EventStore]:
    """A store in the folder `bank`, open for writing, and beside it a module of projections."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "terminal_bank.py").write_text(BANK)
    with ek.EventStore("bank", clock=ek.testing.clock("2026-01-05T09:00:00Z", step="1min")) as store:
        deposited = store.append("account-1", ek.NewEvent(type="Terminal.Deposited", data={"amount": 100}))
        cause = {"causation_id": str(deposited.events[0].id)}
        store.append("account-2", ek.NewEvent(type="Terminal.Deposited", data={"amount": 5}), metadata=cause)
        withdrawn = store.append(
            "account-2", ek.NewEvent(type="Terminal.Withdrawn", data={"amount": 7}), metadata=cause
        )
        effect = {"causation_id": str(withdrawn.events[0].id)}
        store.append("notes-1", ek.NewEvent(type="Overdrawn", data={"by": 2}), metadata=effect)
        yield store
    sys.modules.pop("terminal_bank", None)
    sys.path[:] = [folder for folder in sys.path if folder != str(tmp_path)]


@pytest.fixture
def typed(bank: ek.EventStore) -> Ek:
    """Runs `ek`; the store's writer is open meanwhile."""
    return lambda *words: CliRunner().invoke(command, list(words))


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code in (0, 1), result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


# the log


def test_the_log_shows_the_last_events_in_their_order(typed: Ek) -> None:
    lines = typed("log", "bank", "-n", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "4"]
    assert lines[0].split(maxsplit=4)[1:] == [
        "2026-01-05T09:02:00Z", "account-2", "Terminal.Withdrawn", '{"amount":7}'
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "positions"),
    [
        ([], [1, 2, 3, 4]),
        (["--all"], [1, 2, 3, 4]),
        (["-n", "0"], []),
        (["--stream", "account-2"], [2, 3]),
        (["--category", "account", "-n", "1"], [3]),
        (["--type", "Overdrawn", "--type", "Terminal.Withdrawn"], [3, 4]),
        (["--after", "1", "--as-of", "2026-01-05T09:02:00Z"], [2, 3]),
    ],
)
def test_the_log_can_be_asked_for_less(typed: Ek, words: list[str], positions: list[int]) -> None:
    assert [row["position"] for row in rows(typed("log", "bank", "--json", *words))] == positions


def test_json_has_the_columns_of_a_raw_frame(typed: Ek, bank: ek.EventStore) -> None:
    first = rows(typed("log", "bank", "--json"))[0]
    assert list(first) == [*bank.read().df(raw=True).columns]
    assert first["recorded_at"] == "2026-01-05T09:00:00Z"
    assert first["data"] == {"amount": 100}
    assert list(rows(typed("streams", "bank", "--json"))[0]) == [*bank.streams().columns]
    assert list(rows(typed("types", "bank", "--json"))[0]) == [*bank.types().columns]


def test_what_a_terminal_would_obey_is_shown_as_text(typed: Ek, bank: ek.EventStore) -> None:
    """An event's data and names are other people's."""
    bank.append("a\x1b[31m", ek.NewEvent(type="T\x07", data={"x": "\x1b]0;me\x07"}))
    for words in (["log"], ["streams"], ["types"]):
        assert not re.search("[\x00-\x09\x0b-\x1f]", typed(*words, "bank").stdout)


def test_streams_and_types_are_as_of_a_moment(typed: Ek) -> None:
    assert [row["version"] for row in rows(typed("streams", "bank", "--as-of", "2", "--json"))] == [1, 1]
    assert [row["events"] for row in rows(typed("types", "bank", "--as-of", "2", "--json"))] == [2]
    assert "account-2" in typed("streams", "bank").stdout


def test_trace_draws_the_tree_of_causation_from_its_root(typed: Ek, bank: ek.EventStore) -> None:
    lines = typed("trace", "bank", "3").stdout.splitlines()
    assert [line.split()[:2] for line in lines][1:] == [["├─", "2"], ["└─", "3"], ["└─", "4"]]
    assert lines[0].startswith("1 ")
    assert lines[2].endswith("<- asked for")
    (event,) = bank.read("notes-1")
    depths = [(row["depth"], row["position"]) for row in rows(typed("trace", "bank", str(event.id), "--json"))]
    assert depths == [(0, 1), (1, 2), (1, 3), (2, 4)]


def test_trace_shows_a_cause_that_is_no_event(typed: Ek, bank: ek.EventStore) -> None:
    bank.append("a", ek.NewEvent(type="T"), metadata={"causation_id": "order form 7"})
    lines = typed("trace", "bank", "5").stdout.splitlines()
    assert lines[0] == "caused by order form 7, which is no event of this store"
    assert lines[1].startswith("└─ 5 ")


# time travel


def test_states_are_as_of_a_moment(typed: Ek) -> None:
    assert rows(typed("state", "bank", "terminal_bank:balance", "--json")) == [
        {"key": "account-1", "state": 100},
        {"key": "account-2", "state": -2},
    ]
    assert rows(typed("state", "bank", "terminal_bank.py:balance", "--as-of", "2", "--key", "account-2", "--json")) == [
        {"key": "account-2", "state": 5}
    ]
    assert rows(typed("state", "bank", "terminal_bank:total", "--json")) == [{"key": None, "state": {"sum": 105}}]


def test_a_key_may_be_no_text(typed: Ek) -> None:
    assert rows(typed("state", "bank", "terminal_bank:by_amount", "--key", "100", "--json")) == [
        {"key": 100, "state": 1}
    ]


def test_diff_and_blame_name_the_event(typed: Ek) -> None:
    (row,) = rows(typed("diff", "bank", "terminal_bank:balance", "2", "2026-01-05T09:02:00Z", "--json"))
    assert (row["key"], row["before"], row["after"], row["position"]) == ("account-2", 5, -2, 3)
    (row,) = rows(typed("blame", "bank", "terminal_bank:balance", "account-2", "--as-of", "2", "--json"))
    assert (row["value"], row["type"]) == (5, "Terminal.Deposited")
    assert "sum" in typed("blame", "bank", "terminal_bank:total").stdout


@pytest.mark.parametrize(
    ("projection", "condition", "position"),
    [
        ("balance", "state < 0", 3),
        ("balance", "state>=100", 1),
        ("balance", "state = 5", 2),
        ("total", "sum != 0", 1),
        ("balance", "terminal_bank:is_rich", None),
        ("balance", "state < abc", None),
    ],
)
def test_first_finds_the_event_or_says_no(typed: Ek, projection: str, condition: str, position: int | None) -> None:
    found = typed("first", "bank", f"terminal_bank:{projection}", condition, "--json")
    assert [row["position"] for row in rows(found)] == ([] if position is None else [position])
    assert found.exit_code == (1 if position is None else 0)


def test_explore_makes_a_page_that_holds_the_fields_that_are_named(typed: Ek) -> None:
    told = typed("explore", "bank", "terminal_bank:balance", "page.html", "--as-of", "3")
    assert told.stdout == "page.html: as of position 3\n"
    assert "ek-ready" in Path("page.html").read_text(encoding="utf-8")
    assert rows(typed("explore", "bank", "terminal_bank:balance", "page.html", "--field", "amount", "--json")) == [
        {"path": "page.html", "position": 4}
    ]


# the store


def test_verify_tells_where_the_log_ends_and_whether_it_still_does(typed: Ek) -> None:
    told = typed("verify", "bank")
    end = told.stdout.splitlines()[-1]
    assert told.exit_code == typed("verify", "bank", "--expect", end).exit_code == 0
    wrong = typed("verify", "bank", "--expect", f"3:{'0' * 64}", "--json")
    assert (wrong.exit_code, rows(wrong)[0]["ok"]) == (1, False)


def test_a_log_goes_out_and_comes_in(typed: Ek, bank: ek.EventStore) -> None:
    assert typed("export", "bank", "log.csv", "--stream", "account-2").exit_code == 0
    assert typed("load", "copy", "log.csv").stdout == "loaded 2 events; copy is at position 2\n"
    assert rows(typed("load", "copy", "log.csv", "--known", "skip", "--json")) == [{"events": 0, "position": 2}]


def test_a_load_is_told_columns_and_times(typed: Ek) -> None:
    Path("log.csv").write_text("case,activity,time\na,Opened,3/4/2025 8:00\n")
    words = ["load", "copy", "log.csv", "--stream", "case", "--type", "activity", "--recorded-at", "time"]
    assert "dayfirst=True takes it for 2025-04-03" in typed(*words).stderr
    assert typed(*words, "--dayfirst", "--tz", "Europe/Berlin").exit_code == 0
    assert rows(typed("log", "copy", "--json"))[0]["recorded_at"] == "2025-04-03T06:00:00Z"


# what went wrong


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["log", "nowhere"], 3, "holds no event store"),
        (["log", "bank", "--as-of", "2026-01-05"], 2, "bare date"),
        (["log", "bank", "--as-of", "99"], 2, "99"),
        (["log", "bank", "--type", "Overdrwn"], 2, "Overdrawn"),
        (["log", "bank", "--follow", "--as-of", "1"], 2, "give one of them"),
        (["log"], 2, "Missing argument 'STORE'"),
        (["lgo", "bank"], 2, "No such command 'lgo'"),
        (["state", "bank", "balance"], 2, "write module:name"),
        (["state", "bank", "no_such_module:balance"], 2, "cannot be imported: ModuleNotFoundError"),
        (["state", "bank", "terminal_bank:blance"], 2, "has no 'blance'; it has .*balance"),
        (["state", "bank", "terminal_bank:is_rich"], 2, "projection"),
        (["state", "bank", "terminal_bank:balance", "--key", "account-9"], 2, "no key 'account-9'; there are 2"),
        (["first", "bank", "terminal_bank:balance", "ballance < 0"], 2, "no state has 'ballance'; there are state"),
        (["first", "bank", "terminal_bank:balance", "less"], 2, "no condition"),
        (["trace", "bank", "0"], 2, "positions begin with 1"),
        (["trace", "bank", "nothing"], 2, "give its id, or its position"),
        (["verify", "bank", "--expect", "x"], 2, "give a position and its digest"),
        (["export", "bank", "log.doc"], 2, "no format"),
        (["load", "copy", "missing.csv"], 2, "there is no file"),
    ],
)
def test_the_exit_code_says_what_went_wrong_and_the_message_what_to_do(
    typed: Ek, words: list[str], code: int, message: str
) -> None:
    result = typed(*words)
    assert result.exit_code == code, result.output
    assert re.search(message, result.stderr), result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_file_that_cannot_be_loaded_makes_no_store(typed: Ek) -> None:
    Path("log.csv").write_text("case,activity,time\na,Opened,noon\n")
    typed("load", "copy", "log.csv", "--stream", "case", "--type", "activity", "--recorded-at", "time")
    assert typed("log", "copy").exit_code in (0, 3)
    assert typed("log", "copy").stdout == ""


@pytest.mark.parametrize("name", NAMES)
def test_each_command_s_help_has_an_example_that_names_it(name: str) -> None:
    told = CliRunner().invoke(command, [name, "--help"]).stdout
    assert re.search(rf"Example:\n +ek {name} ", told)


def test_the_help_tells_what_exit_codes_mean() -> None:
    told = CliRunner().invoke(command, ["--help"]).stdout
    assert all(name in told for name in [*NAMES, "Exit codes", "130"])


def test_colours_are_for_terminals_that_want_them(bank: ek.EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in CliRunner().invoke(command, ["log", "bank"]).stdout
    assert "\x1b[" in CliRunner().invoke(command, ["log", "bank"], color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in CliRunner().invoke(command, ["log", "bank"], color=True).stdout


# in a process of its own


@pytest.mark.processes
def test_it_follows_beside_a_writer_until_it_is_broken_off(bank: ek.EventStore) -> None:
    words = [sys.executable, "-m", "eventsourcing_kit", "log", "bank", "-n", "1", "--follow", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["position"] == 4
        bank.append("account-1", ek.NewEvent(type="Later"))
        assert json.loads(process.stdout.readline())["type"] == "Later"
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(30) == 130
        finally:
            process.kill()  # else a failure would wait for it for ever
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.processes
def test_a_bucket_is_asked_like_a_folder(bank: ek.EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it needs comes from the environment, as for all that asks buckets."""
    server = Server("bank")
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        ek.copy(bank, into="s3://bank/copy")
        told = CliRunner().invoke(command, ["log", "s3://bank/copy", "--json"])
        assert [row["position"] for row in rows(told)] == [1, 2, 3, 4]
        assert CliRunner().invoke(command, ["log", "s3://bank/nothing"]).exit_code == 3
    finally:
        server.close()


@pytest.mark.processes
def test_a_reader_that_has_enough_ends_it_quietly(bank: ek.EventStore) -> None:
    bank.append("many", [ek.NewEvent(type="T", data={"x": "y" * 100})] * 5_000)
    words = f"{sys.executable} -m eventsourcing_kit log bank --all | head -n 1"
    done = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.processes
def test_the_log_needs_neither_frames_nor_charts(bank: ek.EventStore) -> None:
    """They would take longer to load than the answer takes."""
    code = "import sys; from eventsourcing_kit.terminal.commands import ek\n"
    code += (
        "try: ek(['log', 'bank'])\nfinally: print(sorted({'pandas', 'altair', 'pyarrow', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "[]"
