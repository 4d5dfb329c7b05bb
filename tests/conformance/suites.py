"""The other project's suites, by module, so that its own classes are not collected beside those that inherit them."""

from eventsourcing.tests import application, persistence, projection
from eventsourcing.utils import Environment

__all__ = ["Environment", "application", "persistence", "projection"]
