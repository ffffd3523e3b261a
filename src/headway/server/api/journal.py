"""The journal."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from headway.errors import NotFound
from headway.model.journal import JournalEntry
from headway.server.api.given import Filter, Limit, Plane
from headway.server.auth.rules import Rule
from headway.server.database import journal

After = Annotated[
    int | None, QueryParameter(ge=0, le=2**53, description="Only what has a higher number")
]


Told = Annotated[bool, QueryParameter(description="Only what has a sentence")]


@get(
    "/v1/journal",
    opt={"role": Rule.VIEWER, "errors": (NotFound,)},
    summary="What was decided, by whom and why",
)
async def read_journal(
    plane: Plane,
    app: Filter = None,
    rollout: Filter = None,
    release: Filter = None,
    after: After = None,
    limit: Limit = 100,
    told: Told = False,
) -> list[JournalEntry]:
    """Oldest first: the first entries after ``after``, or without it the newest ones."""
    if app:
        await plane.engine.situation(app)
    if rollout:
        await plane.engine.known(rollout)
    if release:
        await plane.releases.known(release)
    return list(
        await plane.database.read(
            lambda c: journal.entries(
                c, app=app, rollout=rollout, release=release, after=after, limit=limit, told=told
            )
        )
    )
