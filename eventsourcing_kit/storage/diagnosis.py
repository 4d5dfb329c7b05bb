"""Why a bucket does not answer: asked once, without trying again, and told without secrets.

SlateDB tries for ever, whatever the reason; most reasons are plain as soon as somebody looks.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from eventsourcing_kit.storage.slate.opening import Trouble, first_failure

if TYPE_CHECKING:
    from eventsourcing_kit.storage.location import Location

_ASK_SECONDS = 3.0
_CONNECT_SECONDS = 2.0
_ANOTHER_REGION = ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException")
_PASSING_STATUS = (408, 425, 429)


def of_bucket(location: Location, patience: float) -> Trouble:
    """What is wrong with a bucket; an empty `Trouble` where nothing is found."""
    try:
        failure = first_failure(location, min(_ASK_SECONDS, patience))
    except TimeoutError:
        return _unreached(location) if location.has_credentials else _no_credentials(lasts=False)
    return read(failure, location)


def _no_credentials(*, lasts: bool) -> Trouble:
    return Trouble(
        "there are no credentials; give access_key_id=… and secret_access_key=…, "
        "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        lasts,
    )


def read(failure: str, location: Location) -> Trouble:
    """What a failure of the S3 client says."""
    status = re.search(r"status code: (\d{3})", failure)
    if "/latest/api/token" in failure or "/latest/meta-data" in failure:  # it asked the machine it runs on
        return _no_credentials(lasts=True)
    if status is not None:
        return _answered(int(status[1]), failure, location)
    if "Received redirect" in failure:
        return _another_region(location)
    if "builder error" in failure:
        return Trouble(f"the S3 client cannot use the endpoint {location.endpoint}", lasts=True)
    if "error sending request" in failure or "after 10 retries" in failure:
        return _unreached(location)
    if "invalid list response" in failure:
        return Trouble(f"what answers at {location.endpoint} is no S3 server", lasts=True)
    return Trouble()


def _answered(status: int, failure: str, location: Location) -> Trouble:
    code, message = (_element(name, failure, location) for name in ("Code", "Message"))
    told = ": ".join(part for part in (f"{status} {code}".rstrip(), message) if part)
    if code == "NoSuchBucket" or (status == 404 and not code):
        return Trouble(
            f"there is no bucket {location.bucket!r} at {location.endpoint}; make it, or mend its name", lasts=True
        )
    if code in _ANOTHER_REGION or status == 301:
        return _another_region(location, message)
    if status in (401, 403):
        return Trouble(f"the server at {location.endpoint} refuses the credentials; it says {told}", lasts=True)
    passing = status >= 500 or status in _PASSING_STATUS
    return Trouble(f"the server at {location.endpoint} answers {told}", lasts=not passing)


def _element(name: str, failure: str, location: Location) -> str:
    found = re.search(rf"<{name}>([^<]{{1,300}})</{name}>", failure)
    return "" if found is None else location.scrubbed(found[1])


def _another_region(location: Location, message: str = "") -> Trouble:
    said = f"; it says {message}" if message else ""
    named = location.settings.get("region") or location.settings.get("default_region") or "us-east-1"
    return Trouble(f"the bucket {location.bucket!r} is not in the region {named!r}: give region=…{said}", lasts=True)


def _unreached(location: Location) -> Trouble:
    """Whether anybody listens at the endpoint."""
    parts = urlsplit(location.endpoint)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        socket.create_connection(address, _CONNECT_SECONDS).close()
    except TimeoutError:
        return Trouble(f"the server at {location.endpoint} cannot be reached")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return Trouble(f"no server answers at {location.endpoint}: {reason}")
    return Trouble(f"the server at {location.endpoint} takes connections, but doesn't answer")
