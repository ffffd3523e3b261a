"""All swarms: who asks is told where a build is to be had in its own zone, with a pass.

Nothing of it is kept: after a restart nodes ask again, and those that go to the origin meanwhile
are as few as at any beginning.
"""

import base64
from collections.abc import Callable

import msgspec
from msgspec import structs

from headway.errors import Refused
from headway.model.peers import PASS_TYPE, PeerAnswer, PeerAsk, PeerPass
from headway.model.report import Report
from headway.server.fleet import Fleet
from headway.server.swarm import Swarm
from headway.signing import Signer

PASS_SECONDS = 600.0
"""For how long a pass lets a node in."""

KEPT_SECONDS = 3600.0
"""A build for which nobody has asked for so long is no longer followed."""

MOST = 64
"""How many builds and zones of an app are followed; the one asked for longest ago gives way."""


class Swarms:
    """``signer`` is the release key, in which agents trust."""

    def __init__(self, fleet: Fleet, signer: Signer, clock: Callable[[], float]) -> None:
        self._fleet = fleet
        self._signer = signer
        self._clock = clock
        self._swarms: dict[str, dict[tuple[str, str], Swarm]] = {}

    def ask(self, node: str, ask: PeerAsk) -> PeerAnswer:
        """Where ``node`` is to get a build. Raises Refused for one that does not run the app."""
        record = self._fleet.record(node)
        if record is None or ask.app not in record.seats:
            raise Refused(f"{node} is not enrolled for {ask.app}; enrol first")
        now = self._clock()
        swarm = self._swarm(ask.app, (ask.build, record.zone), now)
        answer = swarm.ask(node, ask.address, ask.failed, now)
        if answer.peer is None or answer.address is None:
            return answer
        claim = PeerPass(node, ask.app, answer.address, now + PASS_SECONDS)
        sealed = self._signer.seal(msgspec.json.encode(claim), PASS_TYPE)
        return structs.replace(answer, ticket=base64.urlsafe_b64encode(sealed).decode())

    def heard(self, report: Report) -> None:
        """A node has reported what it holds."""
        for (build, _), swarm in self._swarms.get(report.app, {}).items():
            if build in (report.prepared, report.running):
                swarm.arrived(report.node)

    def _swarm(self, app: str, key: tuple[str, str], now: float) -> Swarm:
        known = self._swarms.setdefault(app, {})
        if key not in known:
            for old in [k for k, swarm in known.items() if now - swarm.asked_at > KEPT_SECONDS]:
                del known[old]
            if len(known) >= MOST:
                del known[min(known, key=lambda k: known[k].asked_at)]
            known[key] = Swarm()
        return known[key]
