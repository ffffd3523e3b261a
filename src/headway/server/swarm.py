"""Who of a zone fetches a large build from where, so that the origin is asked by few.

The first to ask go to the origin: they are the seeders. Whoever asks later is sent to a node that
has the build, each of which serves a few at a time, so that those who have it multiply; or is told
to ask again. A seeder that does not arrive is written off, and another one takes its place.
"""

from collections import OrderedDict

from msgspec import Struct, field

from headway.model.peers import Address, PeerAnswer

SEEDERS = 2
"""How many nodes of a zone may fetch a build from the origin at a time."""

SERVED = 4
"""How many nodes one that has the build is sent at a time."""

GRANTED_SECONDS = 120.0
"""After so long without arriving a node counts no more where it was sent."""

STRIKES = 3
"""Nobody is sent any more to a peer of whom so many have complained."""

AGAIN_SECONDS = 1.0
ASKS_A_SECOND = 1000
"""So many nodes at most ask again each second; where more wait, each asks more rarely."""


class _Holder(Struct):
    address: Address
    serving: set[str] = field(default_factory=set)
    accusers: set[str] = field(default_factory=set)

    @property
    def is_free(self) -> bool:
        return len(self.serving) < SERVED and len(self.accusers) < STRIKES


class _Grant(Struct):
    peer: str | None
    at: float


class Swarm:
    """The nodes of one zone that want, or have, one build. It reads no clock."""

    def __init__(self) -> None:
        self._holders: dict[str, _Holder] = {}
        self._free: OrderedDict[str, None] = OrderedDict()
        self._shunned: set[str] = set()
        self._grants: OrderedDict[str, _Grant] = OrderedDict()
        self._seeding: set[str] = set()
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._addresses: dict[str, Address] = {}
        self.asked_at = 0.0

    @property
    def holders(self) -> int:
        """How many have the build."""
        return len(self._holders)

    def ask(self, node: str, address: Address, failed: tuple[str, ...], now: float) -> PeerAnswer:
        """Where ``node`` is to get the build; without a ticket yet."""
        self.asked_at = now
        self._write_off(now)
        self.gone(node)
        self._addresses[node] = address
        for peer in failed:
            if peer in self._holders:
                self._holders[peer].accusers.add(node)
                self._sort(peer)
        answer = self._to_peer(node, failed, now) or self._to_origin(node, now)
        if answer is not None:
            return answer
        self._waiting[node] = now
        return PeerAnswer(again=self._pause)

    def arrived(self, node: str) -> None:
        """A node has the build; what it was granted is free again."""
        if node in self._addresses and node not in self._holders:
            self._release(node)
            self._holders[node] = _Holder(self._addresses[node])
            self._sort(node)

    def gone(self, node: str) -> None:
        """A node has not the build any more, or is not there."""
        self._release(node)
        self._addresses.pop(node, None)
        if self._holders.pop(node, None) is not None:
            self._free.pop(node, None)
            self._shunned.discard(node)

    @property
    def _pause(self) -> float:
        return max(AGAIN_SECONDS, len(self._waiting) / ASKS_A_SECOND)

    def _to_peer(self, node: str, failed: tuple[str, ...], now: float) -> PeerAnswer | None:
        peer = next((name for name in self._free if name not in failed), None)
        if peer is None:
            return None
        holder = self._holders[peer]
        holder.serving.add(node)
        self._grants[node] = _Grant(peer, now)
        # The next one is sent to somebody else.
        self._free.move_to_end(peer)
        self._sort(peer)
        return PeerAnswer(peer=peer, address=holder.address)

    def _to_origin(self, node: str, now: float) -> PeerAnswer | None:
        if len(self._seeding) + len(self._holders) - len(self._shunned) >= SEEDERS:
            return None
        self._seeding.add(node)
        self._grants[node] = _Grant(None, now)
        return PeerAnswer(origin=True)

    def _sort(self, peer: str) -> None:
        """Note whether others can be sent to a holder."""
        holder = self._holders[peer]
        if not holder.is_free:
            self._free.pop(peer, None)
        elif peer not in self._free:
            self._free[peer] = None
        if len(holder.accusers) >= STRIKES:
            self._shunned.add(peer)

    def _write_off(self, now: float) -> None:
        """Forget who was sent long ago, and who waited and asks no more."""
        while self._grants:
            node, grant = next(iter(self._grants.items()))
            if now - grant.at <= GRANTED_SECONDS:
                break
            self._release(node)
        while self._waiting:
            node, at = next(iter(self._waiting.items()))
            if now - at <= 4 * self._pause:
                break
            del self._waiting[node]

    def _release(self, node: str) -> None:
        self._waiting.pop(node, None)
        self._seeding.discard(node)
        grant = self._grants.pop(node, None)
        if grant is not None and grant.peer in self._holders:
            self._holders[grant.peer].serving.discard(node)
            self._sort(grant.peer)
