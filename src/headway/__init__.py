"""Headway deploys one build of a large application to a whole fleet, atomically and in tiers."""

__version__ = "0.1.0"
