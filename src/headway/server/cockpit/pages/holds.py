"""What is held, by whom and why; placing holds and lifting them."""

from collections.abc import Iterable

from msgspec import Struct

from headway.model.hold import Hold, Scope
from headway.model.release import Lane
from headway.server import holding
from headway.server.plane import ControlPlane


class Facts(Struct, frozen=True):
    """What the page is made from; ``nodes`` are the app's, ``lanes`` whether it has any."""

    app: str
    holds: tuple[Hold, ...] = ()
    tiers: tuple[str, ...] = ()
    nodes: frozenset[str] = frozenset()
    lanes: bool = False


class Target(Struct, frozen=True):
    """What may be held: the value that the form sends, and what people read."""

    value: str
    words: str


class Row(Struct, frozen=True):
    """One hold; ``at`` is None for a node's, which does not tell."""

    id: str
    what: str
    node: str
    by: str
    reason: str
    at: float | None
    until: float | None


class Page(Struct, frozen=True):
    """Everything that the page shows."""

    app: str
    rows: tuple[Row, ...]
    targets: tuple[Target, ...]


def make_holds(facts: Facts) -> Page:
    """The page."""
    app = facts.app
    lanes = [Target(f"lane:{app}/{lane}", f"the {lane} lane") for lane in Lane if facts.lanes]
    return Page(
        app=app,
        rows=tuple(
            Row(
                id=hold.id,
                what=_what(hold, app),
                node=hold.on if hold.scope is Scope.NODE else "",
                by=hold.by,
                reason=hold.reason,
                at=hold.at or None,
                until=hold.until,
            )
            for hold in facts.holds
            if _binds(hold, facts)
        ),
        targets=(
            Target(f"app:{app}", f"all of {app}"),
            *(Target(f"tier:{app}/{tier}", f"tier {tier}") for tier in facts.tiers),
            *lanes,
            Target(f"train:{app}", "its train"),
        ),
    )


def _binds(hold: Hold, facts: Facts) -> bool:
    if hold.scope is Scope.NODE:
        return hold.on in facts.nodes
    return hold.on == facts.app or hold.on.startswith(f"{facts.app}/")


def _what(hold: Hold, app: str) -> str:
    part = hold.on.removeprefix(f"{app}/")
    match hold.scope:
        case Scope.APP:
            return f"all of {app}"
        case Scope.TRAIN:
            return "its train"
        case Scope.LANE:
            return f"the {part} lane"
        case Scope.TIER:
            return f"tier {part}"
        case _:
            return f"node {hold.on}"


async def gather(plane: ControlPlane, app: str) -> Facts:
    """What of an app is held. Raises NotFound."""
    known = await plane.engine.situation(app)
    planned: Iterable[str] = (s.tier for plan in known.config.plans.values() for s in plan)
    seated = sorted({member.record.seats[app].tier for member in plane.fleet.members(app)})
    return Facts(
        app=app,
        holds=tuple(await holding.in_force(plane)),
        tiers=tuple(dict.fromkeys([*planned, *seated])),
        nodes=frozenset(plane.fleet.nodes(app)),
        lanes=bool(known.config.releases and known.config.releases.config),
    )
