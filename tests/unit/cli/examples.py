"""Example values of everything that the API answers with."""

from headway.model.build import Build, Failure
from headway.model.hold import Hold, Scope
from headway.model.journal import JournalEntry
from headway.model.plan import DEFAULT_PLAN, AppConfig
from headway.model.release import (
    Change,
    CheckState,
    Lane,
    Pick,
    PickKind,
    Release,
    Review,
    Tag,
)
from headway.model.release_views import (
    QueueView,
    ReleaseView,
    ScheduleView,
    SuspectsView,
    SuspectView,
)
from headway.model.report import Activity, Report
from headway.model.rollout import NodeState, Phase, Rollout
from headway.model.schedule import Freeze as WrittenFreeze
from headway.model.schedule import Frozen, Schedule, Shift
from headway.model.signal import NodeHold
from headway.model.verdict import Outcome, Verdict
from headway.model.views import AppView, NodeStatus, RolloutView, TierView

OLD = "0f9e8d7c6b5a" + "0" * 52
NEW = "a1b2c3d4e5f6" + "1" * 52
THEN = 1_790_000_000.0

BUILD = Build(
    id=NEW,
    app="web",
    commit="9c1d7e3f5a2b4c6d8e0f1a2b3c4d5e6f7a8b9c0d",
    created_at=THEN,
    by="alice",
    files=11_741,
    bytes=183_402_211,
    new_bytes=48_112,
    subject="Show the number of unread messages in the title of the window",
)
APP = AppView(AppConfig(name="web", make=("make", "dist")), live=OLD, rollout="r17")
HOLD = Hold("h3", Scope.TIER, "web/canary", "bob", "the canary's disk is swapped", THEN, None)
ENTRY = JournalEntry(
    41, THEN, "web", "r17", "alice", "advance", "step 4: 10% of production, asked by alice"
)
VERDICTS = (
    Verdict("errors", Outcome.PASS, "errors is 0.1% of 12,881 requests, the limit is 2%"),
    Verdict("latency", Outcome.NO_DATA, "latency has 12 of the 50 samples that it takes"),
)
TIERS = (
    TierView("staging", 4, 1.0, {NodeState.DONE: 4}, {NEW: 4}),
    TierView("dogfood", 4, 1.0, {NodeState.DONE: 4}, {NEW: 4}),
    TierView("canary", 2, 1.0, {NodeState.DONE: 1, NodeState.HELD: 1}, {NEW: 1, OLD: 1}),
    TierView(
        "production",
        120,
        0.25,
        {NodeState.DONE: 108, NodeState.MOVING: 9, NodeState.FAILED: 2, NodeState.UNKNOWN: 1},
        {NEW: 18, OLD: 101, "": 1},
    ),
)


def rollout(phase: Phase = Phase.SOAKING, why: str = "all of the step has attested") -> Rollout:
    """The example rollout in a phase."""
    return Rollout(
        id="r17",
        app="web",
        base=OLD,
        target=NEW,
        plan=DEFAULT_PLAN,
        by="alice",
        started_at=THEN,
        phase=phase,
        step=4,
        since=THEN + 200,
        step_since=THEN + 180,
        epoch=23,
        attempt=1,
        fractions={"staging": 1.0, "production": 0.25},
        why=why,
        verdicts=VERDICTS,
    )


def view(phase: Phase = Phase.SOAKING, why: str = "all of the step has attested") -> RolloutView:
    """The example rollout as the API shows it."""
    return RolloutView(
        rollout(phase, why),
        TIERS,
        next="advance",
        next_why="begins 50 % of production; it begins by itself in 60 s unless somebody pauses",
        blockers=("canary is held by bob: the canary's disk is swapped",),
    )


CHANGE = Change(
    commit="9c1d7e3f5a2b4c6d8e0f1a2b3c4d5e6f7a8b9c0d",
    author="alice",
    subject="Show the number of unread messages in the title of the window",
    number=1207,
    review=Review.APPROVED,
    tests=CheckState.GREEN,
)
RELEASE = Release(
    id="web-r3",
    app="web",
    number=3,
    lane=Lane.CODE,
    branch="release/web-3",
    base="0" * 40,
    main=CHANGE.commit,
    tags=(Tag("web-3.0", CHANGE.commit), Tag("web-3.1", "ab" * 20)),
    changes=(CHANGE, Change("cd" * 20, "bob", "DARK: count the baskets", dark=True)),
    by="alice",
    at=THEN,
    why='bob picks #1209 "Fix the basket" on web-r3, now web-3.1: it burns',
    picks=(Pick(PickKind.HOTFIX, CHANGE, "ab" * 20, "bob", THEN, "it burns"),),
    overrides=("#1209: its checks still run",),
)
RELEASE_VIEW = ReleaseView(RELEASE, next="build", next_why="web-3.1 waits for its build")
QUEUE = QueueView(
    "web", Lane.CODE, "0" * 40, CHANGE.commit, (CHANGE,), (("#1207: nobody has approved it",),)
)
SUSPECTS = SuspectsView(
    "#1207 is suspected: it touches src/pay.py, which errors points at",
    (SuspectView(CHANGE, "it touches src/pay.py, which errors points at", 3.0),),
)
FREEZE = Frozen("f1", "web", THEN, THEN + 86400, "bob", "an audit")
SCHEDULE = ScheduleView(
    "web",
    THEN,
    "frozen until Mon 2026-09-21 12:26 (UTC): an audit (by bob); hotfixes may go",
    bot=False,
    shift=Shift("alice", THEN + 3600, "by the rota"),
    schedule=Schedule(freezes=(WrittenFreeze("2026-12-23", "2027-01-03", "the year ends"),)),
    freezes=(FREEZE,),
    slot_begin=THEN,
    slot_end=THEN + 2700,
    opens=THEN + 86400,
)

NODE = NodeStatus(
    node="web-017.eu-central.example.com",
    app="web",
    tier="production",
    zone="eu-1",
    position=0.1416,
    state=NodeState.FAILED,
    why="verify failed: /health answered 500 for 60 s; flipped back to 0f9e8d7c6b5a",
    running=OLD,
    goal=NEW,
    hold=NodeHold("bob", "looking at it", THEN + 7200),
    last_seen=THEN + 210,
    report=Report(
        node="web-017.eu-central.example.com",
        app="web",
        boot="b1",
        seq=4,
        epoch=23,
        activity=Activity.IDLE,
        running=OLD,
        prepared=NEW,
        why="verify failed",
        at=THEN + 210,
        error="/health answered 500",
        output="Traceback (most recent call last):\n  KeyError: 'DATABASE_URL'\n",
        failed=Failure(NEW, 1),
    ),
)
