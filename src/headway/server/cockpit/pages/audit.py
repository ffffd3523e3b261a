"""Everything that was decided, by whom and why: searched, and taken along as JSON lines."""

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from headway.model.journal import JournalEntry
from headway.server.cockpit.pages.asked import address
from headway.server.database import journal
from headway.server.database.journal import Search
from headway.server.plane import ControlPlane
from headway.server.situation import look

ROWS = 100
MOST_EXPORTED = 10_000

KINDS = (
    "start",
    "advance",
    "pause",
    "resume",
    "revert",
    "abort",
    "retry",
    "sign-off",
    "observed",
    "hold",
    "lift",
    "pin",
    "unpin",
    "build",
    "cut",
    "hotfix",
    "revert-change",
    "freeze",
    "thaw",
    "shift",
    "app",
    "token",
    "enrol",
    "forget",
    "drift",
    "alert",
)
"""Kinds of entries to choose from; others can be typed."""


class Wanted(Struct, frozen=True):
    """What was typed, and the search that it comes to."""

    person: str
    kind: str
    text: str
    since: str
    until: str
    search: Search

    @property
    def filters(self) -> dict[str, str]:
        """What the address of such a page holds."""
        return {
            "person": self.person,
            "kind": self.kind,
            "text": self.text,
            "since": self.since,
            "until": self.until,
        }


class Facts(Struct, frozen=True):
    """What the page is made from."""

    app: str
    wanted: Wanted
    entries: tuple[JournalEntry, ...] = ()
    more: bool = False


class Page(Struct, frozen=True):
    """Everything that the page shows; ``export`` is the address of the same as JSON lines."""

    app: str
    wanted: Wanted
    filtered: bool
    kinds: tuple[str, ...]
    rows: tuple[JournalEntry, ...]
    older: str
    export: str


def make_audit(facts: Facts) -> Page:
    """The page."""
    filters = facts.wanted.filters
    older = ""
    if facts.more:
        older = address(facts.app, "audit", **filters, before=str(facts.entries[-1].seq))
    return Page(
        app=facts.app,
        wanted=facts.wanted,
        filtered=any(filters.values()),
        kinds=KINDS,
        rows=facts.entries,
        older=older,
        export=address(facts.app, "audit", "export", **filters),
    )


async def gather(plane: ControlPlane, app: str, wanted: Wanted, before: int | None = None) -> Facts:
    """The newest entries that fit. Raises NotFound."""
    now = plane.clock()

    def read(connection: Connection) -> Facts:
        look(connection, app, now)
        found = journal.search(connection, wanted.search, ROWS + 1, before=before)
        return Facts(app, wanted, found[:ROWS], len(found) > ROWS)

    return await plane.database.read(read)


async def export(plane: ControlPlane, app: str, wanted: Wanted) -> bytes:
    """The newest entries that fit, one JSON object on a line. Raises NotFound."""
    now = plane.clock()

    def read(connection: Connection) -> bytes:
        look(connection, app, now)
        found = journal.search(connection, wanted.search, MOST_EXPORTED)
        return b"".join(msgspec.json.encode(entry) + b"\n" for entry in found)

    return await plane.database.read(read)
