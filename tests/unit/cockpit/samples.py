"""Made-up apps in the states that a page must tell apart."""

from collections import Counter
from dataclasses import dataclass

from msgspec.structs import replace

from headway.model.build import Build
from headway.model.hold import Hold, Scope
from headway.model.journal import JournalEntry
from headway.model.plan import DEFAULT_PLAN
from headway.model.rollout import FleetView, NodeState, NodeView, Phase, Rollout
from headway.model.train import Car, Door, Objection, Rider, Run, SignOff, State, Train
from headway.model.verdict import Outcome, Verdict
from headway.model.views import RolloutView, TierView
from headway.server.chatting import show
from headway.server.cockpit.facts import Facts

NOW = 1_795_229_369.0
OLD = "9c41d07be2a8" + "0" * 52
NEW = "3f2a81bc90de" + "1" * 52
TIERS = {"staging": 4, "dogfood": 6, "canary": 4, "production": 64}
ZONES = ("north", "south", "west")


@dataclass
class Fleet:
    """Which share of each tier runs the new build, and which nodes are in another state."""

    fractions: dict[str, float]
    odd: dict[str, tuple[NodeState, str]]


def nodes(fleet: Fleet) -> FleetView:
    found: dict[str, tuple[NodeView, ...]] = {}
    for tier, count in TIERS.items():
        places = [(f"{tier[:4]}-{n + 1:02}", n / count, ZONES[n % 3]) for n in range(count)]
        found[tier] = tuple(_node(fleet, tier, *place) for place in places)
    return FleetView(found)


def _node(fleet: Fleet, tier: str, name: str, position: float, zone: str) -> NodeView:
    state, why = fleet.odd.get(name, (NodeState.DONE, "runs what it should"))
    new = position < fleet.fractions.get(tier, 0.0) and state is NodeState.DONE
    return NodeView(name, zone, position, state, NEW if new else OLD, why)


def tiers(found: FleetView, fractions: dict[str, float]) -> tuple[TierView, ...]:
    return tuple(
        TierView(
            tier,
            len(mine),
            fractions.get(tier, 0.0),
            dict(Counter(node.state for node in mine)),
            dict(Counter(node.running or "" for node in mine)),
        )
        for tier, mine in found.tiers.items()
    )


def build(id: str, commit: str, subject: str, by: str) -> Build:
    return Build(
        id=id,
        app="webapp",
        commit=commit,
        created_at=NOW - 3600,
        by=by,
        files=1200,
        bytes=9_000_000,
        new_bytes=41_000,
        subject=subject,
    )


BUILDS = {
    OLD: build(OLD, "7e01b2c4d8aa", "Checkout: remember the last address", "bela"),
    NEW: build(NEW, "4d5e6f10a2bc", "Search: rank by freshness, not by id", "alice"),
}


def rollout(phase: Phase, step: int, fractions: dict[str, float], why: str) -> Rollout:
    return Rollout(
        id="webapp-41",
        app="webapp",
        base=OLD,
        target=NEW,
        plan=DEFAULT_PLAN,
        by="alice",
        started_at=NOW - 1260,
        phase=phase,
        step=step,
        since=NOW - 20,
        step_since=NOW - 60,
        epoch=57,
        attempt=0,
        fractions=fractions,
        why=why,
        verdicts=(
            Verdict(
                "errors",
                Outcome.PASS,
                "errors 0.21 %, within 2 % and 1.1 deviations of the last hour",
            ),
        ),
    )


def entries(*lines: tuple[str, str, str]) -> tuple[JournalEntry, ...]:
    return tuple(
        JournalEntry(n + 1, NOW - 1260 + 97 * n, "webapp", "webapp-41", actor, kind, why)
        for n, (actor, kind, why) in enumerate(lines)
    )


COURSE = (
    ("alice", "start", "alice deploys 3f2a81bc90de: search results were stale"),
    ("headway", "observed", "staging 100 %: all of 4 nodes have attested 3f2a81bc90de"),
    ("headway", "smoke-tested", "the smoke test passed: 3 requests"),
    ("headway", "observed", "dogfood 100 % begins"),
    ("headway", "observed", "dogfood 100 %: all of 6 nodes have attested 3f2a81bc90de"),
    ("headway", "observed", "dogfood 100 % is green; canary 100 % waits for a person"),
    ("alice", "advance", "alice begins canary 100 %"),
    ("headway", "observed", "canary 100 %: all of 4 nodes have attested 3f2a81bc90de"),
    ("bela", "advance", "bela begins production 10 %"),
    ("headway", "observed", "production 10 %: the wave rises to 10 %"),
    ("headway", "observed", "production 25 % begins, nobody objected"),
    ("headway", "observed", "production 25 %: the wave rises to 25 %"),
)
TRAIN = Train(
    app="webapp",
    state=State.TESTING,
    riders={
        "alice": Rider(1.0, "ranking", changes=("#41",), signed=SignOff(NEW, "production")),
        "bela": Rider(2.0, dark=True),
        "carol": Rider(3.0),
        "dan": Rider(4.0, config=True, door=Door.ALONE),
    },
    cars={"1": Car(("alice", "bela", "carol")), "2": Car(("dan",))},
    order=("1", "2"),
    run=Run("webapp-41", NEW, Phase.ROLLING, "production", "production 25 %"),
    objections={"carol": Objection(5.0, "search is slow")},
    holds=(Hold("h1", Scope.TRAIN, "webapp", "omar", "lunch", NOW - 60, NOW + 600),),
    message="be quick",
    commander="omar",
)

AT_25 = {"staging": 1.0, "dogfood": 1.0, "canary": 1.0, "production": 0.25}


def rolling() -> Facts:
    found = nodes(
        Fleet(
            AT_25,
            {
                "prod-15": (NodeState.MOVING, "restarting: waiting for 2 of 4 workers"),
                "prod-16": (NodeState.MOVING, "draining: 12 connections left"),
                "prod-40": (NodeState.HELD, "held by omar: disk swap"),
            },
        )
    )
    state = rollout(Phase.ROLLING, 4, AT_25, "production 25 %: the wave rises to 25 %")
    view = RolloutView(
        state,
        tiers(found, AT_25),
        next_why="production 25 %: waiting for prod-15 and prod-16",
        standing="4-rolling",
    )
    return Facts(
        app="webapp",
        now=NOW,
        live=OLD,
        live_since=NOW - 9000,
        rollout=view,
        begun=COURSE[0][2],
        builds=BUILDS,
        fleet=found,
        train=show(TRAIN),
        journal=entries(*COURSE),
        present=("alice", "omar"),
    )


def waiting() -> Facts:
    fractions = {"staging": 1.0, "dogfood": 1.0, "canary": 1.0}
    found = nodes(Fleet(fractions, {}))
    why = "canary 100 % is green; production 10 % waits for a person"
    state = rollout(Phase.WAITING, 2, fractions, why)
    return replace(
        rolling(),
        rollout=RolloutView(state, tiers(found, fractions), "advance", why, (), "2-waiting"),
        fleet=found,
        journal=entries(*COURSE[:8]),
    )


def paused() -> Facts:
    found = nodes(
        Fleet(
            AT_25,
            {
                "prod-09": (
                    NodeState.FAILED,
                    "verify failed: GET /health answered 500, flipped back",
                ),
                "prod-31": (NodeState.UNKNOWN, "no report for 41 s"),
            },
        )
    )
    why = "paused: prod-09 failed, and production tolerates no more than 0"
    state = replace(
        rollout(Phase.PAUSED, 4, AT_25, why),
        verdicts=(
            Verdict("errors", Outcome.FAIL, "errors 2.31 %, above 2 %", value=0.0231),
            Verdict("latency", Outcome.NO_DATA, "latency: no node has reported it for 60 s"),
        ),
    )
    view = RolloutView(state, tiers(found, AT_25), "resume", why, ("prod-09 failed",))
    line = ("headway", "pause", why)
    return replace(rolling(), rollout=view, fleet=found, journal=entries(*COURSE, line))


def reverted() -> Facts:
    found = nodes(Fleet({}, {}))
    why = "every node has attested 9c41d07be2a8 again"
    state = replace(
        rollout(Phase.REVERTED, 4, {}, why),
        ended_at=NOW - 5,
        verdicts=(Verdict("errors", Outcome.FAIL, "errors 4.80 %, above 2 %", value=0.048),),
    )
    held = "reverted 3f2a81bc90de: errors 4.80 %, above 2 %"
    hold = Hold("revert-webapp-41", Scope.APP, "webapp", "headway", held, NOW - 30)
    blocked = f"webapp is held by headway: {held}; `headway hold lift revert-webapp-41` lifts it"
    view = RolloutView(state, tiers(found, {}), "deploy", why, (blocked,))
    ending = (
        ("headway", "revert", "reverting to 9c41d07be2a8, by headway: errors 4.80 %, above 2 %"),
        ("headway", "observed", why),
    )
    return replace(
        rolling(),
        rollout=view,
        fleet=found,
        holds=(hold,),
        journal=entries(*COURSE, *ending),
        why=(f"nothing is rolling out; webapp-41 was reverted: {why}", blocked),
    )


def live() -> Facts:
    everywhere = dict.fromkeys(TIERS, 1.0)
    found = nodes(Fleet(everywhere, {}))
    why = "3f2a81bc90de is live on every node"
    state = replace(rollout(Phase.SUCCEEDED, 7, everywhere, why), ended_at=NOW - 400)
    return replace(
        rolling(),
        live=NEW,
        live_since=NOW - 400,
        rollout=RolloutView(state, tiers(found, everywhere), "deploy", why),
        fleet=found,
        why=(f"nothing is rolling out; webapp-41 has succeeded: {why}",),
    )


EVERY = {
    "rolling": rolling,
    "waiting": waiting,
    "paused": paused,
    "reverted": reverted,
    "live": live,
    "empty": lambda: Facts(app="webapp", now=NOW, why=("webapp was never deployed",)),
}
