"""One build: where it comes from, where it runs, and what it changes from another."""

import asyncio

from msgspec import Struct
from sqlalchemy import Connection

from headway.builds import attestation, layout
from headway.builds.storage.port import read_whole
from headway.errors import HeadwayError
from headway.model.build import Build
from headway.model.names import BuildId
from headway.model.release import Release
from headway.model.rollout import LIVE, Rollout
from headway.server.cockpit.pages.builds import Runs, running
from headway.server.cockpit.pages.courses import RolloutLine, rollout_lines
from headway.server.cockpit.pages.difference import Difference, difference
from headway.server.cockpit.pages.named import Named
from headway.server.cockpit.pages.releases import LOOKED_AT, ChangeLine, brought
from headway.server.database import releases, rollouts
from headway.server.lookup import find_build
from headway.server.plane import ControlPlane
from headway.server.situation import look
from headway.signing import MAX_ENVELOPE_BYTES

MOST_RELEASES = 60
"""So many releases between two builds are read for their changes."""


class Facts(Struct, frozen=True):
    """What the page is made from.

    ``base`` is the build to compare with; ``between`` are the releases after the older one of the
    two up to the newer one, oldest first, and ``unread`` how many more there are. ``attested`` is
    what the signature comes to, and whether it holds.
    """

    app: str
    build: Build
    live: BuildId | None = None
    runs: tuple[Runs, ...] = ()
    release: str = ""
    rollouts: tuple[Rollout, ...] = ()
    attested: str = ""
    trusted: bool = False
    base: Build | None = None
    back: bool = False
    between: tuple[Release, ...] = ()
    unread: int = 0
    untold: str = ""
    difference: Difference | None = None
    unknown: str = ""
    plans: tuple[str, ...] = ()
    latest: str = ""
    under_way: str = ""


class Step(Struct, frozen=True):
    """A release between two builds, and its changes."""

    release: str
    changes: tuple[ChangeLine, ...]


class Comparison(Struct, frozen=True):
    """What changed since another build; ``back`` when it is the newer one.

    ``untold`` is why no changes can be named, ``unknown`` why no files can.
    """

    base: Named
    back: bool
    releases: tuple[Step, ...]
    unread: int
    untold: str
    difference: Difference | None
    unknown: str


class Page(Struct, frozen=True):
    """Everything that the page shows."""

    app: str
    build: Named
    id: str
    created_at: float
    files: int
    bytes: int
    new_bytes: int
    live: bool
    runs: tuple[Runs, ...]
    release: str
    rollouts: tuple[RolloutLine, ...]
    attested: str
    trusted: bool
    since: Comparison | None
    deploys: bool
    plans: tuple[str, ...]
    latest: str
    under_way: str


def make_build(facts: Facts) -> Page:
    """The page."""
    build, live = facts.build, facts.build.id == facts.live
    return Page(
        app=facts.app,
        build=_named(build, "live" if live else "other"),
        id=build.id,
        created_at=build.created_at,
        files=build.files,
        bytes=build.bytes,
        new_bytes=build.new_bytes,
        live=live,
        runs=facts.runs,
        release=facts.release,
        rollouts=rollout_lines(facts.rollouts),
        attested=facts.attested,
        trusted=facts.trusted,
        since=_compared(facts, facts.base) if facts.base is not None else None,
        deploys=not live and not facts.under_way,
        plans=facts.plans,
        latest=facts.latest,
        under_way=facts.under_way,
    )


def _compared(facts: Facts, base: Build) -> Comparison:
    return Comparison(
        base=_named(base, "old"),
        back=facts.back,
        releases=tuple(Step(one.id, brought(one)) for one in reversed(facts.between)),
        unread=facts.unread,
        untold=facts.untold,
        difference=facts.difference,
        unknown=facts.unknown,
    )


def _named(build: Build, role: str) -> Named:
    return Named(build.id, role, build.commit, build.subject, build.by)


class _Known(Struct, frozen=True):
    build: Build
    base: Build | None
    release: Release | None
    before: Release | None
    between: tuple[Release, ...]
    unread: int
    rollouts: tuple[Rollout, ...]
    plans: tuple[str, ...]
    latest: Rollout | None
    live: BuildId | None


async def gather(plane: ControlPlane, app: str, build: str, since: str = "") -> Facts:
    """A build of an app. Raises NotFound and InvalidInput."""
    now = plane.clock()
    known = await plane.database.read(lambda c: _read(c, app, build, since, now))
    situation = await plane.engine.situation(app)
    runs = running(plane.engine.view(situation, now)).get(known.build.id, {})
    attested, trusted = await asyncio.to_thread(_attested, plane, known.build)
    found, unknown = None, ""
    if known.base is not None:
        try:
            found = await asyncio.to_thread(
                difference, plane.storage, app, known.base.id, known.build.id
            )
        except HeadwayError as problem:
            unknown = problem.sentence
    untold = ""
    if known.base is not None and (known.release is None or known.before is None):
        nameless = known.build if known.release is None else known.base
        untold = f"{nameless.id[:12]} is of no release, so no changes can be named"
    release, before = known.release, known.before
    latest = known.latest
    return Facts(
        app=app,
        build=known.build,
        live=known.live,
        runs=tuple(Runs(*item) for item in runs.items()),
        release=release.id if release else "",
        rollouts=known.rollouts,
        attested=attested,
        trusted=trusted,
        base=known.base,
        back=release is not None and before is not None and before.number > release.number,
        between=known.between,
        unread=known.unread,
        untold=untold,
        difference=found,
        unknown=unknown,
        plans=known.plans,
        latest=latest.id if latest else "",
        under_way=latest.id if latest is not None and latest.phase in LIVE else "",
    )


def _read(connection: Connection, app: str, prefix: str, since: str, now: float) -> _Known:
    known = look(connection, app, now)
    build = find_build(connection, app, prefix)
    base = find_build(connection, app, since) if since else None
    release = releases.of_build(connection, app, build.id, build.commit)
    before = releases.of_build(connection, app, base.id, base.commit) if base else None
    between: tuple[Release, ...] = ()
    unread = 0
    if release is not None and before is not None:
        older, newer = sorted((release.number, before.number))
        first = max(older + 1, newer - MOST_RELEASES + 1)
        between, unread = releases.span(connection, app, first, newer), first - older - 1
    recent = rollouts.newest(connection, app, LOOKED_AT)
    return _Known(
        build=build,
        base=base,
        release=release,
        before=before,
        between=between,
        unread=unread,
        rollouts=tuple(one for one in recent if one.target == build.id),
        plans=tuple(known.config.plans),
        latest=known.latest,
        live=known.live_build,
    )


def _attested(plane: ControlPlane, build: Build) -> tuple[str, bool]:
    """What the attestation in the store comes to now, and whether it can be trusted."""
    path = layout.attestation(build.app, build.id)
    try:
        if plane.storage.size(path) is None:
            return "its attestation is not in the store any more", False
        envelope = read_whole(plane.storage, path, MAX_ENVELOPE_BYTES)
        attestation.open(envelope, plane.build_trust, app=build.app, build=build.id)
    except HeadwayError as problem:
        return problem.sentence, False
    return "signed by a build key that is trusted here", True
