"""The control plane as it stands behind the connections of nodes."""

import asyncio
from collections.abc import Sequence

import msgspec

from headway.errors import Denied, HeadwayError, InvalidInput
from headway.model.access import Identity, Role
from headway.model.peers import PeerAnswer, PeerAsk
from headway.model.report import Enrolment, Report
from headway.model.views import MAX_PACKETS, Packet, Problem
from headway.server.auth.callers import Callers
from headway.server.desk import ReportDesk
from headway.server.roster import Roster
from headway.server.swarms import Swarms
from headway.signals.requests import MAX_APPS

_REPORTS = msgspec.json.Decoder(list[Report])


class NodeDoor:
    """Lets in who holds a node's token. Implements ``headway.signals.hub_server.Door``."""

    def __init__(self, callers: Callers, roster: Roster, desk: ReportDesk, swarms: Swarms) -> None:
        self._callers = callers
        self._roster = roster
        self._desk = desk
        self._swarms = swarms

    async def admit(self, secret: str, node: str) -> str:
        """The name of the node whose token this is. Raises Denied or Unauthenticated."""
        caller = self._identify(secret)
        if node not in ("", caller.name):
            raise Denied(f"this is the token of {caller.name}; {node[:128]} needs its own")
        return caller.name

    async def enrol(self, secret: str, enrolment: Enrolment) -> None:
        """Present a node. Raises Denied, InvalidInput or Unauthenticated."""
        await self.present(self._identify(secret), enrolment)

    async def present(self, caller: Identity, enrolment: Enrolment) -> None:
        """Present a node whose caller is known. Raises Denied or InvalidInput."""
        if enrolment.node != caller.name:
            raise Denied(f"this is the token of {caller.name}; {enrolment.node} needs its own")
        if len(enrolment.tiers) > MAX_APPS:
            raise InvalidInput(f"{len(enrolment.tiers)} apps on one node, {MAX_APPS} are allowed")
        await self._roster.enrol(enrolment)

    def report(self, secret: str, body: bytes) -> asyncio.Task[None]:
        """Take in reports; done when they are durable.

        Raises Denied, InvalidInput, Refused or Unauthenticated.
        """
        caller = self._identify(secret)
        try:
            reports = _REPORTS.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"the body of the request: {error}"[:1000]) from None
        return self._desk.take(reports, caller)

    def peers(self, secret: str, ask: PeerAsk) -> PeerAnswer:
        """Where a node is to get a build. Raises Denied, Refused or Unauthenticated."""
        return self._swarms.ask(self._identify(secret).name, ask)

    async def take_over(self, packets: Sequence[Packet]) -> list[Problem | None]:
        """Take in what a hub passes on from many nodes: for each what was wrong, or None.

        The hub is not trusted: each packet counts by the node's own token.
        """
        if len(packets) > MAX_PACKETS:
            raise InvalidInput(f"{len(packets)} packets at once, {MAX_PACKETS} are allowed")
        return await asyncio.gather(*map(self._open, packets))

    async def _open(self, packet: Packet) -> Problem | None:
        try:
            await asyncio.shield(self.report(packet.token, bytes(packet.reports)))
        except HeadwayError as error:
            return Problem(error.code, error.sentence, error.status)
        return None

    def _identify(self, secret: str) -> Identity:
        caller = self._callers.identify(secret)
        if caller.role is not Role.NODE:
            raise Denied(f"{caller.name} is a {caller.role}; this takes a node")
        return caller
