"""A fleet and its control planes, simulated: one process, no clock, disk or network but its own.

The core is the real one; everything else keeps the same rules, a step at a time, while machines
lose power, messages are late, twice or never there, and people press buttons. One number gives the
whole history again.
"""

from headway.testing.simulation.laws import Broken
from headway.testing.simulation.schedule import Failure, Run, Schedule, replay, shrink, simulate
from headway.testing.simulation.world import World

__all__ = ["Broken", "Failure", "Run", "Schedule", "World", "replay", "shrink", "simulate"]
