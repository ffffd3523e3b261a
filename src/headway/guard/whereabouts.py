"""Which build each node ran when: what turns a series of a node into one of an arm."""

from collections import deque

from msgspec import Struct

from headway.guard.counters import Sample

REMEMBERED = 8
"""Changes of build that are remembered of a node."""


class Stay(Struct, frozen=True):
    """From ``since`` on the node was in this tier and ran this build; None while between two."""

    since: float
    tier: str
    build: str | None


class Whereabouts:
    """The nodes of every app, by what they reported."""

    def __init__(self) -> None:
        self._stays: dict[str, dict[str, deque[Stay]]] = {}

    def note(self, app: str, node: str, tier: str, build: str | None, now: float) -> None:
        """A node has told what it runs."""
        stays = self._stays.setdefault(app, {}).setdefault(node, deque(maxlen=REMEMBERED))
        if not stays or (stays[-1].tier, stays[-1].build) != (tier, build):
            stays.append(Stay(now, tier, build))

    def forget(self, app: str, node: str) -> None:
        """The node is no longer enrolled."""
        self._stays.get(app, {}).pop(node, None)

    def find(self, app: str, said: str) -> str | None:
        """The node that a label means: by its name, without its port, or by its first part."""
        nodes = self._stays.get(app, {})
        host, colon, port = said.rpartition(":")
        host = host.strip("[]") if colon and port.isdigit() else said
        return next((name for name in (said, host, host.partition(".")[0]) if name in nodes), None)

    def latest(self, app: str, node: str) -> Stay | None:
        """Where the node is now."""
        stays = self._stays.get(app, {}).get(node)
        return stays[-1] if stays else None

    def sample(self, app: str, node: str, at: float) -> Sample | None:
        """An empty sample of the node at that time; None before anything was known of it."""
        stays = self._stays.get(app, {}).get(node, ())
        stay = next((stay for stay in reversed(stays) if stay.since <= at), None)
        return None if stay is None else Sample(app, node, stay.tier, stay.build)
