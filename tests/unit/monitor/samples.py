"""Made-up pictures of an app, from 3 nodes to 10,000, and a control plane that has them."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
from msgspec.structs import replace

from headway.errors import HeadwayError
from headway.model.journal import JournalEntry
from headway.model.picture import (
    LETTERS,
    Actions,
    Alarm,
    Banner,
    BuildLine,
    Button,
    EntryLine,
    NodeMap,
    Picture,
    Places,
    RolloutPanel,
    Share,
    StateCount,
    StepLine,
    TierLine,
    TierPlaces,
    Tone,
    TrainLine,
    VerdictLine,
    meaning,
)
from headway.model.report import Activity, Report
from headway.model.rollout import NodeState, Phase
from headway.model.views import ActionRequest, NodeStatus

NOW = 1_795_229_369.0
OLD, NEW = "9c41d07be2a8" + "0" * 52, "3f2a81bc90de" + "1" * 52
HOSTILE = "\x1b[31m\x1b]0;pwned\x07[bold red]boo[/]\u202egpj.exe\u2066\nsecond line\t\x00{{7*7}}"

D, M, F, U = NodeState.DONE, NodeState.MOVING, NodeState.FAILED, NodeState.UNKNOWN


def picture(
    nodes: int = 274,
    phase: Phase = Phase.WAITING,
    failed: int = 0,
    app: str = "shop",
    subject: str = "Search: rank by freshness, not by id",
    **changes: Any,
) -> Picture:
    """A rollout that has a quarter of production on the new build."""
    sizes = sizes_of(nodes)
    letters, tiers = [], []
    for tier, size in sizes.items():
        done = size if tier != "production" else size // 4
        mine = [LETTERS[D, "new"]] * done + [LETTERS[D, "old"]] * (size - done)
        if tier == "production":
            for place in range(min(failed, size)):
                mine[done - 1 - place] = LETTERS[F, "old"]
        letters += mine
        tiers.append(tier_line(tier, mine, current=tier == "production", subject=subject))
    running = phase in (Phase.ROLLING, Phase.SOAKING, Phase.WAITING, Phase.PAUSED, Phase.REVERTING)
    made = Picture(
        app=app,
        now=NOW,
        phase=phase,
        banner=BANNERS[phase],
        alarms=(Alarm("failed", f"{failed} nodes went back after a failed flip"),)
        if failed
        else (),
        calm="274 nodes heard from, none failed, 2 metrics within bounds",
        live=BuildLine(OLD, "live"),
        live_since=NOW - 86_400,
        actions=ACTIONS[phase],
        train=TrainLine("<production> alice* + bela | carol", "alice"),
        tiers=tuple(tiers),
        rollout=RolloutPanel(
            id=f"{app}-41",
            running=running,
            target=BuildLine(NEW, "new", "4d5e6f10a2", subject, "alice"),
            base=BuildLine(OLD, "old", "7e01b2c4d8", "Checkout: remember the address", "bela"),
            by="alice",
            begun="alice begins with staging 100 %",
            started_at=NOW - 1260,
            ended_at=None if running else NOW - 60,
            plan="default",
            steps=STEPS,
            verdicts=VERDICTS,
        ),
        idle=(),
        holds=(),
        map=NodeMap(f"layout-{nodes}", "".join(letters)),
        journal=JOURNAL,
    )
    return replace(made, **changes)


def sizes_of(nodes: int) -> dict[str, int]:
    if nodes <= 3:
        return {"staging": 1, "canary": 1, "production": 1}
    small = {"staging": 4, "dogfood": 6, "canary": min(200, nodes // 50)}
    return small | {"production": nodes - sum(small.values())}


def tier_line(tier: str, letters: list[str], *, current: bool, subject: str) -> TierLine:
    meant = [meaning()[letter] for letter in letters]
    new = sum(role == "new" for _, role in meant)
    shares = (
        Share(BuildLine(NEW, "new", "4d5e6f10a2", subject, "alice"), new),
        Share(BuildLine(OLD, "old"), len(letters) - new),
    )
    states = tuple(
        StateCount(state.value, amount)
        for state in NodeState
        if (amount := sum(of is state for of, _ in meant))
    )
    return TierLine(
        tier=tier,
        nodes=len(letters),
        fraction="25 %" if current else "100 %",
        of="on the new build",
        current=current,
        shares=tuple(share for share in shares if share.nodes),
        states=states,
    )


def places(seen: Picture) -> Places:
    """Names for the letters of a picture."""
    return Places(
        seen.map.layout,
        tuple(
            TierPlaces(
                tier.tier, tuple(f"{tier.tier[:4]}-{n:05}" for n in range(1, tier.nodes + 1))
            )
            for tier in seen.tiers
        ),
    )


def status(node: str, app: str = "shop", **changes: Any) -> NodeStatus:
    """A node that went back."""
    report = Report(
        node=node,
        app=app,
        boot="b",
        seq=4,
        epoch=57,
        activity=Activity.IDLE,
        running=OLD,
        prepared=NEW,
        why="went back",
        at=NOW,
        error="verify: GET /health answered 503 for 30 s",
        output="starting workers\nImportError: no module named basket\nexit 1\n",
    )
    made = NodeStatus(
        node=node,
        app=app,
        tier="production",
        zone="north",
        position=0.12,
        state=F,
        why="3f2a81bc90de failed here",
        running=OLD,
        goal=OLD,
        last_seen=NOW - 2,
        report=report,
    )
    return replace(made, **changes)


BANNERS = {
    Phase.ROLLING: Banner(
        Tone.ROLLING, "▲", "Rolling out", "production 25 %", "production 25 %: 12 nodes to go"
    ),
    Phase.SOAKING: Banner(
        Tone.ROLLING, "▲", "Watching", "production 25 %", "all of production 25 % has attested"
    ),
    Phase.WAITING: Banner(
        Tone.ROLLING, "▲", "Green, waiting", "production 25 %", "production 25 % is green"
    ),
    Phase.PAUSED: Banner(Tone.PAUSED, "‖", "Paused", "production 25 %", "2 nodes failed of 264"),
    Phase.REVERTING: Banner(
        Tone.REVERTING, "↺", "Reverting", "production 25 %", "errors is 4.1 %, the limit is 2 %"
    ),
    Phase.REVERTED: Banner(
        Tone.REVERTING,
        "↺",
        "Reverted",
        "",
        "every node runs 9c41d07be2a8 again",
        "errors is 4.1 % of 12,881 requests, the limit is 2 %",
    ),
    Phase.SUCCEEDED: Banner(Tone.LIVE, "✓", "Live everywhere", "", "every step is green"),
}
REVERT = Button("revert", "Revert to 9c41d07be2a8")
ABORT = Button("abort", "Abort, leave nodes as they are")
ACTIONS = {
    Phase.ROLLING: Actions(
        "shop-41",
        "4-rolling",
        wait="Nothing to do: it goes on by itself",
        small=(Button("pause", "Pause"),),
        hurting=(REVERT, ABORT),
    ),
    Phase.SOAKING: Actions(
        "shop-41",
        "4-soaking",
        wait="Nothing to do: it goes on by itself",
        small=(Button("pause", "Pause"),),
        hurting=(REVERT, ABORT),
        until=NOW + 42,
    ),
    Phase.WAITING: Actions(
        "shop-41",
        "4-waiting",
        next=Button("advance", "Advance to production 50 %"),
        why="production 25 % is green; production 50 % waits for a person",
        small=(Button("pause", "Pause"),),
        hurting=(REVERT, ABORT),
    ),
    Phase.PAUSED: Actions(
        "shop-41",
        "4-paused",
        next=Button("retry", "Retry failed nodes"),
        why="2 nodes failed; retry or revert, or resume to accept this (nodes)",
        small=(Button("resume", "Resume, accept the failed nodes"),),
        hurting=(REVERT, ABORT),
    ),
    Phase.REVERTING: Actions(
        "shop-41", "4-reverting", wait="Nothing to do: it goes on by itself", hurting=(ABORT,)
    ),
    Phase.REVERTED: Actions(
        "shop-41",
        "4-reverted",
        why="Lift headway's hold when its reason is gone",
        command="headway hold lift revert-shop-41",
    ),
    Phase.SUCCEEDED: Actions(
        "shop-41",
        "7-succeeded",
        why="Ready for the next deploy",
        command="headway deploy shop BUILD",
        hurting=(REVERT,),
    ),
}
STEPS = (
    StepLine("staging 100 %", "done", "begins by itself"),
    StepLine("dogfood 100 %", "done", "begins by itself, soaks 5 min"),
    StepLine("canary 100 %", "done", "begins after 60 s, soaks 10 min"),
    StepLine("production 10 %", "done", "begun by hand, soaks 5 min"),
    StepLine("production 25 %", "current", "begun by hand, soaks 5 min", "waiting"),
    StepLine("production 50 %", "later", "begun by hand, soaks 5 min"),
    StepLine("production 75 %", "later", "begun by hand, soaks 5 min"),
    StepLine("production 100 %", "later", "begun by hand, soaks 5 min"),
)
VERDICTS = (
    VerdictLine("errors", "pass", "done", "errors 0.21 %, within 2 % and 1.1 deviations"),
    VerdictLine("latency", "no data", "unknown", "latency has 12 of the 50 samples it takes"),
)
JOURNAL = tuple(
    EntryLine(90 - n, NOW - 31 * n, "observed", actor, why)
    for n, (actor, why) in enumerate(
        [
            ("", "production 25 % is green"),
            ("", "all of production 25 % has attested"),
            ("", "alice advances to production 25 %"),
            ("bela", "lifts the hold on shop/canary: the disk is swapped and the node is back"),
            ("", "production 10 % is green"),
            *[("", f"entry number {n}") for n in range(20)],
        ]
    )
)


@dataclass
class FakeClient:
    """A control plane without a network: it shows ``shown`` and keeps what it was asked for."""

    shown: Picture | HeadwayError
    url: str = "http://fake"
    acted: list[tuple[str, str, ActionRequest]] = field(default_factory=list)
    on_act: Callable[["FakeClient", str], Any] | None = None
    looked: int = 0
    happenings: "queue.Queue[JournalEntry | None]" = field(default_factory=queue.Queue)
    statuses: Callable[[str], NodeStatus] = status

    def show(self, picture: Picture | HeadwayError) -> None:
        """Something happens, and this is what is to be seen then."""
        self.shown = picture
        app = picture.app if isinstance(picture, Picture) else "shop"
        self.happenings.put(JournalEntry(1, NOW, app, "", "", "", ""))

    def picture(self, app: str) -> Picture:
        self.looked += 1
        if isinstance(self.shown, HeadwayError):
            raise self.shown
        return replace(self.shown, app=app)

    def places(self, app: str) -> Places:
        assert isinstance(self.shown, Picture)
        return places(self.shown)

    def node(self, node: str) -> list[NodeStatus]:
        return [self.statuses(node), status(node, "another")]

    def act(self, rollout: str, action: str, request: ActionRequest) -> Any:
        self.acted.append((rollout, action, request))
        answer = self.on_act(self, action) if self.on_act else f"{action} by you"
        return SimpleNamespace(rollout=SimpleNamespace(why=answer))

    def journal(self, limit: int = 50) -> list[JournalEntry]:
        return []

    @contextmanager
    def events(self, last: str = "") -> Iterator[Iterator[Any]]:
        def frames() -> Iterator[Any]:
            while (entry := self.happenings.get()) is not None:
                data = msgspec.json.encode(entry).decode()
                yield SimpleNamespace(event="journal", data=data, id="1")

        yield frames()
