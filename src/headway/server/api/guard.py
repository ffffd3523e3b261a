"""What the guard has seen and said: replayed, tried with other settings, explained."""

import asyncio

from litestar import get, post
from litestar.params import JSONBody
from sqlalchemy import Connection

from headway.core import metrics as rules
from headway.errors import NotFound
from headway.guard.explaining import explain
from headway.guard.record import Record
from headway.guard.replaying import Variation, fate, replayed, variations
from headway.guard.watch import query_of
from headway.model.plan import AppConfig, Checks
from headway.model.verdict import Verdict
from headway.model.views import (
    ReplayedVerdict,
    ReplayView,
    Tried,
    TuneRequest,
    TuneView,
    Tuning,
    Why,
)
from headway.server.api.given import Caller, Filter, InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.database import guard as memory
from headway.server.database import rollouts
from headway.server.plane import ControlPlane


@get("/v1/rollouts/{rollout:str}/replay", opt={"role": Rule.VIEWER}, summary="Replay verdicts")
async def replay_rollout(rollout: InPath, plane: Plane) -> ReplayView:
    """Every verdict that was kept of a rollout, again from the numbers that it followed from."""
    record, latest = await _record(plane, rollout)
    again = await asyncio.to_thread(replayed, record, latest)
    return ReplayView(
        rollout,
        len(record.looks),
        all(one.same for one in again),
        tuple(
            ReplayedVerdict(one.metric, one.after, one.said, one.again, one.same) for one in again
        ),
    )


@post(
    "/v1/apps/{app:str}/guard/tune",
    opt={"role": Rule.DEPLOYER},
    status_code=200,
    summary="Try other settings on past rollouts",
)
async def tune_guard(
    app: InPath, data: JSONBody[TuneRequest], plane: Plane, caller: Caller
) -> TuneView:
    """Changes nothing. Metrics whose numbers were not kept are left out."""
    config = (await plane.engine.situation(app)).config
    metrics, guard = data.metrics or config.metrics, data.guard or config.guard
    rules.check(AppConfig(app, metrics=metrics, guard=guard))
    tried: tuple[Variation, ...] = variations(metrics, guard)
    if data.metrics is not None or data.guard is not None:
        now = Variation("as it is", config.metrics, config.guard)
        tried = (now, Variation("as given", metrics, guard))

    def read(connection: Connection) -> tuple[list[Record], list[str]]:
        found, became = [], []
        for name in memory.records(connection, app, data.rollouts):
            state, kept = rollouts.get(connection, name), memory.record(connection, name)
            if state is not None and kept is not None:
                found.append(kept[0])
                became.append(state.phase.value)
        return found, became

    records, became = await plane.database.read(read)
    if not records:
        raise NotFound(f"nothing was kept of any rollout of {app[:80]} yet")
    tunings = []
    for variation in tried:
        fates = [
            await asyncio.to_thread(fate, record, variation.metrics, variation.guard)
            for record in records
        ]
        tunings.append(
            Tuning(
                variation.name,
                tuple(
                    Tried(r.settings.id, f.action, f.after, f.passed_after, f.sentence)
                    for r, f in zip(records, fates, strict=True)
                ),
            )
        )
    return TuneView(tuple(r.settings.id for r in records), tuple(became), tuple(tunings))


@get(
    "/v1/apps/{app:str}/guard/metrics/{metric:str}",
    opt={"role": Rule.VIEWER},
    summary="Explain a metric",
)
async def explain_metric(app: InPath, metric: InPath, plane: Plane, rollout: Filter = None) -> Why:
    """What it is, how it is judged and where it stands, a sentence each."""
    known = await plane.engine.situation(app)
    name = rollout or (known.latest.id if known.latest else "")
    kept = await plane.database.read(lambda c: memory.record(c, name))
    if rollout is not None and (kept is None or kept[0].settings.app != app):
        raise NotFound(f"nothing was kept of a rollout {rollout[:80]} of {app[:80]}")
    record, latest = kept if kept is not None else (None, ())
    metrics = record.settings.metrics if record else known.config.metrics
    found = next((one for one in metrics if one.name == metric), None)
    if found is None:
        names = ", ".join(one.name for one in metrics) or "none"
        raise NotFound(f"{app[:80]} has no metric {metric[:80]}; it has {names}")
    said = next((verdict for verdict in latest if verdict.metric == metric), None)
    course = plane.guard.course(name) if plane.guard is not None else None
    plan = known.config.plans.get("default", ())
    steps = sum(step.checks is not Checks.NONE for step in plan)
    query = query_of(known.config, found)
    bench = course.bench() if course else None
    return Why(explain(known.config, found, query, steps, record if bench else None, bench, said))


async def _record(plane: ControlPlane, rollout: str) -> tuple[Record, tuple[Verdict, ...]]:
    kept = await plane.database.read(lambda c: memory.record(c, rollout))
    if kept is None:
        raise NotFound(f"nothing was kept of a rollout {rollout[:80]}; see `headway rollout list`")
    return kept
