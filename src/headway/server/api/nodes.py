"""Nodes, as people see them."""

from typing import Annotated

from litestar import Response, delete, get, post, put
from litestar.params import JSONBody, QueryParameter

from headway.errors import NotFound, Refused
from headway.model.rollout import NodeState
from headway.model.signal import NodeHold
from headway.model.views import NodeHoldRequest, NodeStatus, PinRequest
from headway.server.api.given import AnyRequest, Caller, Filter, InPath, Plane
from headway.server.api.pages import Cursor, Limit, page, place
from headway.server.auth.rules import Rule
from headway.server.lookup import find_build
from headway.server.show import show_nodes

OfState = Annotated[
    NodeState | None, QueryParameter(name="state", description="Only those that stand so")
]


@get("/v1/nodes", opt={"role": Rule.VIEWER, "errors": (NotFound,)}, summary="Every node")
async def list_nodes(
    plane: Plane,
    request: AnyRequest,
    app: Filter = None,
    tier: Filter = None,
    stands: OfState = None,
    limit: Limit = 500,
    cursor: Cursor = None,
) -> Response[list[NodeStatus]]:
    """By name, once for each app that it runs, or of one app, tier or state only."""
    if app is not None:
        await plane.engine.situation(app)
    after = place(cursor, tuple[str, str])
    found = await show_nodes(plane, app, tier=tier, state=stands, after=after, limit=limit + 1)
    return page(request, [((one.node, one.app), one) for one in found], limit)


@get("/v1/nodes/{node:str}", opt={"role": Rule.VIEWER}, summary="One node")
async def get_node(node: InPath, plane: Plane) -> list[NodeStatus]:
    """Once for each app that it runs."""
    if plane.fleet.record(node) is None:
        raise NotFound(f"there is no node {node[:128]}; see `headway node list`")
    return await show_nodes(plane, node=node)


@put("/v1/nodes/{node:str}/hold", opt={"role": Rule.DEPLOYER}, summary="Keep a node as it is")
async def hold_node(
    node: InPath, data: JSONBody[NodeHoldRequest], plane: Plane, caller: Caller
) -> list[NodeStatus]:
    """Whatever is signalled, until the hold is lifted or lapses."""
    await plane.roster.hold(node, NodeHold(caller.name, data.reason, data.until))
    return await show_nodes(plane, node=node)


@delete(
    "/v1/nodes/{node:str}/hold",
    opt={"role": Rule.DEPLOYER},
    status_code=200,
    summary="Let a node follow the signal again",
)
async def unhold_node(node: InPath, plane: Plane, caller: Caller) -> list[NodeStatus]:
    """A node that is not held is told to be so, and nothing changes."""
    await plane.roster.unhold(node, caller.name)
    return await show_nodes(plane, node=node)


@put(
    "/v1/nodes/{node:str}/pins/{app:str}",
    opt={"role": Rule.DEPLOYER, "errors": (Refused,)},
    summary="Pin a node to a build",
)
async def pin_node(
    node: InPath, app: InPath, data: JSONBody[PinRequest], plane: Plane, caller: Caller
) -> list[NodeStatus]:
    """The node runs this build whatever is signalled."""
    build = await plane.database.read(lambda c: find_build(c, app, data.build))
    await plane.roster.pin(node, app, build.id, caller.name)
    return await show_nodes(plane, node=node)


@delete(
    "/v1/nodes/{node:str}/pins/{app:str}",
    opt={"role": Rule.DEPLOYER},
    status_code=200,
    summary="Take a pin away",
)
async def unpin_node(node: InPath, app: InPath, plane: Plane, caller: Caller) -> list[NodeStatus]:
    """The node follows the signal again."""
    await plane.roster.pin(node, app, None, caller.name)
    return await show_nodes(plane, node=node)


@post(
    "/v1/nodes/{node:str}/verify/{app:str}",
    opt={"role": Rule.DEPLOYER},
    status_code=200,
    summary="Ask a node whether it holds what was published",
)
async def verify_node(node: InPath, app: InPath, plane: Plane, caller: Caller) -> list[NodeStatus]:
    """It reads everything again, at full speed, and answers in its reports."""
    await plane.roster.verify(node, app, caller.name)
    return await show_nodes(plane, node=node)


@delete("/v1/nodes/{node:str}", opt={"role": Rule.ADMIN}, summary="Strike a node off the fleet")
async def forget_node(node: InPath, plane: Plane, caller: Caller) -> None:
    """If its agent still runs, it will wait; when it enrols again it is a new node."""
    await plane.engine.forget(node, caller.name)
