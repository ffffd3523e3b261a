"""Tokens: who may call."""

import re

from litestar import Response, delete, get, post
from litestar.params import JSONBody
from sqlalchemy import Connection

from headway.errors import InvalidInput, NotFound, Refused
from headway.model.access import Role
from headway.model.journal import HEADWAY
from headway.model.views import TokenCreated, TokenRequest, TokenView
from headway.server.api.given import AnyRequest, Caller, InPath, Plane
from headway.server.api.pages import Cursor, Limit, page, place
from headway.server.auth.callers import fingerprint, new_secret
from headway.server.auth.rules import Rule
from headway.server.database import journal, tokens
from headway.server.database.tokens import Token


@post(
    "/v1/tokens",
    opt={"role": Rule.ADMIN, "errors": (Refused,)},
    status_code=201,
    summary="Make a token",
)
async def create_token(data: JSONBody[TokenRequest], plane: Plane, caller: Caller) -> TokenCreated:
    """The secret is in the answer and nowhere else: only its hash is kept."""
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._@-]{0,127}", data.name):
        raise InvalidInput("a token's name has up to 128 letters, digits, '.', '_', '@' and '-'")
    if data.role not in set(Role):
        raise InvalidInput(f"there is no role {data.role[:40]}; there are {', '.join(Role)}")
    if data.name == HEADWAY:
        raise InvalidInput(f"{HEADWAY} is what the journal calls Headway itself")
    if data.role == Role.NODE and plane.callers.user(data.name.lower()) is not None:
        raise Refused(f"{data.name} is the name of a user; a node needs another one")
    secret, now = new_secret(), plane.clock()
    token = Token(data.name, Role(data.role), fingerprint(secret), now)

    def write(connection: Connection) -> None:
        tokens.add(connection, token)
        why = f"{caller.name} makes a token for {token.name}, {token.role}"
        journal.append(connection, at=now, actor=caller.name, kind="token", why=why)

    await plane.database.write(write)
    plane.callers.admit(token)
    await plane.roster.retoken(token.name, caller.name)
    plane.news.journal_grew()
    return TokenCreated(token.name, token.role, secret)


@get("/v1/tokens", opt={"role": Rule.ADMIN}, summary="Every token")
async def list_tokens(
    plane: Plane, request: AnyRequest, limit: Limit = 500, cursor: Cursor = None
) -> Response[list[TokenView]]:
    """By name, without the secrets."""
    after = place(cursor, str) or ""
    found = await plane.database.read(lambda c: tokens.following(c, after, limit + 1))
    views = [(one.name, TokenView(one.name, one.role, one.created_at)) for one in found]
    return page(request, views, limit)


@delete("/v1/tokens/{name:str}", opt={"role": Rule.ADMIN}, summary="Revoke a token")
async def revoke_token(name: InPath, plane: Plane, caller: Caller) -> None:
    """It is not accepted from this moment on."""

    def write(connection: Connection) -> None:
        if not tokens.revoke(connection, name):
            raise NotFound(f"there is no token {name[:128]}; see `headway token list`")
        why = f"{caller.name} revokes the token of {name}"
        journal.append(connection, at=plane.clock(), actor=caller.name, kind="token", why=why)

    await plane.database.write(write)
    plane.callers.revoke(name)
    plane.nodes.cut(name)
    await plane.roster.retoken(name, caller.name)
    plane.news.journal_grew()
