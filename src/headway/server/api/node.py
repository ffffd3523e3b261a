"""What agents use: enrol, watch, report."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from headway.errors import Denied, InvalidInput
from headway.model.names import Name
from headway.model.report import Enrolment, Report
from headway.model.signal import record_key, signal_key
from headway.server.api.frames import HEARTBEAT, HEARTBEAT_SECONDS, stream
from headway.server.api.given import Caller, Plane
from headway.server.auth.rules import Rule
from headway.signals.hub import Hub

MAX_APPS = 64


@post("/v1/node/enrol", opt={"role": Rule.NODE}, status_code=204, summary="Present a node")
async def enrol(data: JSONBody[Enrolment], plane: Plane, caller: Caller) -> None:
    """The same facts again change nothing."""
    if data.node != caller.name:
        raise Denied(f"this is the token of {caller.name}; {data.node} needs its own")
    if len(data.tiers) > MAX_APPS:
        raise InvalidInput(f"{len(data.tiers)} apps on one node, {MAX_APPS} are allowed")
    await plane.roster.enrol(data)


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
    names = [name for name in apps.split(",") if name]
    if len(names) > MAX_APPS:
        raise InvalidInput(f"{len(names)} apps at once, {MAX_APPS} are allowed")
    try:
        msgspec.convert(names, list[Name])
    except msgspec.ValidationError:
        raise InvalidInput("apps must be names, separated by commas") from None
    keys = [record_key(caller.name), *map(signal_key, names)]
    return stream(_updates(plane.hub, keys))


@post("/v1/node/reports", opt={"role": Rule.NODE}, status_code=204, summary="Report")
async def report(data: JSONBody[list[Report]], plane: Plane, caller: Caller) -> None:
    """Answered when the reports are durable. A report that is not news changes nothing."""
    await plane.desk.hand_in(tuple(data), caller)


async def _updates(hub: Hub, keys: list[str]) -> AsyncIterator[bytes]:
    subscription = hub.subscribe(keys)
    try:
        yield HEARTBEAT
        async for batch in subscription.batches(HEARTBEAT_SECONDS):
            yield batch or HEARTBEAT
    finally:
        hub.unsubscribe(subscription)
