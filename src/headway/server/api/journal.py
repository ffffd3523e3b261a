"""The journal."""

from typing import Annotated

from litestar import get
from litestar.params import Parameter

from headway.model.journal import JournalEntry
from headway.server.api.limits import Limit
from headway.server.auth.rules import Rule
from headway.server.database import journal
from headway.server.plane import ControlPlane

After = Annotated[int, Parameter(ge=0, description="Only what has a higher number")]


@get("/v1/journal", opt={"role": Rule.VIEWER}, summary="What was decided, by whom and why")
async def read_journal(
    plane: ControlPlane,
    app: str | None = None,
    rollout: str | None = None,
    after: After | None = None,
    limit: Limit = 100,
) -> list[JournalEntry]:
    """Oldest first: the first entries after ``after``, or without it the newest ones."""
    return list(
        await plane.database.read(
            lambda c: journal.entries(c, app=app, rollout=rollout, after=after, limit=limit)
        )
    )
