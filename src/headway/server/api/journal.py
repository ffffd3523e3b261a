"""The journal."""

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from headway.errors import NotFound
from headway.model.journal import JournalEntry
from headway.server.api.given import AnyRequest, Filter, Plane
from headway.server.api.pages import Limit, link
from headway.server.auth.rules import Rule
from headway.server.database import journal

After = Annotated[
    int | None, QueryParameter(ge=0, le=2**53, description="Only what has a higher number")
]


Before = Annotated[
    int | None, QueryParameter(ge=0, le=2**53, description="Only what has a lower number")
]

Told = Annotated[bool, QueryParameter(description="Only what has a sentence")]


@get(
    "/v1/journal",
    opt={"role": Rule.VIEWER, "errors": (NotFound,)},
    summary="What was decided, by whom and why",
)
async def read_journal(
    plane: Plane,
    request: AnyRequest,
    app: Filter = None,
    rollout: Filter = None,
    release: Filter = None,
    after: After = None,
    before: Before = None,
    limit: Limit = 100,
    told: Told = False,
) -> Response[list[JournalEntry]]:
    """Oldest first: the first entries after ``after``, or without it the newest ones.

    The header ``Link`` leads on: ``next`` to later entries, where ``after`` is given, or else
    ``prev`` to earlier ones.
    """
    if app:
        await plane.engine.situation(app)
    if rollout:
        await plane.engine.known(rollout)
    if release:
        await plane.releases.known(release)
    found = await plane.database.read(
        lambda c: journal.entries(
            c,
            app=app,
            rollout=rollout,
            release=release,
            after=after,
            before=before,
            limit=limit + 1,
            told=told,
        )
    )
    if len(found) <= limit:
        return Response(list(found))
    if after is None:
        shown = list(found[1:])
        return Response(shown, headers={"Link": link(request, "prev", before=shown[0].seq)})
    shown = list(found[:limit])
    return Response(shown, headers={"Link": link(request, "next", after=shown[-1].seq)})
