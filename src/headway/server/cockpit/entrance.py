"""The addresses at which people come in and leave, and see where else they are signed in."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from headway.errors import HeadwayError, InvalidInput, NotFound, Refused
from headway.model.access import Identity
from headway.server.api.given import Caller, Filter, InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.cockpit import answers
from headway.server.cockpit.beyond import ours
from headway.server.cockpit.door import BROWSER, SEALED_BY, VISIT, Door
from headway.server.cockpit.render import render
from headway.server.cockpit.site import AnyRequest, Site
from headway.server.cockpit.words import duration
from headway.server.database.sessions import Session
from headway.server.plane import ControlPlane

TheSite = NamedDependency[Site]


@get("/sign-in", opt={"role": Rule.PUBLIC})
async def sign_in_form(
    site: TheSite, request: AnyRequest, plane: Plane, next: Filter = None
) -> Response[str]:
    """Offer every way to come in that there is here."""
    return _ask(site.door, request, plane, next or "/")


@post("/sign-in", opt={"role": Rule.PUBLIC, SEALED_BY: VISIT})
async def sign_in(site: TheSite, request: AnyRequest, plane: Plane) -> Response[str]:
    """Exchange a token, or a name and its password, for a session."""
    form, door = await request.form(), site.door
    beyond, visitor = _text(form, "next"), door.visitor(request)
    mark = ""
    try:
        if "token" in form:
            token = _text(form, "token").strip()
            secret = await plane.people.sign_in_by_token(token, visitor)
        else:
            name, password = _text(form, "name"), _text(form, "password")
            known = door.cookie(request, BROWSER)
            secret, mark = await plane.people.sign_in(name, password, visitor, known)
    except HeadwayError as problem:
        return _ask(door, request, plane, beyond, problem)
    await _leave(door, request, plane)
    return answers.elsewhere(ours(beyond), door.let_in(request, secret, mark))


@get("/sign-in/provider", opt={"role": Rule.PUBLIC})
async def begin_with_provider(
    site: TheSite, request: AnyRequest, plane: Plane, next: Filter = None
) -> Response[str]:
    """Send the reader to the provider."""
    door, beyond = site.door, ours(next or "/")
    if plane.provider is None:
        raise NotFound("no provider is set up here; sign in with a password or a token")
    try:
        place, flow = await plane.provider.begin(beyond)
    except HeadwayError as problem:
        return _ask(door, request, plane, beyond, problem)
    return answers.elsewhere(place, (door.send_off(request, flow),))


@get("/sign-in/return", opt={"role": Rule.PUBLIC})
async def return_from_provider(site: TheSite, request: AnyRequest, plane: Plane) -> Response[str]:
    """Take in whom the provider sends back."""
    door, flow = site.door, site.door.sent_off(request)
    if plane.provider is None:
        raise NotFound("no provider is set up here; sign in with a password or a token")
    beyond = flow.beyond if flow is not None else "/"
    back = door.send_off(request, None)
    try:
        known = await plane.provider.finish(flow, dict(request.query_params.items()))
        secret = await plane.people.sign_in_by_provider(
            known, plane.provider.title, door.visitor(request)
        )
    except HeadwayError as problem:
        return _ask(door, request, plane, beyond, problem, back)
    await _leave(door, request, plane)
    return answers.elsewhere(ours(beyond), (*door.let_in(request, secret), back))


@post("/sign-out", opt={"role": Rule.VIEWER})
async def sign_out(site: TheSite, request: AnyRequest, plane: Plane) -> Response[str]:
    """End the session."""
    await _leave(site.door, request, plane)
    return answers.elsewhere("/sign-in", (site.door.let_out(request),))


@get("/account", opt={"role": Rule.VIEWER})
async def account(
    site: TheSite, request: AnyRequest, caller: Caller, plane: Plane
) -> Response[str]:
    """Who one is here, and where one is signed in."""
    return await _account(site, request, caller, plane)


@post("/account/password", opt={"role": Rule.VIEWER})
async def change_password(
    site: TheSite, request: AnyRequest, caller: Caller, plane: Plane
) -> Response[str]:
    """Change one's own password, which ends all other sessions."""
    form, session = await request.form(), _session(site.door, request)
    visitor = site.door.visitor(request)
    try:
        if session.token:
            raise Refused("you are signed in with a token; sign in with your password to change it")
        if _text(form, "new") != _text(form, "again"):
            raise InvalidInput("the new passwords are not the same; type it twice")
        old, new = _text(form, "old"), _text(form, "new")
        await plane.people.change_own(caller, old, new, visitor, session.hash)
    except HeadwayError as problem:
        return await _account(site, request, caller, plane, problem)
    return answers.elsewhere("/account")


@post("/account/sessions/{session:str}/end", opt={"role": Rule.VIEWER})
async def end_session(
    site: TheSite, request: AnyRequest, plane: Plane, session: InPath
) -> Response[str]:
    """End one of one's own sessions."""
    mine = _session(site.door, request)
    theirs = plane.sessions.of(mine.name, mine.token)
    ended = [one.hash for one in theirs if one.id == session]
    if not ended:
        raise NotFound("that session has ended already")
    await plane.sessions.end(*ended)
    return answers.elsewhere("/account")


@post("/account/sign-out", opt={"role": Rule.VIEWER})
async def sign_out_everywhere(
    site: TheSite, request: AnyRequest, caller: Caller, plane: Plane
) -> Response[str]:
    """End all sessions of whoever asks."""
    mine = _session(site.door, request)
    await plane.people.sign_out_everywhere(mine.name, mine.token, caller.name)
    return answers.elsewhere("/sign-in", (site.door.let_out(request),))


ENTRANCE = (
    sign_in_form,
    sign_in,
    begin_with_provider,
    return_from_provider,
    sign_out,
    account,
    change_password,
    end_session,
    sign_out_everywhere,
)


def _ask(
    door: Door,
    request: AnyRequest,
    plane: ControlPlane,
    beyond: str,
    problem: HeadwayError | None = None,
    *cookies: Any,
) -> Response[str]:
    """The door's page, with what went wrong."""
    seal, cookie = door.visit(request)
    html = render(
        "sign_in",
        csrf=seal,
        next=ours(beyond),
        notice=problem.sentence if problem else "",
        passwords=plane.callers.have_passwords(),
        provider=plane.provider.title if plane.provider else "",
        known=door.name(request),
        caller=None,
    )
    answer = answers.page(html, problem.status if problem else 200, (cookie, *cookies))
    return answers.patient(answer, problem)


async def _account(
    site: Site,
    request: AnyRequest,
    caller: Identity,
    plane: ControlPlane,
    problem: HeadwayError | None = None,
) -> Response[str]:
    mine = _session(site.door, request)
    user = None if mine.token else plane.callers.user(mine.name)
    answer = await site.show(
        request,
        caller,
        "account",
        problem=problem,
        mine=mine,
        sessions=plane.sessions.of(mine.name, mine.token),
        idle=duration(plane.sessions.limits.idle),
        longest=duration(plane.sessions.limits.longest),
        has_password=bool(user and user.password),
    )
    return answers.patient(answer, problem)


def _session(door: Door, request: AnyRequest) -> Session:
    """The session of a caller whom the guard has let in."""
    session = door.session(request)
    if session is None:
        raise NotFound("that session has ended already")
    return session


async def _leave(door: Door, request: AnyRequest, plane: ControlPlane) -> None:
    """End the session that the browser was in, if any."""
    session = door.session(request)
    if session is not None:
        await plane.sessions.end(session.hash)


def _text(form: Any, field: str) -> str:
    """A field of a form; whatever is not text reads as empty."""
    value = form.get(field, "")
    return value if isinstance(value, str) else ""
