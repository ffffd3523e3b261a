"""Users: who may sign in."""

from litestar import Response, delete, get, post, put
from litestar.params import JSONBody

from headway.errors import Busy, InvalidInput, NotFound, Refused
from headway.model.access import Role
from headway.model.views import PasswordRequest, RoleRequest, UserRequest, UserView
from headway.server.api.given import AnyRequest, Caller, InPath, Plane
from headway.server.api.pages import Cursor, Limit, page, place
from headway.server.auth.rules import Rule
from headway.server.database import users
from headway.server.database.users import User
from headway.server.plane import ControlPlane

PERSONS = (Role.VIEWER, Role.DEPLOYER, Role.ADMIN)


@post(
    "/v1/users",
    opt={"role": Rule.ADMIN, "errors": (Refused, Busy)},
    status_code=201,
    summary="Make a user",
)
async def add_user(data: JSONBody[UserRequest], plane: Plane, caller: Caller) -> UserView:
    """The password has 12 characters at least; only its hash is kept."""
    user = await plane.people.add(data.name, _role(data.role), data.password, caller.name)
    return _view(plane, user)


@get("/v1/users", opt={"role": Rule.ADMIN}, summary="Every user")
async def list_users(
    plane: Plane, request: AnyRequest, limit: Limit = 500, cursor: Cursor = None
) -> Response[list[UserView]]:
    """By name, without anything secret."""
    after = place(cursor, str) or ""
    known = await plane.database.read(users.every)
    found = [(user.name, user) for user in known if user.name > after][: limit + 1]
    return page(request, [(name, _view(plane, user)) for name, user in found], limit)


@put(
    "/v1/users/{name:str}/role",
    opt={"role": Rule.ADMIN, "errors": (Refused,)},
    summary="Change a user's role",
)
async def change_role(
    name: InPath, data: JSONBody[RoleRequest], plane: Plane, caller: Caller
) -> UserView:
    """It counts at once, in open sessions too."""
    return _view(plane, await plane.people.set_role(name, _role(data.role), caller.name))


@put(
    "/v1/users/{name:str}/password",
    opt={"role": Rule.ADMIN, "errors": (Refused, Busy)},
    status_code=204,
    summary="Change a user's password",
)
async def change_password(
    name: InPath, data: JSONBody[PasswordRequest], plane: Plane, caller: Caller
) -> None:
    """All sessions of the user end."""
    await plane.people.set_password(name, data.password, caller.name)


@delete("/v1/users/{name:str}/sessions", opt={"role": Rule.ADMIN}, summary="Sign a user out")
async def sign_out_user(name: InPath, plane: Plane, caller: Caller) -> None:
    """All sessions of the user end."""
    if plane.callers.user(name) is None:
        raise NotFound(f"there is no user {name[:128]}; see `headway user list`")
    await plane.people.sign_out_everywhere(name, "", caller.name)


@delete("/v1/users/{name:str}", opt={"role": Rule.ADMIN}, summary="Remove a user")
async def remove_user(name: InPath, plane: Plane, caller: Caller) -> None:
    """All sessions of the user end. A token of the same name is another matter."""
    await plane.people.remove(name, caller.name)


def _role(text: str) -> Role:
    if text not in PERSONS:
        raise InvalidInput(f"no user has the role {text[:40]}; there are {', '.join(PERSONS)}")
    return Role(text)


def _view(plane: ControlPlane, user: User) -> UserView:
    by = "password" if user.issuer is None else "provider"
    sessions = len(plane.sessions.of(user.name, ""))
    return UserView(user.name, user.role, by, user.created_at, user.seen_at, sessions)
