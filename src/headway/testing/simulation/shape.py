"""What a world begins with: a fleet, a plan, and perhaps a build that is live already."""

import random

from msgspec import structs

from headway.core import positions
from headway.core import rollout as core
from headway.core.signalling import everywhere
from headway.model.names import Amount, BuildId
from headway.model.plan import Action, AppConfig, Checks, Gate, Metric, Step
from headway.model.rollout import FleetView, NodeState, NodeView, Phase, Rollout
from headway.model.signal import NodeRecord, Seat
from headway.testing.simulation.laws import APP

ZONES = ("east", "west", "north")
SILENT_AFTER = 8.0


def fleet(dice: random.Random) -> list[NodeRecord]:
    """The records of two to ten nodes in up to three tiers."""
    records = []
    sizes = (dice.randrange(3), dice.randrange(1, 3), dice.randrange(1, 7))
    for tier, size in zip(("staging", "canary", "production"), sizes, strict=True):
        places = {f"{tier}-{number}": ZONES[number % len(ZONES)] for number in range(size)}
        for node, position in positions.assign(places).items():
            records.append(NodeRecord(node, 1, places[node], {APP: Seat(tier, position)}))
    return records


def app(dice: random.Random) -> AppConfig:
    """An app with a plan of four steps over those tiers."""
    concurrency = _amount(dice, 1, 2, "25%", "50%", "100%")
    zone_concurrency = _amount(dice, 1, "50%", "100%", "100%")
    max_failed = _amount(dice, 0, 1, "30%")

    def step(tier: str, share: float = 1.0, smoke: bool = False) -> Step:
        return Step(
            tier,
            share=share,
            smoke=smoke,
            gate=dice.choice([Gate.AUTO, Gate.AUTO, Gate.ASSISTED, Gate.MANUAL]),
            checks=dice.choice([Checks.REQUIRE, Checks.REQUIRE, Checks.WATCH, Checks.NONE]),
            concurrency=concurrency,
            zone_concurrency=zone_concurrency,
            max_failed=max_failed,
            soak=dice.choice([0.0, 2.0]),
            notice=2.0,
            deadline=40.0,
            patience=6.0,
        )

    plan = (
        step("staging", smoke=True),
        step("canary"),
        step("production", share=0.4),
        step("production"),
    )
    return AppConfig(
        APP,
        plans={"default": plan},
        metrics=(Metric("errors", "errors", action=Action.REVERT),),
        revert_concurrency=_amount(dice, 1, "50%", "100%", "100%"),
        silent_after=SILENT_AFTER,
    )


def founded(app: AppConfig, records: list[NodeRecord], build: BuildId, now: float) -> Rollout:
    """The rollout by which ``build`` has become what is live."""
    tiers: dict[str, tuple[NodeView, ...]] = {}
    for record in records:
        seat = record.seats[APP]
        view = NodeView(record.node, record.zone, seat.position, NodeState.DONE, build)
        tiers[seat.tier] = (*tiers.get(seat.tier, ()), view)
    started = core.start(
        id=f"{APP}-1",
        app=app,
        plan_name="default",
        base=None,
        target=build,
        by="ann",
        reason="",
        epoch=0,
        fleet=FleetView(tiers),
        holds=(),
        now=now,
    ).state
    done = everywhere(started)
    return structs.replace(started, phase=Phase.SUCCEEDED, fractions=done, ended_at=now)


def _amount(dice: random.Random, *amounts: Amount) -> Amount:
    return dice.choice(amounts)
