"""An app with a past: what all pages have something to show of."""

from msgspec.structs import replace
from sqlalchemy import Connection

from headway.core.journal import changes
from headway.model.build import Build
from headway.model.hold import Hold, Scope
from headway.model.plan import AppConfig, Checks, Gate, Metric, SmokeCheck, Step
from headway.model.release import Change, CheckState, Lane, Pick, PickKind, Release, Review, Tag
from headway.model.report import Activity, Deviation, Drift, Inspection, Report, Stray
from headway.model.rollout import Phase, Rollout, SmokeFinding
from headway.model.schedule import Day, Freeze, Frozen, Rota, Schedule, Takeover
from headway.model.signal import NodeHold, NodeRecord, Seat
from headway.model.verdict import Outcome, Verdict
from headway.server.database import (
    apps,
    builds,
    holds,
    journal,
    nodes,
    releases,
    reports,
    rollouts,
    times,
)

PLAN = (
    Step(tier="staging", soak=0, checks=Checks.NONE),
    Step(tier="canary", soak=300, gate=Gate.MANUAL),
    Step(tier="production", share=0.25, gate=Gate.ASSISTED),
    Step(tier="production", share=1.0, gate=Gate.ASSISTED),
)
PEOPLE = ("ann", "bob", "cyd")
SUBJECTS = (
    "Search: rank by freshness, not by id",
    "Checkout: remember the last address",
    "DARK Listing page behind a flag",
    "Upgrade the image library",
    "Shops: a banner for the holidays",
)
DAY = 86400.0


def config(text: str = "") -> AppConfig:
    return AppConfig(
        name="web",
        plans={"default": PLAN, "quick": PLAN[-1:]},
        metrics=(
            Metric("errors", "errors", per="requests", above=0.02, paths=("app/**",)),
            Metric("latency", "latency", per="requests", optional=True),
        ),
        smoke=(SmokeCheck("http://staging.test/health", contains=text or "ok"),),
        make=("make", text or "site"),
        schedule=Schedule(
            zone="Europe/Berlin",
            days=tuple(Day),
            opens="00:00",
            closes="24:00",
            freezes=(Freeze("2030-12-23 12:00", "2031-01-03", text or "the year ends"),),
            rota=Rota(PEOPLE, "2020-01-01 09:00"),
        ),
    )


def build(number: int, now: float, text: str = "") -> Build:
    return Build(
        id=f"{number * 2654435761 % 2**32:08x}" * 8,
        app="web",
        commit=f"{number * 40503 % 2**32:08x}" * 5,
        created_at=now,
        by=text or PEOPLE[number % 3],
        files=117_000,
        bytes=2_400_000_000,
        new_bytes=12_000 * (number % 7 + 1),
        subject=text or SUBJECTS[number % 5],
    )


def change(number: int, now: float, text: str = "") -> Change:
    subject = text or SUBJECTS[number % 5]
    return Change(
        commit=f"{number * 65599 % 2**32:08x}" * 5,
        author=text or PEOPLE[number % 3],
        subject=subject,
        dark=subject.startswith("DARK"),
        number=4000 + number,
        url=f"https://forge.test/acme/web/pull/{4000 + number}",
        review=list(Review)[number % 4],
        tests=list(CheckState)[number % 4],
        merged_at=now,
        paths=("app/search.py", text or "app/rank.py"),
        more=number % 3,
    )


def release(number: int, of: Build, now: float, text: str = "") -> Release:
    brought = tuple(change(number * 3 + n, now - 4000 - 900 * n, text) for n in range(3))
    pick = Pick(PickKind.REVERT, brought[0], of.commit, "bob", now - 60, text or "it is slow")
    return Release(
        id=f"web-r{number}",
        app="web",
        number=number,
        lane=Lane.CODE,
        branch=text or f"release/web-{number}",
        base="1" * 40,
        main=brought[-1].commit,
        tags=(Tag(f"web-{number}.0", of.commit),),
        changes=brought,
        by=text or "ann",
        at=now - 1800,
        why=text or f"ann cuts web-r{number} with 3 changes",
        build=of.id,
        pushed=of.commit,
        picks=(pick,) if number % 4 == 0 else (),
        overrides=(text or "#4001: nobody has approved it",) if number % 5 == 0 else (),
    )


class Past:
    """Writes rollouts as the engine leaves them: their last state, and a row for each decision."""

    def __init__(self, connection: Connection, text: str = "") -> None:
        self.connection = connection
        self.text = text
        self.epoch = 0
        self.live: str | None = None

    def rollout(self, number: int, began: float, fate: Phase, took: float = 1500.0) -> Rollout:
        text, target = self.text, build(number, began - 600, self.text)
        builds.add(self.connection, target, began - 600)
        releases.put(self.connection, release(number, target, began, text))
        self.epoch += 10
        state = Rollout(
            id=f"web-{self.epoch}",
            app="web",
            base=self.live,
            target=target.id,
            plan=PLAN,
            by=text or PEOPLE[number % 3],
            started_at=began,
            phase=Phase.ROLLING,
            step=0,
            since=began,
            step_since=began,
            epoch=self.epoch,
            attempt=0,
            fractions={"staging": 1.0},
            why=text or f"{PEOPLE[number % 3]} deploys {target.id[:12]}: {SUBJECTS[number % 5]}",
            release=f"web-r{number}",
            hotfix=number % 9 == 0,
        )
        self._note(None, state, began, state.by, "start")
        for step in (1, 2):
            self._move(state, began + took * step / 4, Phase.WAITING, "is green")
            state = self._move(
                state, began + took * step / 4 + 5, Phase.ROLLING, "begins", step=step
            )
        ends = began + took
        match fate:
            case Phase.SUCCEEDED:
                self.live = target.id
                return self._end(state, ends, fate, f"{target.id[:12]} is live on every node", 3)
            case Phase.REVERTED:
                failed = Verdict("errors", Outcome.FAIL, text or "errors 4.80 %, above 2 %")
                state = replace(state, verdicts=(failed,))
                why = f"reverting to {(self.live or '')[:12]}, by headway: errors 4.80 %, above 2 %"
                state = self._move(state, ends - 60, Phase.REVERTING, why)
                return self._end(state, ends, fate, "every node has attested it again", 2)
            case Phase.PAUSED:
                check = SmokeFinding(text or "GET /health", False, text or "it failed", text or "x")
                state = replace(state, findings=(check,))
                return self._move(state, ends, fate, "paused: prod-09 failed")
            case _:
                return self._end(state, ends, fate, f"{fate} by bob: lunch", 2)

    def taken_back(self, state: Rollout, at: float, live: str) -> Rollout:
        """A rollout that had succeeded is reverted."""
        state = self._move(state, at, Phase.REVERTING, "reverting, by ann: the cart is empty")
        self.live = live
        return self._end(state, at + 30, Phase.REVERTED, "every node has attested it again", 3)

    def _end(self, state: Rollout, at: float, phase: Phase, why: str, step: int) -> Rollout:
        return self._move(replace(state, ended_at=at), at, phase, why, step=step)

    def _move(
        self, state: Rollout, at: float, phase: Phase, why: str, step: int | None = None
    ) -> Rollout:
        before = rollouts.get(self.connection, state.id)
        after = replace(
            state,
            phase=phase,
            since=at,
            why=self.text or why,
            step=state.step if step is None else step,
        )
        self._note(before, after, at, "headway", "observed")
        return after

    def _note(
        self, before: Rollout | None, state: Rollout, at: float, actor: str, kind: str
    ) -> None:
        rollouts.put(self.connection, state)
        journal.append(
            self.connection,
            at=at,
            app="web",
            rollout=state.id,
            actor=actor,
            kind=kind,
            why=state.why,
            changes=changes(before, state),
        )


FATES = {4: Phase.REVERTED, 7: Phase.ABORTED, 9: Phase.REVERTED, 11: Phase.SUPERSEDED}


def stock(connection: Connection, now: float, text: str = "", many: int = 40) -> None:
    """The app ``web`` with rollouts over some weeks, releases, nodes, holds and freezes.

    ``text`` stands wherever somebody else chooses the words.
    """
    apps.put(connection, config(text), now)
    past = Past(connection, text)
    for number in range(1, many + 1):
        began = now - (many - number + 1) * 0.8 * DAY
        state = past.rollout(number, began, FATES.get(number % 13, Phase.SUCCEEDED))
        if number % 16 == 0 and state.base is not None:
            past.taken_back(state, began + 9000, state.base)
    past.rollout(many + 1, now - 1500, Phase.PAUSED)
    stock_nodes(connection, now, past.live, text)
    holds.add(
        connection, Hold("h1", Scope.TIER, "web/canary", text or "ann", text or "a test", now - 90)
    )
    times.add_freeze(
        connection, Frozen("f1", "web", now + DAY, now + 3 * DAY, text or "ann", text or "audit")
    )
    times.take_over(
        connection,
        Takeover("web", text or "bob", text or "bob", now - 60, now + DAY, text or "ill"),
    )
    journal.append(
        connection, at=now - 5, actor=text or "root", kind="token", why=text or "root makes a token"
    )


TIERS = {"staging": 2, "canary": 2, "production": 20}


def stock_nodes(
    connection: Connection, now: float, live: str | None, text: str = "", scale: int = 1
) -> None:
    """Nodes in three tiers, some of them not as they should be."""
    said: list[tuple[Report, float]] = []
    for tier, amount in TIERS.items():
        for index in range(amount * scale):
            name = f"{tier[:4]}-{index + 1:02}"
            pin = "ab" * 32 if name == "prod-03" else None
            hold = NodeHold(text or "omar", text or "disk swap") if name == "prod-05" else None
            seat = Seat(tier, index / (amount * scale), pin)
            zone = ("north", "south")[index % 2]
            record = NodeRecord(name, 1, zone, {"web": seat}, hold)
            nodes.add(connection, record, "0.1.0", now)
            stray = Stray((text or "app/__init__.py")[:300], Deviation.CONTENT)
            drift = Drift("2", live or "ab" * 32, now - 300, 12, (stray,), serving=True)
            seen = Inspection(0, now - 200, live, 117_000, (drift,) if name == "prod-07" else ())
            if name != "prod-09":
                report = Report(
                    node=name,
                    app="web",
                    boot="b",
                    seq=1,
                    epoch=1,
                    activity=Activity.IDLE,
                    running=live,
                    prepared=None,
                    why=text or "runs what it should",
                    at=now - 2,
                    error=text if name == "prod-01" else "",
                    output=text or "GET /health answered 500\nworker 3 died" if index == 0 else "",
                    counters={"requests": 1234.0},
                    inspection=seen,
                )
                said.append((report, now - 2))
    reports.put(connection, said)
