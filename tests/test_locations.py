"""Where a store lives, as people type it."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eventsourcing_kit as ek
from eventsourcing_kit.storage.location import parse

KEYS = {"access_key_id": "AKID", "secret_access_key": "NEVERSHOWN"}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def test_nothing_is_memory_and_a_path_a_folder(tmp_path: Path) -> None:
    assert parse(None, {}).is_memory
    assert parse(tmp_path, {}).folder == parse(str(tmp_path), {}).folder == tmp_path.resolve()


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://b", "b", ""),
        ("s3://b/", "b", ""),
        ("s3://b/p/q/", "b", "p/q"),
        ("s3://b.c-d_e//p", "b.c-d_e", "p"),
        ("s3://b/a?b#c", "b", "a?b#c"),
    ],
)
def test_a_bucket_and_a_prefix_come_from_the_address(url: str, bucket: str, prefix: str) -> None:
    """Slashes that separate nothing don't count."""
    found = parse(url, {})
    assert (found.bucket, found.prefix) == (bucket, prefix)


@given(st.lists(st.text("ab%/ .é", min_size=1, max_size=8), min_size=2, max_size=2, unique=True))
def test_two_prefixes_are_one_store_only_where_slashes_alone_differ(prefixes: list[str]) -> None:
    def parts(prefix: str) -> list[str]:
        return [part for part in prefix.split("/") if part]

    if any(part in (".", "..") for prefix in prefixes for part in parts(prefix)):
        return
    first, second = (parse(f"s3://bank/{prefix}", {}).identity for prefix in prefixes)
    assert (first == second) == (parts(prefixes[0]) == parts(prefixes[1]))


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("s3://", {}, "no bucket's name"),
        ("s3:///p", {}, "no bucket's name"),
        ("s3://a b/p", {}, "no bucket's name"),
        ("s3://b/../p", {}, r"'\.' or '\.\.'"),
        ("s3://b/a\nb", {}, "unprintable"),
        ("s3://AKID:NEVERSHOWN@b/p", {}, "holds no credentials"),
        ("gs://AKID:NEVERSHOWN@b/p", {}, "no place for a store"),
        ("gs://b/p", {}, "'gs://b/p' is no place for a store"),
        ("a\0b", {}, "is no place for a store"),
        ("a\ud800b", {}, "is no place for a store"),
        (None, {"colour": "red"}, "no option 'colour'; those of a store are .*unknown, newer"),
        (Path("s3://b/p"), {}, "as text"),
        ("s3://b/p", {"endpoint": "localhost:9000"}, "no address of a server"),
        ("s3://b/p", {"endpoint": "http://AKID:NEVERSHOWN@host"}, "holds no credentials"),
        ("s3://b/p", {"endpoint": "http://host", "allow_http": False}, "allow_http=False refuses"),
        ("s3://b/p", {"endpoint": 9000}, "'endpoint' is of type int"),
        ("s3://b/p", {"secret_access_key": b"NEVERSHOWN"}, "'secret_access_key' is of type bytes"),
        ("s3://b/p", {"secret_access_key": "NEVERSHOWN"}, "half of the credentials"),
        ("s3://b/p", {"bucket": "c"}, "stands in the address"),
        ("folder", {"endpoint": "http://host"}, "'endpoint' is for a store at 's3://bucket/prefix'"),
        (None, {"readonly": True}, "did you mean 'read_only'"),
        ("folder", {"xyzzy": "NEVERSHOWN"}, "no option 'xyzzy'; those of a store are read_only"),
    ],
)
def test_what_cannot_be_meant_is_bad_input(path: Any, options: dict[str, Any], message: str) -> None:
    """With what to write instead, and without showing what may be a secret."""
    given = dict(options)
    with pytest.raises(ek.InputError, match=message) as raised:
        ek.EventStore(path, **given)
    assert "NEVERSHOWN" not in str(raised.value)
    if "NEVERSHOWN" not in str(path):
        shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)  # as a debugger would
        inner = [str(at.locals) for at in shown.stack if "/eventsourcing_kit/" in at.filename]
        assert len(inner) >= 2
        assert "NEVERSHOWN" not in "".join(inner)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpont": "http://host"}, "did you mean 'endpoint'"),
        ({"timeout": "soon"}, "don't make an S3 client"),
        ({"read_only": False, "lag": 1}, "lag is how far a reader"),
        ({"read_only": True, "lag": -1}, "lag is -1"),
        ({"read_only": True, "lag": float("nan")}, "lag is nan"),
        ({"patience": 0}, "patience is 0"),
        ({"patience": "long"}, "patience is 'long'"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_asked(options: dict[str, Any], message: str) -> None:
    """No server is needed to find it."""
    with pytest.raises(ek.InputError, match=message):
        ek.EventStore("s3://b/p", **{**KEYS, **options})


def test_the_environment_is_asked_where_no_keyword_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable without a meaning for S3 does no harm, and one that means more wins."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "FROMENV",
        "AWS_SECRET_ACCESS_KEY": "SECRETENV",
        "AWS_SESSION_TOKEN": "TOKENENV",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://general:1",
        "AWS_ENDPOINT_URL_S3": "http://special:1",
        "AWS_BUCKET": "another",
        "AWS_PROFILE": "me",
    }.items():
        monkeypatch.setenv(name, value)
    found = parse("s3://b/p", {})
    assert (found.bucket, found.endpoint, found.settings["allow_http"]) == ("b", "http://special:1", "true")
    assert found.settings["access_key_id"] == "FROMENV"
    assert found.settings["default_region"] == "eu-west-1"
    assert parse("s3://b/p", {"endpoint": "https://mine"}).endpoint == "https://mine"


def test_credentials_are_taken_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the environment belongs to the keys there, not to those given by keyword."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROMENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETENV")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "TOKENENV")
    assert "session_token" not in parse("s3://b/p", KEYS).settings
    assert parse("s3://b/p", {}).settings["session_token"] == "TOKENENV"


def test_a_location_never_shows_its_secrets() -> None:
    """Neither it nor its settings, and it takes them out of others' text."""
    found = parse("s3://b/p", {**KEYS, "secret_access_key": "NEVER/SHOWN+"})
    assert "NEVER" not in repr(found) + str(found) + found.name + found.identity + repr(found.settings)
    assert found.scrubbed("a NEVER/SHOWN+ b NEVER%2FSHOWN%2B c") == "a … b … c"


def test_the_same_bucket_at_another_server_is_another_store() -> None:
    here, there = (parse("s3://b/p", {"endpoint": f"http://{host}"}) for host in ("here", "there"))
    assert here.identity != there.identity
