"""The kinds of problems, where their ``type`` leads."""

from inspect import getdoc

from litestar import get

from headway.errors import NotFound, family
from headway.model.views import ProblemKind
from headway.server.api.given import InPath
from headway.server.auth.rules import Rule


@get("/problems/{code:str}", opt={"role": Rule.PUBLIC}, summary="A kind of problem")
async def explain_problem(code: InPath) -> ProblemKind:
    """What it means, and the status and exit code that come with it."""
    for kind in family():
        if kind.code == code:
            meaning = (getdoc(kind) or "").splitlines()[0]
            return ProblemKind(f"/problems/{code}", code, kind.status, kind.exit_code, meaning)
    codes = ", ".join(kind.code for kind in family())
    raise NotFound(f"there is no problem {code[:40]!a}; there are {codes}")
