"""Headway's own metrics, for Prometheus."""

from collections.abc import Iterator
from typing import Any

from litestar import Request, Response, get
from msgspec import structs
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from headway.core.signalling import signal_of
from headway.model.build import Build
from headway.model.plan import AppConfig
from headway.model.rollout import FleetView, Rollout
from headway.server.api.given import Plane
from headway.server.auth.rules import Rule
from headway.server.database import announcements, apps, builds, holds, journal, outbox, rollouts
from headway.server.gauges import Gauges, Moment, Stand
from headway.server.plane import ControlPlane


@get(
    "/metrics",
    opt={"role": Rule.VIEWER, "gives": ("text/plain", "application/openmetrics-text")},
    summary="Headway's own metrics, for Prometheus",
)
async def show_metrics(plane: Plane, request: Request[Any, Any, Any]) -> Response[bytes]:
    """In the text format, or in OpenMetrics where that is asked for."""
    return await page(plane, request.headers.get("accept", ""))


async def page(plane: ControlPlane, accept: str) -> Response[bytes]:
    """Everything, in the format that suits best. Raises StorageFailed."""
    seen = await _moment(plane)
    plane.meters.know(stand.app for stand in seen.stands)
    encode, kind = choose_encoder(accept)
    return Response(encode(_Both(plane.meters.registry, Gauges(seen))), media_type=kind)


class _Both(Collector):
    """What was counted, and what stands."""

    def __init__(self, counted: CollectorRegistry, standing: Gauges) -> None:
        self._parts = (counted, standing)

    def collect(self) -> Iterator[Metric]:
        for part in self._parts:
            yield from part.collect()


async def _moment(plane: ControlPlane) -> Moment:
    """Look everything up, in one read. Raises StorageFailed."""
    now, watches = plane.clock(), plane.nodes.held

    def read(connection: Connection) -> Moment:
        return Moment(
            stands=tuple(_stand(plane, connection, app) for app in apps.every(connection)),
            holds=tuple(h for h in holds.every(connection) if h.until is None or now < h.until),
            queued=announcements.queued(connection),
            places=plane.crier.places,
            journal=journal.last(connection),
            effects=outbox.waiting(connection),
            watches=watches,
        )

    seen = await plane.database.read(read)
    # The nodes are looked at in this thread, which alone changes what is known of them.
    stands = tuple(structs.replace(stand, fleet=_fleet(plane, stand, now)) for stand in seen.stands)
    return structs.replace(seen, stands=stands, trouble=await plane.signals.health())


def _stand(plane: ControlPlane, connection: Connection, app: AppConfig) -> Stand:
    latest = next(iter(rollouts.newest(connection, app.name, 1)), None)
    return Stand(app, latest, _builds(connection, latest), plane.burns(app.name))


def _fleet(plane: ControlPlane, stand: Stand, now: float) -> FleetView:
    """As the engine sees it, which has looked at most of it already."""
    signal = signal_of(stand.latest) if stand.latest is not None else None
    return plane.fleet.view(stand.app.name, signal, now, stand.app.silent_after)


def _builds(connection: Connection, latest: Rollout | None) -> dict[str, Build]:
    """The builds that the app's nodes may be asked to run, by id."""
    if latest is None:
        return {}
    layer = latest.layer.build if latest.layer is not None else None
    ids = {build for build in (latest.base, latest.target, layer) if build}
    return {one.id: one for build in ids for one in builds.find(connection, latest.app, build)}
