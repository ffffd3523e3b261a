"""Tidying an app's artifacts: merging packs, and removing builds that nothing needs."""

import asyncio

from sqlalchemy import Connection

from headway.builds.collect import Collected, collect
from headway.builds.repack import Repacked, repack
from headway.core.signalling import signal_of
from headway.core.words import count
from headway.model.names import BuildId
from headway.model.views import CollectRequest, RepackRequest
from headway.server.database import builds, journal, rollouts
from headway.server.database.builds import Published
from headway.server.needed import needed
from headway.server.plane import ControlPlane

DAY = 86_400.0

GRACE = DAY
"""How old, in seconds, an object must be before it can be garbage: it might be on its way in."""

REPACKED_BUILDS = 20
"""How many of the newest builds are pointed at the new pack."""


async def repack_app(plane: ControlPlane, app: str, request: RepackRequest, by: str) -> Repacked:
    """Merge the packs of the app's newest builds. Raises NotFound, Untrusted or StorageFailed."""
    await plane.engine.situation(app)
    async with plane.tidying:
        newest = await plane.database.read(lambda c: builds.newest(c, app, REPACKED_BUILDS))
        ids = [build.id for build in newest]
        done = await asyncio.to_thread(repack, plane.storage, app, ids, request.most)
    if done.after < done.before:
        why = f"{by} merges {done.before} packs of {app} into one"
        await record(plane, app, by, "repack", why)
    return done


async def collect_app(plane: ControlPlane, app: str, request: CollectRequest, by: str) -> Collected:
    """Remove what nothing needs. Raises Refused and StoreError when that is not certain.

    A build is first taken out of the database, so that nobody can name it any more; then, when
    all that was being decided has been decided, it is seen whether it is still not needed.
    """
    await plane.engine.situation(app)
    async with plane.tidying:
        now = plane.clock()
        kept = await _needed(plane, app, request, now)
        published = await plane.database.read(lambda c: builds.every(c, app))
        doomed = [row for row in published if row.id not in kept and row.published_at < now - GRACE]
        if not request.dry:
            await plane.database.write(lambda c: builds.remove(c, doomed))
            doomed = await _spared(plane, app, request, now, doomed)
        going = {row.id for row in doomed}
        kept |= {row.id for row in published if row.id not in going}
        before = now - GRACE
        done = await asyncio.to_thread(collect, plane.storage, app, kept, before, request.dry)
    if done.bytes and not request.dry:
        gone = f"{count(len(done.builds), 'build')} and {count(done.packs, 'pack')}"
        why = f"{by} removes {gone} of {app}"
        await record(plane, app, by, "gc", why)
    return done


async def _spared(
    plane: ControlPlane, app: str, request: CollectRequest, now: float, doomed: list[Published]
) -> list[Published]:
    """Put back what a person chose at the last moment; returns what remains doomed."""
    try:
        async with plane.engine.deciding(app), plane.roster.deciding:
            kept = await _needed(plane, app, request, now)
    except BaseException:
        await plane.database.write(lambda c: builds.put_back(c, doomed))
        raise
    spared = [row for row in doomed if row.id in kept]
    await plane.database.write(lambda c: builds.put_back(c, spared))
    return [row for row in doomed if row.id not in kept]


async def _needed(
    plane: ControlPlane, app: str, request: CollectRequest, now: float
) -> set[BuildId]:
    plane.may_write()
    signalled = await plane.engine.signalled(app)

    def read(connection: Connection) -> set[BuildId]:
        published = builds.every(connection, app)
        window = [
            row.id
            for number, row in enumerate(published)
            if number < request.keep or row.published_at >= now - request.days * DAY
        ]
        # The fleet may still turn back to where a rollout of the window came from.
        recent = rollouts.newest(connection, app, request.keep)
        signals = [signal_of(recent[0])] if recent else []
        if signalled is not None:
            signals.append(signalled)
        return needed(app, signals, plane.fleet.members(app), recent, window)

    return await plane.database.read(read)


async def record(plane: ControlPlane, app: str, by: str, kind: str, why: str) -> None:
    """Say in the journal what was done about an app's artifacts, or why not."""
    now = plane.clock()
    await plane.database.write(
        lambda c: journal.append(c, at=now, app=app, actor=by, kind=kind, why=why)
    )
    plane.news.journal_grew()
