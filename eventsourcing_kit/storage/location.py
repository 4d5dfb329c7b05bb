"""Where a store lives: in memory, in a folder, or in a bucket of an object storage; read from what people type.

What an S3 client needs comes by keyword or from the environment. Whatever of it may be secret never appears in a
message or a repr: it is kept as a `Secret`, and `scrubbed` takes it out of text that comes from elsewhere.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from eventsourcing_kit.errors import InputError

KEYWORDS = ("read_only", "clock", "seed", "fsync", "unknown", "newer", "lag", "patience", "base", "base_options")
OPTIONS = ("endpoint", "region", "access_key_id", "secret_access_key", "session_token", "allow_http", "timeout")
_OPEN_TO_ALL = {"endpoint", "region", "default_region", "allow_http", "timeout", "connect_timeout"}
_SAME = {"endpoint_url": "endpoint", "endpoint_url_s3": "endpoint", "token": "session_token"}
_CREDENTIALS = ("access_key_id", "secret_access_key", "session_token")
_INSTEAD = "give a folder's path, 's3://bucket/prefix', or nothing for a store in memory"


class Secret(str):
    """Text that does not show itself, not even where a traceback lists variables."""

    def __repr__(self) -> str:
        return "'…'"


@dataclass(frozen=True)
class Location:
    """A place for one store: `folder`, or `bucket` and `prefix`, or, with neither, memory.

    `settings` are those of the S3 client, by the names that the object_store library gives them; `required` are those
    that somebody typed, the others are from the environment.
    """

    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    required: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    @property
    def is_memory(self) -> bool:
        """Whether the store ends with its process."""
        return self.folder is None and not self.bucket

    @property
    def endpoint(self) -> str:
        """The URL of the object storage's server."""
        region = self.settings.get("region") or self.settings.get("default_region") or "us-east-1"
        return self.settings.get("endpoint") or f"https://s3.{region}.amazonaws.com"

    @property
    def has_credentials(self) -> bool:
        """Whether something tells the S3 client who it is; without, it asks the machine it runs on."""
        names = ("access_key_id", "skip_signature", "web_identity_token_file", "container_credentials")
        return any(setting.startswith(names) for setting in self.settings)

    @property
    def identity(self) -> str:
        """Equal for two locations of one store."""
        return f"{self.endpoint} {self}" if self.bucket else str(self.folder)

    @property
    def name(self) -> str:
        """For a store's repr: short, and the same on every machine."""
        return repr(self.folder.name if self.folder is not None else str(self)) if not self.is_memory else "in memory"

    def __str__(self) -> str:
        if self.bucket:
            return f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return "memory" if self.folder is None else str(self.folder)

    def scrubbed(self, text: str) -> str:
        """The text without any of the secret settings."""
        for value in self.settings.values():
            if isinstance(value, Secret) and len(value) > 3:
                text = text.replace(value, "…").replace(quote(value, safe=""), "…")
        return text


def parse(path: object, options: dict[str, object]) -> Location:
    """The location that was typed; raises `InputError`. The values in `options` become secrets where they lie."""
    for name in options:
        options[name] = _hidden(name, options[name])
    if path is not None and (not isinstance(path, (str, os.PathLike)) or not os.fspath(path)):
        raise InputError(f"{path!r} is no place for a store; {_INSTEAD}")
    text = "" if path is None else os.fspath(path)
    if not isinstance(text, str) or "\0" in text or not _is_text(text):
        raise InputError(f"{path!r} is no place for a store; {_INSTEAD}")
    if text.startswith("s3://"):
        return _bucket(text, options)
    if "://" in text or re.match(r"s3:/|[a-z0-9]+:/[^/]*@", text):
        shown = text if "@" not in text else text.split(":")[0] + ":…"
        raise InputError(f"{shown!r} is no place for a store; {_INSTEAD}, as text")
    for name in options:
        raise InputError(_unknown(name, (*KEYWORDS, *OPTIONS)) if name not in OPTIONS else
                         f"the option {name!r} is for a store at 's3://bucket/prefix'; leave it out")  # fmt: skip
    return Location() if path is None else Location(Path(text).expanduser().resolve())


def _is_text(text: str) -> bool:
    """Whether the storage's library can take it: a file's name may hold bytes that are no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hidden(name: str, value: object) -> object:
    """The value as something that doesn't show itself; of what is no text, number or bool only the type."""
    if isinstance(value, str):
        return value if name in _OPEN_TO_ALL and "@" not in value else Secret(value)
    return value if value is None or isinstance(value, (bool, int, float)) else type(value)


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]!r}?" if near else f"those of a store are {', '.join(known)}"
    return f"EventStore has no option {name!r}; {meant}"


def unknown_option(name: str) -> InputError:
    """The error for an option that the S3 client doesn't know."""
    return InputError(_unknown(name, (*KEYWORDS, *OPTIONS)))


# -- buckets ----------------------------------------------------------------------------------------------------------


def _bucket(url: str, options: Mapping[str, object]) -> Location:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    if "@" in bucket:
        raise InputError("an s3:// address holds no credentials; give access_key_id=… and secret_access_key=…")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket):
        raise InputError(f"{bucket!r} is no bucket's name; give 's3://bucket/prefix'")
    parts = [part for part in prefix.split("/") if part]
    if any(part in (".", "..") for part in parts) or not prefix.isprintable():
        raise InputError(f"the prefix {prefix!r} has a part '.' or '..' or an unprintable character; name it otherwise")
    given = {_name(name): _text(name, value) for name, value in options.items() if value is not None}
    found = _from_environment()
    if "access_key_id" in given:
        found = {name: value for name, value in found.items() if name not in _CREDENTIALS}
    settings = {**found, **given}
    if ("access_key_id" in settings) != ("secret_access_key" in settings):
        raise InputError("half of the credentials is missing; access_key_id and secret_access_key belong together")
    if "endpoint" in settings:
        settings["endpoint"] = _checked_endpoint(settings["endpoint"])
        if settings["endpoint"].startswith("http:"):
            settings.setdefault("allow_http", "true")  # whoever types http:// means it
    if settings.get("allow_http", "").lower() in ("false", "0") and settings.get("endpoint", "").startswith("http:"):
        raise InputError("the endpoint begins with http://, which allow_http=False refuses; use https://")
    return Location(None, bucket, "/".join(parts), settings, frozenset(given))


def _name(name: str) -> str:
    plain = name.lower().removeprefix("aws_")
    plain = _SAME.get(plain, plain)
    if plain in ("bucket", "bucket_name"):
        raise InputError(f"the option {name!r} stands in the address: 's3://bucket/prefix'")
    return plain


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)) and "timeout" in name:
        return f"{round(value * 1000)}ms"
    if not isinstance(value, str):
        kind = value if isinstance(value, type) else type(value)
        raise InputError(f"the option {name!r} is of type {kind.__name__}; give text")
    return value


def _from_environment() -> dict[str, str]:
    """The settings in variables AWS_…; where two mean the same, the more special one."""
    found: dict[str, str] = {}
    for name in sorted(os.environ):
        plain = name.removeprefix("AWS_").lower()
        if name.startswith("AWS_") and os.environ[name] and plain not in ("bucket", "bucket_name"):
            found[_SAME.get(plain, plain)] = Secret(os.environ[name])
    return {name: str(value) if name in _OPEN_TO_ALL and "@" not in value else value for name, value in found.items()}


def _checked_endpoint(endpoint: str) -> str:
    if "@" in endpoint:
        raise InputError("an endpoint holds no credentials; give access_key_id=… and secret_access_key=…")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"the endpoint {endpoint!r} is no address of a server; write it like 'https://s3.example.org'")
    return endpoint.rstrip("/")
