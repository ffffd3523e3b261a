"""Random chat sessions: people who type at random, over a rollout with a will of its own."""

import random
from typing import Any

import msgspec
from msgspec import structs

from headway.chat.grammar import Command, parse
from headway.chat.topic import topic
from headway.core import journal, patch, train
from headway.errors import HeadwayError
from headway.model.hold import Hold, Scope
from headway.model.rollout import LIVE, Phase, PlaceHold
from headway.model.train import (
    Act,
    At,
    Begin,
    Config,
    Done,
    Drive,
    Event,
    Good,
    Join,
    Kick,
    Leave,
    LiftHold,
    Message,
    Run,
    Say,
    Seen,
    State,
    Stop,
    Train,
    Uhoh,
    Undo,
    Unhold,
)

PEOPLE = tuple(f"rider{i}" for i in range(12))
TIERS = ("staging", "canary", "production")


class Session:
    """One session, from one seed. ``rows`` is its journal, as it would be in the database."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.state = Train("web")
        self.now = 0.0
        self.run: Run | None = None
        self.holds: tuple[Hold, ...] = ()
        self.rows: list[bytes] = []
        self.topics: list[str] = []
        self.by = ""
        self.accepted = self.refused = self.builds = self.rides = 0

    def play(self, commands: int) -> None:
        self.take(Seen(None, TIERS))
        while commands > 0:
            self.by, line = self.sensible() if self.random.random() < 0.6 else ("", self.line())
            try:
                typed = parse(line)
            except HeadwayError:
                typed = ()
            for command in typed or (None,):
                commands -= 1
                if command is not None:
                    self.say(command)
            if self.random.random() < 0.5:
                self.world()

    def sensible(self) -> tuple[str, str]:
        """What somebody would say who wants the train to get on; without it none ever arrives."""
        state, lead = self.state, train.riding.leader(self.state)
        missing = train.riding.missing(state)
        if state.holds:
            return self.random.choice(PEOPLE), ".unhold"
        if state.unled and state.order:
            return self.random.choice(PEOPLE), ".drive"
        if state.objections:
            return next(iter(state.objections)), ".good"
        if missing and state.state in (State.BOARDING, State.TESTING, State.ARRIVED):
            return missing[0], ".good"
        match state.state:
            case State.CLEAR:
                return self.random.choice(PEOPLE), ".join"
            case State.BOARDING:
                return lead, ".at staging"
            case State.STOPPED:
                return lead, f".at {state.run.tier}" if state.run else ".in"
            case State.ARRIVED:
                return lead, ".done"
            case _:
                return lead, ".at prod"

    def line(self) -> str:
        who = self.random.choice(PEOPLE)
        pieces = [
            ".join", ".join", ".join; .in", f".join with {who}", f".join before {who}",
            ".join last", ".join config", ".join askme", '.join hold "big"',
            ".in", ".good", ".good", ".lgtm",
            ".uhoh", ".at staging", ".at prod", ".at canary", ".at prod", ".done", ".nevermind",
            f".kick {who}", ".drive", '.hold "lunch"', ".hold for 5m", ".unhold", ".revert",
            '.message "be quick"', ".message -", ".say hi; there", ".config", ".config -", ".joni",
            "hello", '.join "', ".good; .at prod", ".good; .done", ".unhold; .at staging",
        ]  # fmt: skip
        return self.random.choice(pieces)

    def say(self, command: Command) -> None:
        first = train.riding.head(self.state)
        crowd = first.riders if first and first.riders else PEOPLE
        leads = train.riding.leader(self.state)
        anybody = self.random.choice((leads or PEOPLE[0], *crowd, self.random.choice(PEOPLE)))
        by = self.by or anybody
        event = self.event(command, by)
        if event is not None:
            self.take(event)

    def event(self, command: Command, by: str) -> Event | None:
        match command.name:
            case "join":
                return Join(
                    by,
                    command.who,
                    command.before,
                    "last" in command.options,
                    "config" in command.options,
                    command.door,
                    command.text,
                )
            case "at":
                return At(by, command.stage, command.build)
            case "kick":
                return Kick(by, command.who)
            case "hold":
                until = None if command.seconds is None else self.now + command.seconds
                name = f"h{len(self.rows)}"
                hold = Hold(name, Scope.TRAIN, "web", by, command.text or "so", self.now, until)
                return Stop(hold)
            case "config":
                return Config(by, "off" not in command.options)
            case "message":
                return Message(by, command.text)
            case "say":
                return Say(by, command.text)
            case "uhoh":
                return Uhoh(by, command.text)
            case "revert":
                return Undo(by, command.text)
            case name:
                plain = {
                    "in": Good,
                    "done": Done,
                    "nevermind": Leave,
                    "drive": Drive,
                    "unhold": Unhold,
                }
                return plain[name](by) if name in plain else None

    def take(self, event: Event) -> None:
        before = self.state
        try:
            decision = train.decide(before, event, self.now)
        except HeadwayError:
            self.refused += 1
            return
        self.accepted += 1
        after = decision.state
        for effect in decision.effects:
            after = self.effect(effect, after)
        if isinstance(event, Done):
            self.run, self.rides = None, self.rides + 1
        if after != before:
            self.rows.append(msgspec.json.encode(patch.difference(before, after)))
            self.topics.append(topic(after))
        self.state = after
        if decision.effects and not isinstance(event, Seen):
            self.look()

    def effect(self, effect: Any, after: Train) -> Train:
        run = self.run
        match effect:
            case Begin():
                self.builds += 1
                self.run = Run(f"r{self.builds}", f"{self.builds:064x}", Phase.ROLLING, "staging")
                return train.boarded(after, self.run, self.now).state
            case Act(action="advance") if run is not None:
                tier = TIERS[TIERS.index(run.tier) + 1]
                self.run = structs.replace(
                    run, tier=tier, phase=Phase.ROLLING, attested=False, gate=""
                )
            case Act(action="pause") if run is not None and run.phase in LIVE:
                self.run = structs.replace(run, phase=Phase.PAUSED, gate="", resumable=True)
            case Act(action="resume") if run is not None:
                phase = Phase.SOAKING if run.attested else Phase.ROLLING
                self.run = structs.replace(run, phase=phase, resumable=False)
            case Act(action="revert") if run is not None:
                self.run = structs.replace(run, phase=Phase.REVERTING, gate="")
            case PlaceHold(hold=hold):
                self.holds = (*self.holds, hold)
            case LiftHold(hold=hold):
                self.holds = tuple(h for h in self.holds if h.id != hold.id)
        return after

    def world(self) -> None:
        """Time passes, nodes flip, and now and then somebody deploys a hotfix elsewhere."""
        self.now += self.random.choice((1.0, 20.0, 700.0, 2000.0))
        self.holds = tuple(h for h in self.holds if h.until is None or self.now < h.until)
        run = self.run
        if run is not None and self.random.random() < 0.03:
            self.builds += 1
            self.run = Run(f"r{self.builds}", f"{self.builds:064x}", Phase.ROLLING, run.tier)
        elif run is not None:
            last = run.tier == TIERS[-1]
            match run.phase:
                case Phase.ROLLING:
                    run = structs.replace(run, phase=Phase.SOAKING, attested=True, quarter=4)
                case Phase.SOAKING if last:
                    run = structs.replace(run, phase=Phase.SUCCEEDED)
                case Phase.SOAKING:
                    gate = TIERS[TIERS.index(run.tier) + 1]
                    run = structs.replace(run, phase=Phase.WAITING, gate=gate)
                case Phase.REVERTING:
                    run = structs.replace(run, phase=Phase.REVERTED)
            self.run = run
        self.look()

    def look(self) -> None:
        self.take(Seen(self.run, TIERS, self.holds))
        if self.run is not None and self.run.phase is Phase.REVERTED:
            self.run = None

    def replays(self) -> None:
        """The journal alone gives the train, and every topic on the way, once more."""
        tree: dict[str, Any] = {}
        every = max(1, len(self.rows) // 50)
        for index, row in enumerate(self.rows):
            patch.apply(tree, msgspec.json.decode(row))
            if index % every == 0:
                then = msgspec.convert({"app": "web", **tree}, Train)
                assert topic(then) == self.topics[index], f"row {index} tells another story"
        rows = [msgspec.json.decode(row) for row in self.rows]
        assert journal.fold_train("web", rows) == self.state
