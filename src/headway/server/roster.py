"""What the control plane decides about single nodes: seats, holds, pins.

Each decision is a higher serial of the node's record. It is written to the database together
with its journal entry, and then published, signed, to the signal store.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

import structlog
from msgspec import Struct, structs
from sqlalchemy import Connection

from headway.core import positions
from headway.core.words import count
from headway.errors import NotFound, StoreError
from headway.model.journal import HEADWAY
from headway.model.report import Enrolment
from headway.model.signal import NodeHold, NodeRecord, Seat
from headway.server.database import journal, nodes
from headway.server.database.connection import Database
from headway.server.fleet import Fleet
from headway.server.news import News
from headway.server.publisher import Publisher

AT_ONCE = 256
GATHER_SECONDS = 0.005

log = structlog.get_logger()


class Roster:
    """The records of all nodes; ``token_of`` gives the sha256 of a node's token."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        fleet: Fleet,
        news: News,
        clock: Callable[[], float],
        token_of: Callable[[str], str] = lambda node: "",
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._fleet = fleet
        self._news = news
        self._clock = clock
        self._token_of = token_of
        self.deciding = asyncio.Lock()
        self._serials: dict[str, int] = {}
        self._unpublished: dict[str, NodeRecord] = {}
        self._arrivals: list[_Arrival] = []
        self._seating: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Know every node again, from the database and, where it is ahead, the signal store.

        A database that was lost or restored is older than what nodes have acted upon.
        """
        known = {record.node: record for record in await self._database.read(nodes.every)}
        published = await self._publisher.records()
        self._serials = {node: record.serial for node, record in published.items()}
        ahead = [
            record
            for node, record in published.items()
            if node not in known or record.serial > known[node].serial
        ]
        known |= {record.node: record for record in ahead}

        def adopt(connection: Connection) -> None:
            for record in ahead:
                nodes.forget(connection, record.node)
                if record.seats:
                    nodes.add(connection, record, "", self._clock())

        await self._database.write(adopt)
        for record in known.values():
            if record.seats:
                self._fleet.place(record)
        await self._publish([r for r in known.values() if r.serial > self._serials.get(r.node, 0)])
        await self._refresh_tokens()

    async def _refresh_tokens(self) -> None:
        """Bring up to date what was written before hubs knew tokens, or just before a crash."""
        fresh = [
            structs.replace(record, token=token, serial=self._next_serial(record.node))
            for record in self._fleet
            if record.token != (token := self._token_of(record.node))
        ]
        if not fresh:
            return

        def write(connection: Connection) -> None:
            for record in fresh:
                nodes.put(connection, record)

        await self._database.write(write)
        for record in fresh:
            self._fleet.place(record)
        await self._publish(fresh)

    async def enrol(self, enrolment: Enrolment) -> None:
        """Give a node its seats. The same facts again change nothing.

        Nodes that come within a few milliseconds of each other are seated together.
        """
        arrival = _Arrival(enrolment, asyncio.get_running_loop().create_future())
        self._arrivals.append(arrival)
        if self._seating is None:
            self._seating = asyncio.create_task(self._seat_soon())
        await arrival.seated

    async def _seat_soon(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        async with self.deciding:
            arrivals, self._arrivals, self._seating = self._arrivals, [], None
            try:
                records = await self._seat_all([arrival.enrolment for arrival in arrivals])
            except Exception as error:
                for arrival in arrivals:
                    arrival.fail(error)
                return
        await self._publish(records)
        for arrival in arrivals:
            arrival.succeed()

    async def _seat_all(self, enrolments: Sequence[Enrolment]) -> list[NodeRecord]:
        """Decide upon everybody's seats, and record them; the records that are new."""
        vacancies = _Vacancies(self._fleet)
        seated: dict[str, tuple[NodeRecord, Enrolment]] = {}
        for enrolment in enrolments:
            known = self._fleet.record(enrolment.node)
            before = seated[enrolment.node][0] if enrolment.node in seated else known
            seats = {
                app: vacancies.seat(before, app, tier)
                for app, tier in sorted(enrolment.tiers.items())
            }
            token = self._token_of(enrolment.node)
            facts = enrolment.zone, seats, token
            if before is not None and (before.zone, before.seats, before.token) == facts:
                continue
            record = NodeRecord(
                node=enrolment.node,
                serial=self._next_serial(enrolment.node),
                zone=enrolment.zone,
                seats=seats,
                hold=before.hold if before else None,
                token=token,
            )
            seated[enrolment.node] = record, enrolment
        if not seated:
            return []
        now = self._clock()

        def write(connection: Connection) -> None:
            for record, enrolment in seated.values():
                if self._fleet.record(record.node) is None:
                    nodes.add(connection, record, enrolment.version, now)
                else:
                    nodes.put(connection, record)
                places = ", ".join(f"{app} in {seat.tier}" for app, seat in record.seats.items())
                why = f"{record.node} enrols in zone {record.zone} for {places or 'no app'}"
                journal.append(connection, at=now, actor=record.node, kind="enrol", why=why)

        await self._database.write(write)
        records = [record for record, _ in seated.values()]
        for record in records:
            self._fleet.place(record)
        self._news.journal_grew()
        return records

    async def hold(self, node: str, hold: NodeHold) -> None:
        """Keep a node as it is. Raises NotFound."""
        why = f"{hold.by} holds {node}: {hold.reason}"
        await self._change(node, lambda r: structs.replace(r, hold=hold), hold.by, "hold", why)

    async def unhold(self, node: str, by: str) -> None:
        """Let a node follow the signal again. Raises NotFound, also where it is not held."""

        def free(record: NodeRecord) -> NodeRecord:
            if record.hold is None:
                raise NotFound(f"{node} is not held; see `headway hold list`")
            return structs.replace(record, hold=None)

        await self._change(node, free, by, "lift", f"{by} lifts the hold on {node}")

    async def pin(self, node: str, app: str, build: str | None, by: str) -> None:
        """Pin a node to a build, or take the pin away. Raises NotFound."""

        def pinned(record: NodeRecord) -> NodeRecord:
            seat = structs.replace(_seat(record, app), pin=build)
            return structs.replace(record, seats={**record.seats, app: seat})

        why = f"{by} pins {app} on {node} to {build[:12]}" if build else f"{by} unpins {app}"
        await self._change(node, pinned, by, "pin" if build else "unpin", why)

    async def retoken(self, node: str, by: str) -> None:
        """Tell hubs that a node's token is another one now, or none, if it is a node's at all."""
        if self._fleet.record(node) is not None:
            token = self._token_of(node)
            why = f"{by} changes the token of {node}"
            await self._change(node, lambda r: structs.replace(r, token=token), by, "token", why)

    async def verify(self, node: str, app: str, by: str) -> None:
        """Ask a node to read again all that it holds of an app. Raises NotFound."""

        def asked(record: NodeRecord) -> NodeRecord:
            # The serial rises also where a database was restored, and so must this number.
            seat = structs.replace(_seat(record, app), verify=self._next_serial(node))
            return structs.replace(record, seats={**record.seats, app: seat})

        await self._change(node, asked, by, "verify", f"{by} asks {node} to verify {app}")

    async def forget(self, node: str, by: str) -> None:
        """Strike a node off. What remains is a record without a seat. Raises NotFound."""
        async with self.deciding:
            record = structs.replace(
                self._get(node), serial=self._next_serial(node), seats={}, hold=None, token=""
            )
            why = f"{by} strikes {node} off the fleet"

            def write(connection: Connection) -> None:
                nodes.forget(connection, node)
                journal.append(connection, at=self._clock(), actor=by, kind="forget", why=why)

            await self._database.write(write)
            self._fleet.forget(node)
            self._news.journal_grew()
        await self._publish([record])

    async def renumber(self, app: str) -> None:
        """Make the app's positions exact again, tier by tier, where nodes came or went."""
        async with self.deciding:
            places: dict[str, dict[str, NodeRecord]] = {}
            for record in self._fleet:
                if app in record.seats:
                    places.setdefault(record.seats[app].tier, {})[record.node] = record
            moved = [record for tier in places.values() for record in self._moved(app, tier)]
            if not moved:
                return
            many = count(len(moved), "node")
            why = f"fractions of {app} are made exact: new positions for {many}"
            now = self._clock()

            def write(connection: Connection) -> None:
                for record in moved:
                    nodes.put(connection, record)
                journal.append(connection, at=now, app=app, actor=HEADWAY, kind="renumber", why=why)

            await self._database.write(write)
            for record in moved:
                self._fleet.place(record)
            self._news.journal_grew()
        await self._publish(moved)

    async def catch_up(self) -> None:
        """Publish what could not be published when it was decided."""
        await self._publish(list(self._unpublished.values()))

    def _moved(self, app: str, tier: dict[str, NodeRecord]) -> Iterable[NodeRecord]:
        """The tier's records with exact positions, if theirs are not."""
        exact = {rank / len(tier) for rank in range(len(tier))}
        if {record.seats[app].position for record in tier.values()} == exact:
            return
        for node, position in positions.assign({n: r.zone for n, r in tier.items()}).items():
            record = tier[node]
            if record.seats[app].position != position:
                seat = structs.replace(record.seats[app], position=position)
                yield structs.replace(
                    record, serial=self._next_serial(node), seats={**record.seats, app: seat}
                )

    def _get(self, node: str) -> NodeRecord:
        record = self._fleet.record(node)
        if record is None:
            raise NotFound(f"there is no node {node}; see `headway node list`")
        return record

    def _next_serial(self, node: str) -> int:
        record = self._fleet.record(node)
        return max(record.serial if record else 0, self._serials.get(node, 0)) + 1

    async def _change(
        self, node: str, change: Callable[[NodeRecord], NodeRecord], by: str, kind: str, why: str
    ) -> None:
        async with self.deciding:
            before = self._get(node)
            record = change(before)
            if record == before:
                return
            record = structs.replace(record, serial=self._next_serial(node))
            await self._record(record, by, kind, why, lambda c: nodes.put(c, record))
        await self._publish([record])

    async def _record(
        self,
        record: NodeRecord,
        by: str,
        kind: str,
        why: str,
        write: Callable[[Connection], None],
    ) -> None:
        now = self._clock()

        def both(connection: Connection) -> None:
            write(connection)
            journal.append(connection, at=now, actor=by, kind=kind, why=why)

        await self._database.write(both)
        self._fleet.place(record)
        self._news.journal_grew()

    async def _publish(self, records: Sequence[NodeRecord]) -> None:
        """Put records into the store; what fails is tried again by ``catch_up``."""
        self._unpublished |= {record.node: record for record in records}
        for begin in range(0, len(records), AT_ONCE):
            batch = records[begin : begin + AT_ONCE]
            try:
                await asyncio.gather(*map(self._publisher.put_record, batch))
            except StoreError as error:
                log.warning("node records wait for the signal store", why=error.sentence)
                return
            for record in batch:
                self._serials[record.node] = record.serial
                if self._unpublished.get(record.node) is record:
                    del self._unpublished[record.node]


def _seat(record: NodeRecord, app: str) -> Seat:
    """A node's seat in an app. Raises NotFound."""
    if app not in record.seats:
        runs = ", ".join(record.seats) or "nothing"
        raise NotFound(f"{record.node} does not run {app}; it runs {runs}")
    return record.seats[app]


class _Arrival(Struct):
    """A node that waits for its seats."""

    enrolment: Enrolment
    seated: asyncio.Future[None]

    def succeed(self) -> None:
        if not self.seated.done():
            self.seated.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.seated.done():
            self.seated.set_exception(error)


class _Vacancies:
    """Free places in every tier, for nodes that come together."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._places: dict[tuple[str, str], Iterator[float]] = {}

    def seat(self, before: NodeRecord | None, app: str, tier: str) -> Seat:
        """The seat that the node has, or a new one."""
        seat = before.seats.get(app) if before else None
        if seat is not None and seat.tier == tier:
            return seat
        if (app, tier) not in self._places:
            seats = (record.seats.get(app) for record in self._fleet)
            taken = (taken.position for taken in seats if taken and taken.tier == tier)
            self._places[app, tier] = positions.newcomers(taken)
        return Seat(tier, next(self._places[app, tier]), seat.pin if seat else None)
