"""One app's nodes held against a signal; only what has changed is looked at again.

What it shows is what ``core.fleet.view`` would, at a cost that follows the news, not the fleet.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from msgspec import structs

from headway.core.fleet import LEFT_SHARE, Member, see
from headway.model.rollout import FleetView, NodeView
from headway.model.signal import Signal


class Sight:
    """``member(node)`` gives the node's record with its last report."""

    def __init__(self, app: str, member: Callable[[str], Member]) -> None:
        self._app = app
        self._member = member
        self._signal: Signal | None = None
        self._silent_after = 0.0
        self._everything = True
        self._moved: set[str] = set()
        self._timed: set[str] = set()
        self._awake: OrderedDict[str, float] = OrderedDict()
        self._leaving: OrderedDict[str, float] = OrderedDict()
        self._places: dict[str, tuple[str, int]] = {}
        self._tiers: dict[str, list[NodeView]] = {}
        self._shown = FleetView()

    def seats_changed(self) -> None:
        """A node came, went or changed its place: look at everything again."""
        self._everything = True

    def spoke(self, node: str, at: float) -> None:
        """A node has reported."""
        self._moved.add(node)
        self._awake[node] = at
        self._awake.move_to_end(node)
        self._leaving.pop(node, None)

    def left(self, node: str, at: float) -> None:
        """A node's connection has ended."""
        self._leaving[node] = at
        self._leaving.move_to_end(node)

    def returned(self, node: str) -> None:
        """A node has a connection again."""
        self._moved.add(node)
        self._leaving.pop(node, None)

    def view(
        self,
        nodes: Callable[[], Iterable[str]],
        signal: Signal | None,
        now: float,
        silent_after: float,
    ) -> FleetView:
        """All nodes by tier, each tier in order of position. ``nodes()`` are those with a seat."""
        asked = _gist(signal)
        if self._everything or asked != self._signal or silent_after != self._silent_after:
            self._signal, self._silent_after = asked, silent_after
            self._look_at_all(nodes(), now)
        elif moved := self._moved | self._timed | self._fallen_silent(now):
            self._look_at(moved, now)
        return self._shown

    def _look_at_all(self, nodes: Iterable[str], now: float) -> None:
        members = {node: self._member(node) for node in nodes}
        tiers: dict[str, list[NodeView]] = {}
        for member in members.values():
            tier = member.record.seats[self._app].tier
            tiers.setdefault(tier, []).append(self._see(member, now))
        for seen in tiers.values():
            seen.sort(key=lambda node: (node.position, node.node))
        self._tiers = tiers
        self._places = {
            node.node: (tier, index) for tier in tiers for index, node in enumerate(tiers[tier])
        }
        self._timed = {
            node
            for node, member in members.items()
            if member.record.hold is not None and member.record.hold.until is not None
        }
        # Whoever is found late now, is; the others are, in order of the moment when they will be.
        self._awake = _in_order({node: one.last_seen for node, one in members.items()})
        self._leaving = _in_order({node: one.left for node, one in members.items()})
        self._fallen_silent(now)
        self._moved.clear()
        self._everything = False
        self._shown = FleetView({tier: tuple(seen) for tier, seen in tiers.items()})

    def _look_at(self, moved: set[str], now: float) -> None:
        touched = set()
        for node in moved:
            place = self._places.get(node)
            if place is None:
                continue
            tier, index = place
            self._tiers[tier][index] = self._see(self._member(node), now)
            touched.add(tier)
        self._moved.clear()
        fresh = {tier: tuple(self._tiers[tier]) for tier in touched}
        self._shown = FleetView(self._shown.tiers | fresh)

    def _see(self, member: Member, now: float) -> NodeView:
        return see(self._app, member, self._signal, now, self._silent_after)

    def _fallen_silent(self, now: float) -> set[str]:
        """Those whose time has run out since the last look; each is found once."""
        found = set()
        patience = self._silent_after
        for waiting, most in ((self._awake, patience), (self._leaving, patience * LEFT_SHARE)):
            while waiting:
                node, at = next(iter(waiting.items()))
                if now - at <= most:
                    break
                del waiting[node]
                found.add(node)
        return found


def _in_order(times: dict[str, float | None]) -> OrderedDict[str, float]:
    known = sorted((at, node) for node, at in times.items() if at is not None)
    return OrderedDict((node, at) for at, node in known)


def _gist(signal: Signal | None) -> Signal | None:
    """What a signal asks for, without who wrote it, when and why."""
    if signal is None:
        return None
    return structs.replace(signal, prepare=False, issued_at=0.0, by="", why="")
