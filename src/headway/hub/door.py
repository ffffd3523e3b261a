"""Who may watch at a hub: nodes whose record in the signal store names their token.

The record is signed by the control plane and carries the token's sha256. So a hub needs no secret
and no database, and admits nodes also while the control plane is dead.
"""

import asyncio
import hmac
from collections.abc import Callable
from hashlib import sha256

import msgspec
import structlog

from headway.errors import Denied, NotFound, StoreError, Unauthenticated, Unreachable, Untrusted
from headway.hub.upstream import Upstream
from headway.model.names import NodeName
from headway.model.peers import PeerAnswer, PeerAsk
from headway.model.report import Enrolment
from headway.model.signal import RECORD_TYPE, NodeRecord, record_key
from headway.signals.port import SignalStore
from headway.signing import Trust

_NODES = record_key("")

log = structlog.get_logger()


class HubDoor:
    """Implements ``headway.signals.hub_server.Door``. ``cut(node)`` ends a node's watches."""

    def __init__(
        self,
        store: SignalStore,
        trust: Trust,
        upstream: Upstream,
        cut: Callable[[str], None],
    ) -> None:
        self._store = store
        self._trust = trust
        self._upstream = upstream
        self._cut = cut
        self._known: dict[str, tuple[int, str]] = {}

    def notice(self, key: str, value: bytes) -> None:
        """Take note of a record from the store: a node whose token has changed is cut off."""
        node = key.removeprefix(_NODES)
        heard, before = self._read(node, value), self._known.get(node)
        # A store that was rolled back must not bring a revoked token back.
        if heard is None or (before is not None and heard[0] <= before[0]):
            return
        self._known[node] = heard
        if before is not None and before[1] != heard[1]:
            self._cut(node)

    async def admit(self, secret: str, node: str) -> str:
        """The node, if this is its token. Raises Denied, Unauthenticated or Unreachable."""
        try:
            msgspec.convert(node, NodeName)
        except msgspec.ValidationError:
            raise Denied("a hub must be told which node asks; give ?node=NAME") from None
        given = sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        if not self._holds(node, given):
            await self._look_up(node)
            if not self._holds(node, given):
                raise Unauthenticated(
                    f"this is not the token of {node}, or {node} is not enrolled yet"
                )
        return node

    async def enrol(self, secret: str, enrolment: Enrolment) -> None:
        """Let the control plane decide. Raises what it refuses with, or Unreachable."""
        await self._upstream.enrol(secret, enrolment)

    def report(self, secret: str, body: bytes) -> asyncio.Future[None]:
        """Pass reports on; done when the control plane has them. Raises Busy."""
        return self._upstream.report(secret, body)

    def peers(self, secret: str, ask: PeerAsk) -> PeerAnswer:
        """A hub does not know who has what. Raises NotFound."""
        raise NotFound("a hub knows no peers; ask the control plane")

    async def _look_up(self, node: str) -> None:
        key = record_key(node)
        try:
            entry = await self._store.get(key)
        except StoreError as error:
            raise Unreachable(error.sentence) from None
        if entry is not None:
            self.notice(key, entry.value)

    def _holds(self, node: str, given: str) -> bool:
        _, known = self._known.get(node, (0, ""))
        return bool(known) and hmac.compare_digest(known, given)

    def _read(self, node: str, value: bytes) -> tuple[int, str] | None:
        """Serial and token of a genuine record of this node's."""
        try:
            record = msgspec.json.decode(self._trust.open(value, RECORD_TYPE), type=NodeRecord)
        except (Untrusted, msgspec.MsgspecError) as error:
            log.warning("a record in the signal store is not genuine", node=node, why=str(error))
            return None
        return (record.serial, record.token) if record.node == node else None
