"""Headway's own metrics, for Prometheus."""

from collections.abc import Iterator
from typing import Any

from litestar import Request, Response, get
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from headway.model.build import Build
from headway.server.api.given import Plane
from headway.server.auth.rules import Rule
from headway.server.database import announcements, apps, builds, holds, journal, outbox
from headway.server.gauges import Gauges, Moment, Stand
from headway.server.plane import ControlPlane
from headway.server.situation import Situation, look


@get(
    "/metrics",
    opt={"role": Rule.VIEWER, "gives": ("text/plain", "application/openmetrics-text")},
    summary="Headway's own metrics, for Prometheus",
)
async def show_metrics(plane: Plane, request: Request[Any, Any, Any]) -> Response[bytes]:
    """In the text format, or in OpenMetrics where that is asked for."""
    seen = await _moment(plane)
    plane.meters.know(stand.known.config for stand in seen.stands)
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(_Both(plane.meters.registry, Gauges(seen))), media_type=kind)


class _Both(Collector):
    """What was counted, and what stands."""

    def __init__(self, counted: CollectorRegistry, standing: Gauges) -> None:
        self._parts = (counted, standing)

    def collect(self) -> Iterator[Metric]:
        for part in self._parts:
            yield from part.collect()


async def _moment(plane: ControlPlane) -> Moment:
    """Look everything up. Raises StorageFailed."""
    now = plane.clock()

    def read(connection: Connection) -> tuple[list[tuple[Situation, dict[str, Build]]], Any]:
        situations = [look(connection, app.name, now) for app in apps.every(connection)]
        return [(known, _builds(connection, known)) for known in situations], (
            tuple(h for h in holds.every(connection) if h.until is None or now < h.until),
            announcements.queued(connection),
            journal.last(connection),
            outbox.waiting(connection),
        )

    found, (held, queued, entries, effects) = await plane.database.read(read)
    trouble = await plane.signals.health()
    return Moment(
        stands=tuple(
            Stand(known, plane.engine.view(known, now), named, plane.burns(known.config.name))
            for known, named in found
        ),
        holds=held,
        queued=queued,
        places=plane.crier.places,
        journal=entries,
        effects=effects,
        watches=plane.nodes.held,
        trouble=trouble,
    )


def _builds(connection: Connection, known: Situation) -> dict[str, Build]:
    """The builds that the app's nodes may be asked to run, by id."""
    latest = known.latest
    if latest is None:
        return {}
    layer = latest.layer.build if latest.layer is not None else None
    ids = {build for build in (latest.base, latest.target, layer) if build}
    return {one.id: one for build in ids for one in builds.find(connection, latest.app, build)}
