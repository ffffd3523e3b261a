"""Keeps the guard supplied: with the apps' settings, what sources tell, earlier days, its memory.

The engine asks the guard for verdicts, and never waits for any of this.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog
from msgspec import Struct
from sqlalchemy import Connection

from headway.errors import HeadwayError
from headway.guard.counters import BUCKET, KEPT, SLOT
from headway.guard.course import Course
from headway.guard.feed import Feed
from headway.guard.record import Chunk, Record
from headway.guard.season import Slots, spans
from headway.guard.sources.opening import Secret, open_source
from headway.guard.statsd import StatsD
from headway.guard.watch import Guard
from headway.model.plan import AppConfig
from headway.model.source import SourceConfig
from headway.model.verdict import Verdict
from headway.server.database import apps, rollouts
from headway.server.database import guard as memory
from headway.server.database.connection import Database
from headway.server.patrols import Patrols

ROUND_SECONDS = 5.0
"""How often settings are read, the site is looked at, and what is new is kept."""

RECORDS_KEPT = 30
"""Rollouts of an app whose evidence is kept."""

DAY_SECONDS = 3600.0
"""How often the watch learns what the coming hours should look like."""

log = structlog.get_logger()


class Guardhouse:
    """Everything around one guard. ``history`` is for how many seconds slots are kept."""

    def __init__(
        self,
        database: Database,
        guard: Guard,
        patrols: Patrols,
        clock: Callable[[], float],
        secrets: Mapping[str, Secret],
        history: float,
        statsd: tuple[str, int] | None = None,
    ) -> None:
        self._database = database
        self._guard = guard
        self._patrols = patrols
        self._clock = clock
        self._secrets = secrets
        self._history = history
        self._listen = statsd
        self._statsd = StatsD()
        self._port: asyncio.DatagramTransport | None = None
        self._feeds: dict[tuple[str, str], _Reading] = {}
        self._begun: dict[str, Record] = {}
        self._learned: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Know again what the last control plane knew. Call before the first report."""
        now = self._clock()
        configs = await self._database.read(apps.every)
        for config in configs:
            self._guard.configure(config)
        since = now - KEPT * BUCKET
        self._guard.counters.restore(await self._database.read(lambda c: memory.buckets(c, since)))
        # Slots of weeks are not kept in memory, but what was ever heard of is.
        recent = await self._database.read(lambda c: memory.slots(c, now - 2 * SLOT))
        self._guard.counters.restore_slots(recent)
        for rollout in await self._database.read(rollouts.live):
            kept = await self._database.read(lambda c, id=rollout.id: memory.record(c, id))  # type: ignore[misc]
            if kept is not None:
                self._guard.resume(kept[0])
                self._begun[rollout.id] = kept[0]
        fires = await self._database.read(memory.fires)
        for config in configs:
            if config.name in fires:
                self._guard.rekindle(config, fires[config.name], now)

    async def start(self) -> None:
        """Begin to listen and to read. Raises OSError where StatsD's port is taken."""
        if self._listen is not None:
            loop = asyncio.get_running_loop()
            self._port, _ = await loop.create_datagram_endpoint(
                lambda: _Packets(self._statsd, self._guard), local_addr=self._listen
            )
        self._task = asyncio.create_task(self._run())

    @property
    def statsd_port(self) -> int | None:
        """The port on which StatsD is heard."""
        return None if self._port is None else int(self._port.get_extra_info("sockname")[1])

    async def close(self) -> None:
        """Stop, and keep what is new."""
        if self._port is not None:
            self._port.close()
        tasks = [reading.task for reading in self._feeds.values()]
        tasks += [self._task] if self._task is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for reading in self._feeds.values():
            await reading.feed.close()
        if self._task is not None:
            with suppress(HeadwayError):
                await self.keep()

    async def round(self) -> None:
        """Everything once, but for the sources, which have tasks of their own."""
        now = self._clock()
        configs = await self._database.read(apps.every)
        await self._supply(configs)
        self._guard.take(
            (now, sample) for sample in self._statsd.take(self._guard.whereabouts, now)
        )
        for config in configs:
            self._guard.configure(config)
            await self._patrols.look(config, now)
            if now - self._learned.get(f"watch of {config.name}", -DAY_SECONDS) >= DAY_SECONDS:
                self._learned[f"watch of {config.name}"] = now
                slots = await self._slots(config.name, now, set())
                self._guard.learn_day(config.name, slots, now)
        for course in self._guard.courses():
            if course.record.settings.id not in self._learned:
                await self._learn(course)
        await self.keep()

    async def keep(self) -> None:
        """Write down what the guard has seen and said since the last time. Raises StorageFailed."""
        begun: list[Record] = []
        chunks: list[tuple[Record, Chunk, tuple[Verdict, ...]]] = []
        for course in self._guard.courses():
            record = course.record
            for tier in course.unlearned():
                course.learn(tier)
                await asyncio.sleep(0)  # everything else has its turn
            if self._begun.get(record.settings.id) is not record:
                begun.append(record)
            chunk = record.chunk()
            if chunk is not None:
                chunks.append((record, chunk, course.verdicts()))
        now, news = self._clock(), self._guard.counters.news()

        def write(connection: Connection) -> None:
            memory.keep(connection, news)
            memory.forget(connection, now - KEPT * BUCKET, now - self._history)
            for record in begun:
                memory.begin_record(connection, record.settings, record.befores)
                memory.trim(connection, record.settings.app, RECORDS_KEPT)
            for record, chunk, latest in chunks:
                memory.extend_record(connection, record.settings.id, chunk, latest)

        try:
            await self._database.write(write)
        except BaseException:
            self._guard.counters.again(news)
            raise
        self._begun |= {record.settings.id: record for record in begun}
        for record, chunk, _ in chunks:
            record.kept(chunk)

    async def _supply(self, configs: tuple[AppConfig, ...]) -> None:
        """Read exactly those sources that apps name."""
        wanted = {(app.name, config.name): config for app in configs for config in app.sources}
        for key, reading in list(self._feeds.items()):
            if wanted.get(key) != reading.config:
                del self._feeds[key]
                reading.task.cancel()
                await asyncio.gather(reading.task, return_exceptions=True)
                await reading.feed.close()
        for (app, name), config in wanted.items():
            if (app, name) in self._feeds:
                continue
            try:
                source = open_source(config, self._secrets)
            except HeadwayError as error:
                self._guard.heard_from(app, name, 0.0, error.sentence)
                continue
            feed = Feed(app, config, source)
            task = asyncio.create_task(self._follow(app, config, feed))
            self._feeds[app, name] = _Reading(config, feed, task)

    async def _follow(self, app: str, config: SourceConfig, feed: Feed) -> None:
        """Read one source again and again."""
        while True:
            try:
                self._guard.take(await feed.pull(self._guard.whereabouts, self._clock()))
            except Exception:
                log.exception("a defect in reading a source", app=app, source=config.name)
                feed.trouble = f"{config.name} cannot be read because of a defect in Headway"
            self._guard.heard_from(app, config.name, feed.reached, feed.trouble)
            now = self._clock()
            await asyncio.sleep(max(config.every - (now - config.delay) % config.every, 0.5))

    async def _learn(self, course: Course) -> None:
        """What the hours after a deploy looked like on earlier days."""
        settings = course.record.settings
        self._learned[settings.id] = settings.began
        rollout = await self._database.read(lambda c: rollouts.get(c, settings.id))
        tiers = {rollout.plan[-1].tier} if rollout is not None else set()
        slots = await self._slots(settings.app, settings.began, tiers)
        self._guard.learn_season(settings.id, slots)

    async def _slots(self, app: str, began: float, tiers: set[str]) -> Slots:
        times = spans(began)
        found = dict(await self._database.read(lambda c: memory.history(c, app, times, tiers)))
        for (owner, name), reading in list(self._feeds.items()):
            if owner != app:
                continue
            try:
                slots = await reading.feed.history(self._guard.whereabouts, times, tiers)
            except HeadwayError as error:
                log.info("earlier days are not known", source=name, why=error.sentence)
                continue
            for begin, sums in slots.items():
                # The source knows its own past better than what was kept of it.
                found[begin] = {**found.get(begin, {}), **sums}
        return found

    async def _run(self) -> None:
        while True:
            await self._guarded(self.round())
            await asyncio.sleep(ROUND_SECONDS)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except HeadwayError as error:
            log.warning("the guard's memory waits", why=error.sentence)
        except Exception:
            log.exception("a defect around the guard; it goes on all the same")


class _Reading(Struct, frozen=True):
    """A source that is being read."""

    config: SourceConfig
    feed: Feed
    task: asyncio.Task[None]


class _Packets(asyncio.DatagramProtocol):
    """StatsD's packets."""

    def __init__(self, statsd: StatsD, guard: Guard) -> None:
        self._statsd = statsd
        self._guard = guard

    def datagram_received(self, data: bytes, addr: object) -> None:
        """One packet."""
        self._statsd.hear(data, self._guard.whereabouts)
