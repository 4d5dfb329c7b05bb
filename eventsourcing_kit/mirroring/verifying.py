"""Whether a mirror is its store's: same store, same digest at the mirror's position, every file as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eventsourcing_kit.checking.report import Finding, Report
from eventsourcing_kit.errors import StorageError
from eventsourcing_kit.mirroring import updating
from eventsourcing_kit.mirroring.files import Opened

if TYPE_CHECKING:
    from eventsourcing_kit.log.log import Log
    from eventsourcing_kit.mirroring.manifest import Manifest
    from eventsourcing_kit.mirroring.places import Place

_CURE = "remove what is at the mirror's place, and make it anew with store.mirror(…)"


def verify(place: Place, manifest: Manifest, log: Log) -> Report:
    """What is not as it should be."""
    damage: list[Finding] = []
    try:
        updating.check_same(manifest, log, place)
    except StorageError as error:
        wrong, _, cure = str(error).rpartition("; ")
        damage.append(Finding(0, "damage", wrong, cure))
    events = 0
    streams: set[str] = set()
    for one in manifest.files:
        try:
            for rows in Opened(place, manifest, one).groups(0, manifest.position):
                positions = np.asarray(rows.attributes["position"])
                if not (np.diff(positions) > 0).all() or positions[0] < one.first or positions[-1] > one.last:
                    raise place.damaged(one.path, "holds other positions than its name says")
                is_copy = rows.attributes["is_copy"].to_numpy(zero_copy_only=False)
                events += len(rows) - int(is_copy.sum())
                streams.update(rows.attributes["stream"].unique().to_pylist())
        except StorageError as error:
            damage.append(Finding(one.first, "damage", str(error).partition(";")[0], _CURE))
    if not damage and events != manifest.position:
        wrong = f"the files hold {events} events, and the mirror goes to position {manifest.position}"
        damage.append(Finding(0, "damage", wrong, _CURE))
    return Report(manifest.position, manifest.digest or "0" * 64, 0, events, len(streams), tuple(damage))
