"""What agents use: enrol, watch, report.

Agents are served by ``headway.signals.hub_server``, on the same port, before the framework sees
them. These routes describe that in the API's schema, and serve who comes in another way: through
a proxy that sends chunks, or mixes the requests of many on one connection.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from headway.errors import Refused
from headway.model.peers import PeerAnswer, PeerAsk
from headway.model.report import Enrolment, Report
from headway.model.signal import record_key, signal_key
from headway.model.views import Packet, Problem
from headway.server.api.frames import stream
from headway.server.api.given import Caller, Plane
from headway.server.auth.rules import FREE, Rule
from headway.signals.frames import HEARTBEAT, HEARTBEAT_SECONDS
from headway.signals.hub import Hub
from headway.signals.requests import check_apps, decode


@post(
    "/v1/node/enrol",
    opt={"role": Rule.NODE, "errors": (Refused,)},
    status_code=204,
    summary="Present a node",
)
async def enrol(data: JSONBody[Enrolment], plane: Plane, caller: Caller) -> None:
    """The same facts again change nothing."""
    await plane.door.present(caller, data)


@get(
    "/v1/node/watch",
    opt={"role": Rule.NODE},
    media_type="text/event-stream",
    summary="Follow the signals of apps and the node's own record",
)
async def watch(
    apps: Annotated[str, QueryParameter(description="Names, separated by commas")],
    plane: Plane,
    caller: Caller,
) -> Stream:
    """Events ``update`` with a key and a signed value in base64; the current values come first.

    A reader that is slow misses values, never the last one. A comment tells every five seconds
    of nothing else that the line is up.
    """
    names = check_apps([name for name in apps.split(",") if name])
    keys = [record_key(caller.name), *map(signal_key, names)]
    return stream(_updates(plane.hub, keys))


@post(
    "/v1/node/reports",
    opt={"role": Rule.NODE, "errors": (Refused,)},
    status_code=204,
    summary="Report",
)
async def report(data: JSONBody[list[Report]], plane: Plane, caller: Caller) -> None:
    """Answered when the reports are durable. A report that is not news changes nothing."""
    await plane.desk.hand_in(tuple(data), caller)


@post(
    "/v1/node/peers",
    opt={"role": Rule.NODE, "errors": (Refused,)},
    status_code=200,
    summary="Find a peer",
)
async def peers(data: JSONBody[PeerAsk], plane: Plane, caller: Caller) -> PeerAnswer:
    """Where in its zone the node is to get a build: from a peer, from the origin, or not yet."""
    return plane.peers(caller.name, data)


@post(
    "/v1/hub/reports",
    opt={"role": Rule.PUBLIC, "takes": {"application/json": list[Packet]}, FREE: True},
    status_code=200,
    summary="Pass on the reports of many nodes",
)
async def pass_on(request: Request[Any, Any, Any], plane: Plane) -> list[Problem | None]:
    """For each node what was wrong, or null. Each node's reports count by its own token."""
    packets = decode(await request.body(), list[Packet])
    return await plane.door.take_over(packets)


async def _updates(hub: Hub, keys: list[str]) -> AsyncIterator[bytes]:
    subscription = hub.subscribe(keys)
    try:
        yield HEARTBEAT
        async for batch in subscription.batches(HEARTBEAT_SECONDS):
            yield batch or HEARTBEAT
    finally:
        hub.unsubscribe(subscription)
