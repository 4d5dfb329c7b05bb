"""An adapter that puts the interfaces of another project, `eventsourcing`, on top of an event store.

That project tests every database that it supports with the same suites: of recorders, which store and select events
and remember how far a reader has come, and of applications and projections above them. Through this adapter the same
suites judge the kit. It uses the kit's public interface alone, and the other project's words where they are the names
of what it implements.
"""

import pytest

for _needed in ("eventsourcing", "msgspec", "Crypto"):
    pytest.importorskip(_needed, reason=f"{_needed} is not installed: pip install 'eventsourcing_kit[test]'")
