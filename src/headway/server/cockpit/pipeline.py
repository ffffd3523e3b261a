"""The pipeline: tier after tier, what runs there, and how much of it."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from headway.core.plan import percent
from headway.model import picture
from headway.model.picture import ROLES, Share, StateCount
from headway.model.rollout import LIVE, NodeState, NodeView
from headway.model.views import TierView
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.lines import build_line


class Bar(Struct, frozen=True):
    """A build's part of a tier as it is drawn; ``start`` and ``width`` in percent of the whole."""

    role: str
    start: float
    width: float


class TierLine(picture.TierLine, frozen=True):
    """A tier as it is drawn; ``reached`` is the role of the build that has come this far.

    ``ahead_of`` is the build of the next tier, where that is another one than this tier's.
    """

    reached: str
    bars: tuple[Bar, ...]
    ahead_of: str = ""


def pipeline(facts: Facts) -> tuple[TierLine, ...]:
    """Every tier that has nodes, in the order in which a build passes them."""
    views = tier_views(facts)
    nexts = [_main(view) for view in views[1:]]
    return tuple(
        _tier(facts, view, after)
        for view, after in zip(views, [*nexts, ""][: len(views)], strict=True)
    )


def tier_views(facts: Facts) -> tuple[TierView, ...]:
    """The tiers of the latest rollout, or of a fleet that never saw one."""
    if facts.rollout is not None and facts.rollout.tiers:
        return facts.rollout.tiers
    return tuple(_bare(tier, nodes) for tier, nodes in facts.fleet.tiers.items())


def _bare(tier: str, nodes: Sequence[NodeView]) -> TierView:
    states = dict(Counter(node.state for node in nodes))
    builds = dict(Counter(node.running or "" for node in nodes))
    return TierView(tier=tier, nodes=len(nodes), fraction=0.0, states=states, builds=builds)


def _main(tier: TierView) -> str:
    """The build that most of a tier's nodes run."""
    return max(tier.builds, key=lambda build: tier.builds[build], default="")


def _tier(facts: Facts, tier: TierView, after: str) -> TierLine:
    state = facts.rollout.rollout if facts.rollout else None
    builds = [(build_line(facts, build), amount) for build, amount in tier.builds.items() if amount]
    shares = [
        Share(build, amount)
        for build, amount in sorted(builds, key=lambda item: (ROLES.index(item[0].role), -item[1]))
    ]
    running = state is not None and state.phase in LIVE
    on_live = tier.builds.get(facts.live or "", 0) / max(1, tier.nodes)
    fraction = tier.fraction if running else on_live
    return TierLine(
        tier=tier.tier,
        nodes=tier.nodes,
        fraction=percent(round(fraction, 3)),
        of="on the new build" if running else "on the live build",
        reached="new" if running and fraction else "live" if fraction else "",
        current=state is not None
        and state.phase in LIVE
        and state.plan[state.step].tier == tier.tier,
        shares=tuple(shares),
        bars=_bars(tier.nodes, shares),
        states=tuple(StateCount(s.value, tier.states[s]) for s in NodeState if tier.states.get(s)),
        ahead_of=after if after and _main(tier) not in ("", after) else "",
    )


def _bars(nodes: int, shares: Sequence[Share]) -> tuple[Bar, ...]:
    bars, start = [], 0.0
    for share in shares:
        width = 100 * share.nodes / max(1, nodes)
        bars.append(Bar(share.build.role, round(start, 2), round(width, 2)))
        start += width
    return tuple(bars)
