"""The control plane: everything that it consists of, wired together."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from headway.builds.storage import warehouse
from headway.guard.watch import Guard
from headway.model.peers import PeerAnswer, PeerAsk
from headway.model.report import Report
from headway.server.attendance import Attendance
from headway.server.auth.callers import Callers
from headway.server.auth.oidc import Provider
from headway.server.auth.people import People
from headway.server.auth.sessions import Limits, Sessions
from headway.server.bot import Bot
from headway.server.chatting import Chat
from headway.server.config import ForgeSettings
from headway.server.crier import Crier
from headway.server.database import tokens
from headway.server.database.connection import Database
from headway.server.desk import ReportDesk
from headway.server.door import NodeDoor
from headway.server.engine import Engine
from headway.server.fleet import Fleet
from headway.server.guardhouse import Guardhouse
from headway.server.metered import MeteredStore
from headway.server.meters import Meters
from headway.server.news import News
from headway.server.patrols import Patrols
from headway.server.publisher import Publisher
from headway.server.releases import Releases
from headway.server.roster import Roster
from headway.server.supplies import Supplies
from headway.server.swarms import Swarms
from headway.server.trains import Trains
from headway.server.workshop import Workshop
from headway.signals.frames import update_frame
from headway.signals.hub import Hub
from headway.signals.hub_server import NodeServer
from headway.signals.port import SignalStore
from headway.signing import Signer, Trust


class ControlPlane:
    """One control plane. ``start`` takes up what the last one left, ``close`` leaves it whole.

    ``build_trust`` holds the keys whose builds are accepted; ``signal_trust`` those whose
    signals in the store count. With ``direct``, nodes are heard in the store too. ``tidying``
    is held while artifacts are merged or removed, and while a build is taken in, which must
    find whole what it relies upon. Copies of the apps' repositories are kept in ``repositories``;
    smoke tests may run ``smoke_programs``. Sessions last as ``limits`` says; people may sign in
    with ``provider`` too. ``may_write`` raises a StoreError while another control plane may be
    the one that acts.
    """

    def __init__(
        self,
        *,
        database: Database,
        signals: SignalStore,
        artifacts: Path | str,
        release_key: Signer,
        build_trust: Trust,
        signal_trust: Trust | None = None,
        guard: Guard | None = None,
        supplies: Supplies | None = None,
        clock: Callable[[], float] = time.time,
        direct: bool = False,
        may_write: Callable[[], None] = lambda: None,
        repositories: Path | None = None,
        forges: Mapping[str, ForgeSettings] | None = None,
        smoke_programs: Collection[str] = (),
        limits: Limits | None = None,
        provider: Provider | None = None,
    ) -> None:
        self.clock = clock
        self.may_write = may_write
        self.database = database
        self.meters = Meters()
        self.signals = signals = MeteredStore(signals, self.meters)
        self.storage = warehouse(artifacts)
        self.tidying = asyncio.Lock()
        self.build_trust = build_trust
        self.callers = Callers()
        self.fleet = Fleet()
        self.news = News()
        self.sessions = Sessions(database, clock, limits)
        self.provider = provider
        issuer = provider.settings.issuer if provider is not None else None
        self.people = People(database, self.callers, self.sessions, self.news, clock, issuer)
        self.hub = Hub(signals, update_frame)
        trust = signal_trust or Trust.of(release_key.public_pem)
        publisher = Publisher(signals, release_key, trust, may_write)
        token_of = self.callers.hash_of
        self.roster = Roster(database, publisher, self.fleet, self.news, clock, token_of)
        self.workshop = Workshop(repositories, forges or {})
        self.releases = Releases(database, self.workshop, self.news, clock)
        self.smoke_programs = frozenset(smoke_programs)
        self.engine = Engine(
            database,
            publisher,
            self.roster,
            self.fleet,
            self.news,
            clock,
            guard,
            self.smoke_programs,
            self.releases.held_back,
            self.meters,
        )
        self.bot = Bot(database, self.engine, self.releases, clock)
        self.trains = Trains(database, self.engine, self.news, clock)
        self.chat = Chat(database, self.callers, self.trains, clock)
        self._swarms = Swarms(self.fleet, release_key, clock)
        self.desk = ReportDesk(database, self.fleet, self._heard, self.news, clock)
        self.guard = guard
        supplies = supplies or Supplies()
        self.public_url = supplies.public_url
        self.crier = Crier(database, supplies.announcers, supplies.public_url, clock, self.meters)
        self.guardhouse: Guardhouse | None = None
        if guard is not None:
            self.guardhouse = Guardhouse(
                database,
                guard,
                Patrols(database, guard, self.news, clock),
                clock,
                supplies.secrets,
                supplies.history,
                supplies.statsd,
            )
        self.attendance = Attendance(signals, self.roster, self.desk, self.fleet, clock)
        self._direct = direct
        self.door = NodeDoor(self.callers, self.roster, self.desk, self._swarms)
        self.nodes = NodeServer(
            self.hub,
            self.door,
            came=self.fleet.come_back,
            left=lambda node: self.fleet.leave(node, clock()),
        )

    async def start(self) -> None:
        """Load what is known and carry on. Raises StorageFailed or StoreError."""
        self.callers.admit(*await self.database.read(tokens.every))
        await self.people.start()
        await self.roster.load()
        await self.desk.load()
        if self.guardhouse is not None:
            await self.guardhouse.load()
            await self.guardhouse.start()
        await self.engine.start()
        self.crier.start()
        self.releases.start()
        self.bot.start()
        self.trains.start()
        if self._direct:
            self.attendance.start()
        self.nodes.start()

    def peers(self, node: str, ask: PeerAsk) -> PeerAnswer:
        """Where a node is to get a build. Raises Refused."""
        return self._swarms.ask(node, ask)

    def burns(self, app: str) -> bool:
        """Whether the watch says that the app is on fire."""
        return self.guard is not None and self.guard.fire(app) is not None

    def _heard(self, report: Report) -> None:
        self._swarms.heard(report)
        self.engine.hear(report)

    async def end_streams(self) -> None:
        """Let every open stream end, so that no reader delays the stop."""
        self.news.close()
        await self.nodes.close()
        await self.hub.close()

    async def close(self) -> None:
        """Stop, in the order in which nothing is lost."""
        await self.end_streams()
        await self.people.close()
        await self.attendance.close()
        await self.desk.close()
        await self.trains.close()
        await self.bot.close()
        await self.releases.close()
        await self.engine.close()
        if self.guardhouse is not None:
            await self.guardhouse.close()
        await self.crier.close()
        await self.signals.close()
        await self.database.close()
        self.storage.close()
