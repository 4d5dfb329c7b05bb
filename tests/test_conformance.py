"""Another project's suites for event stores, run against the kit through the adapter in `tests/conformance/`.

Its test cases are inherited, each over a store in memory and over one in a folder; left out are those that only print a
speed. Whatever a suite of recorders did to a store, the store verifies afterwards, and its positions have no gap.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import TestCase, mock

import eventsourcing_kit as ek
from tests.conformance import factory, recorders, subscriptions, suites, views


class Stores(TestCase):
    """Makes stores, and holds each to account when its test is over."""

    on_disk = False

    def new_store(self) -> ek.EventStore:
        store = ek.EventStore(self.new_folder() if self.on_disk else None)
        self.addCleanup(self._check, store)
        return store

    def new_folder(self) -> Path:
        return Path(self.enterContext(tempfile.TemporaryDirectory())) / "store"

    def _check(self, store: ek.EventStore) -> None:
        report = store.verify()
        positions = [event.position for event in store.read()]
        store.close()
        assert report.ok, report
        assert positions == list(range(1, len(positions) + 1))


# -- recorders --------------------------------------------------------------------------------------------------------


class TestAggregateRecorder(Stores, suites.persistence.AggregateRecorderTestCase):
    """Events guarded by their ids."""

    test_performance = None

    def create_recorder(self) -> recorders.AggregateRecorder:
        return recorders.AggregateRecorder(self.new_store())


class TestAggregateRecorderInAFolder(TestAggregateRecorder):
    on_disk = True


class TestApplicationRecorder(Stores, suites.persistence.ApplicationRecorderTestCase[recorders.ApplicationRecorder]):
    """Streams guarded by expected versions, read on as one log, by ten threads that write and two that read."""

    test_performance = None
    test_concurrent_throughput = None

    def create_recorder(self) -> recorders.ApplicationRecorder:
        self.recorder = recorders.ApplicationRecorder(self.new_store())
        return self.recorder

    def test_concurrent_no_conflicts(self, *start: int) -> None:
        super().test_concurrent_no_conflicts(*start)
        assert self.recorder.store.position == 100 * 100  # not one lost or doubled

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderInAFolder(TestApplicationRecorder):
    on_disk = True


class TestApplicationRecorderThatIsFollowed(TestApplicationRecorder):
    """Its subscriptions are by `store.follow`."""

    test_insert_select = None
    test_concurrent_no_conflicts = None

    def create_recorder(self) -> recorders.ApplicationRecorder:
        recorder = super().create_recorder()
        recorder.subscription_class = subscriptions.ByFollowing
        return recorder


class TestProcessRecorderAsApplicationRecorder(TestApplicationRecorder):
    """Streams of tracking stand beside those of events, and are not taken for them."""

    test_concurrent_no_conflicts = None

    def create_recorder(self) -> recorders.ApplicationRecorder:
        self.recorder = recorders.ProcessRecorder(self.new_store())
        return self.recorder


class TestTextIds(TestApplicationRecorder):
    """Aggregates with ids that are hard to tell apart by their beginnings."""

    test_concurrent_no_conflicts = None

    def new_originator_id(self) -> str:
        self.given = getattr(self, "given", "") + "-\N{BIRD}\0"
        return self.given

    def create_recorder(self) -> recorders.ApplicationRecorder:
        self.recorder = recorders.ApplicationRecorder(self.new_store(), id_type=str)
        return self.recorder


class TestNonInterleavingPositions(Stores, suites.persistence.NonInterleavingNotificationIDsBaseCase):
    """Two threads append a thousand events each, and each thousand stands in one piece."""

    def create_recorder(self) -> recorders.ApplicationRecorder:
        return recorders.ApplicationRecorder(self.new_store())


class TestNonInterleavingPositionsInAFolder(TestNonInterleavingPositions):
    on_disk = True


class TestTrackingRecorder(Stores, suites.persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> recorders.TrackingRecorder:
        return recorders.TrackingRecorder(self.new_store())


class TestTrackingRecorderInAFolder(TestTrackingRecorder):
    on_disk = True


class TestProcessRecorder(Stores, suites.persistence.ProcessRecorderTestCase):
    test_performance = None

    def create_recorder(self) -> recorders.ProcessRecorder:
        return recorders.ProcessRecorder(self.new_store())


class TestProcessRecorderInAFolder(TestProcessRecorder):
    on_disk = True


# -- applications and projections -------------------------------------------------------------------------------------


class Applications(Stores):
    """Applications find the kit through their environment."""

    env: Any
    expected_factory_topic = "tests.conformance.factory:Factory"

    def setUp(self) -> None:
        variables = {"PERSISTENCE_MODULE": "tests.conformance.factory"}
        if self.on_disk:
            variables[factory.FOLDER] = str(self.new_folder())
        self.enterContext(mock.patch.dict(os.environ, variables))
        self.addCleanup(factory.close_all)  # some applications are left open
        self.env = suites.Environment("Kit", variables)
        super().setUp()


class TestFactory(Applications, suites.persistence.InfrastructureFactoryTestCase[factory.Factory]):
    def expected_factory_class(self) -> type[factory.Factory]:
        return factory.Factory

    def expected_aggregate_recorder_class(self) -> type[recorders.AggregateRecorder]:
        return recorders.AggregateRecorder

    def expected_application_recorder_class(self) -> type[recorders.ApplicationRecorder]:
        return recorders.ApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[recorders.TrackingRecorder]:
        return recorders.TrackingRecorder

    def tracking_recorder_subclass(self) -> type[recorders.TrackingRecorder]:
        return views.ReplayedCounters

    def expected_process_recorder_class(self) -> type[recorders.ProcessRecorder]:
        return recorders.ProcessRecorder


class TestFactoryInAFolder(TestFactory):
    on_disk = True


class TestExampleApplication(Applications, suites.application.ExampleApplicationTestCase):
    pass


class TestExampleApplicationInAFolder(TestExampleApplication):
    on_disk = True


class TestApplication(Applications, suites.application.ApplicationTestCase):
    """With a hundred threads that change the same aggregate."""


class TestApplicationInAFolder(TestApplication):
    on_disk = True


class TestCountersView(Stores, suites.projection.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> views.ReplayedCounters:
        return views.ReplayedCounters(self.new_store())


class TestCountersViewInAFolder(TestCountersView):
    on_disk = True


class TestReportedCountersView(Stores, suites.projection.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> views.ReportedCounters:
        return views.ReportedCounters(self.new_store())


class TestProjection(Applications, suites.projection.AggregateEventCountersProjectionTestCase):
    view_class = views.ReplayedCounters


class TestProjectionInAFolder(TestProjection):
    on_disk = True


class TestReportedProjection(TestProjection):
    view_class = views.ReportedCounters


class TestEventSourcedProjection(Applications, suites.projection.EventSourcedProjectionTestCase):
    pass


class TestEventSourcedProjectionInAFolder(TestEventSourcedProjection):
    on_disk = True
