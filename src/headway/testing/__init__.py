"""What tests of a fleet are made of; for Headway's own tests, and for those of its users."""

from headway.testing.fake_fleet import FakeFleet, Tally
from headway.testing.fake_node import FakeNode, Place

__all__ = ["FakeFleet", "FakeNode", "Place", "Tally"]
