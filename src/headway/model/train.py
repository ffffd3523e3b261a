"""The push train: who rides, in which car, who leads, what each has said, and how it moves."""

from enum import StrEnum

from msgspec import Struct

from headway.model.hold import Hold
from headway.model.names import BuildId, Name, Text
from headway.model.rollout import Phase, PlaceHold


class State(StrEnum):
    """Where the train stands."""

    CLEAR = "clear"
    """Nobody is aboard, and nothing is under way."""
    BOARDING = "boarding"
    """The first car stands; its riders get in."""
    MOVING = "moving"
    """The build is on its way to the tier, or on through it; it is the machine's turn."""
    TESTING = "testing"
    """The tier runs the build; riders look at it and sign off."""
    READY = "ready"
    """Everyone has signed off; the leader goes on."""
    STOPPED = "stopped"
    """Somebody said uhoh, or the rollout is paused."""
    REVERTING = "reverting"
    """The build before it is being brought back."""
    ARRIVED = "arrived"
    """The build is live everywhere; the leader ends the ride."""


class Door(StrEnum):
    """Who may get into a rider's car."""

    OPEN = "open"
    """Whoever comes."""
    ASK = "askme"
    """Whoever has asked, and so says ``with``."""
    ALONE = "hold"
    """Nobody: what this rider brings goes out alone."""


class SignOff(Struct, frozen=True, omit_defaults=True):
    """That a rider has found a build good on a tier. Before departure both are empty: "I am in"."""

    build: str = ""
    tier: str = ""


class Rider(Struct, frozen=True, omit_defaults=True):
    """A person aboard. ``dark`` riders bring nothing that anybody sees, and need not sign off."""

    joined_at: float
    """When the person came aboard, in seconds since the epoch."""
    message: Text = ""
    config: bool = False
    door: Door = Door.OPEN
    changes: tuple[str, ...] = ()
    dark: bool = False
    signed: SignOff | None = None
    """What the person found good; null if nothing yet."""


class Car(Struct, frozen=True, omit_defaults=True):
    """Riders who deploy together, first come first. ``driver`` leads it without a change aboard."""

    riders: tuple[str, ...] = ()
    driver: str = ""


class Objection(Struct, frozen=True, omit_defaults=True):
    """What somebody does not like. It ends with the build that it is about."""

    at: float
    reason: Text = ""


class Run(Struct, frozen=True, omit_defaults=True):
    """The rollout, as the train sees it.

    ``title`` names the step that stands. ``attested`` says whether the tier runs the build as far
    as a step of the plan goes. ``gate`` is the tier of the next step where that waits for a
    person, else empty. ``quarter`` counts how many quarters of the tier run the build.
    ``resumable`` is a pause that a person made, and nothing else stands against going on.
    ``asks``: the step itself asks for people's sign-offs.
    """

    rollout: str
    build: BuildId
    phase: Phase
    tier: Name
    title: str = ""
    standing: str = ""
    attested: bool = False
    gate: str = ""
    quarter: int = 0
    resumable: bool = False
    asks: bool = False
    release: str = ""
    why: str = ""


class Lease(Struct, frozen=True, omit_defaults=True):
    """How long the train has waited for its leader.

    ``since`` is when it began to wait, or heard the leader last; ``passed`` are those who have
    lost the lead of this car because they did not answer.
    """

    since: float = 0.0
    reminders: int = 0
    """How often the leader was reminded."""
    passed: tuple[str, ...] = ()


class Train(Struct, frozen=True, omit_defaults=True):
    """The state row. ``order`` lists the cars, by their number, from the first to the last.

    ``run`` is the first car's rollout, once it has left. ``called`` and ``told`` are the
    ``build:tier`` for which riders were called, and for which everyone was ready. ``tiers`` are
    those of the app's plan that have nodes, ``holds`` and ``frozen`` what keeps the app from
    deploying: holds, and what the schedule or the other lane says. ``unled`` says that nobody
    leads, though there is a car. ``why`` is the sentence of the last decision.
    """

    app: Name
    state: State = State.CLEAR
    riders: dict[str, Rider] = {}
    cars: dict[str, Car] = {}
    order: tuple[str, ...] = ()
    made: int = 0
    """How many cars there have been."""
    run: Run | None = None
    objections: dict[str, Objection] = {}
    called: str = ""
    told: str = ""
    unled: bool = False
    lease: Lease = Lease()
    """How long it has waited for its leader."""
    message: Text = ""
    tiers: tuple[str, ...] = ()
    holds: tuple[Hold, ...] = ()
    frozen: str = ""
    commander: str = ""
    why: str = ""


class Join(Struct, frozen=True):
    """Somebody gets in, or moves: beside ``beside``, before ``before``, or at the end."""

    by: str
    beside: str = ""
    before: str = ""
    last: bool = False
    config: bool = False
    door: Door = Door.OPEN
    message: Text = ""


class Good(Struct, frozen=True):
    """A rider is in, or finds the build good where it is."""

    by: str


class Uhoh(Struct, frozen=True):
    """Somebody has seen something, and stops the train."""

    by: str
    reason: Text = ""


class At(Struct, frozen=True):
    """The leader goes on to a tier; from the station with ``build``."""

    by: str
    stage: str
    build: str = ""


class Done(Struct, frozen=True):
    """The leader ends the ride."""

    by: str


class Leave(Struct, frozen=True):
    """A rider gets out."""

    by: str


class Kick(Struct, frozen=True):
    """The leader puts somebody out, with whatever they objected to."""

    by: str
    who: str


class Drive(Struct, frozen=True):
    """Somebody takes the lead."""

    by: str


class Stop(Struct, frozen=True):
    """Somebody holds the train. ``hold`` is what is placed."""

    hold: Hold


class Unhold(Struct, frozen=True):
    """Somebody lifts every hold on the app and its train."""

    by: str


class Message(Struct, frozen=True):
    """Somebody sets the message that stands beside the train; empty takes it away."""

    by: str
    text: Text = ""


class Say(Struct, frozen=True):
    """Somebody tells everybody something."""

    by: str
    text: Text


class Config(Struct, frozen=True):
    """A rider says that it brings configuration only, or that it does not."""

    by: str
    on: bool = True


class Undo(Struct, frozen=True):
    """Somebody brings the build before it back."""

    by: str
    reason: Text = ""


class Heard(Struct, frozen=True):
    """Somebody has said something that is no command: they are there."""

    by: str


class Carries(Struct, frozen=True):
    """What a rider brings is known: ids of changes, and whether all of them are dark."""

    who: str
    changes: tuple[str, ...]
    dark: bool


class Seen(Struct, frozen=True):
    """Time has passed: this is how the rollout stands, and what keeps the app from deploying."""

    run: Run | None = None
    tiers: tuple[str, ...] = ()
    holds: tuple[Hold, ...] = ()
    frozen: str = ""
    commander: str = ""


Event = (
    Join
    | Good
    | Uhoh
    | At
    | Done
    | Leave
    | Kick
    | Drive
    | Stop
    | Unhold
    | Message
    | Say
    | Config
    | Undo
    | Heard
    | Carries
    | Seen
)


class Begin(Struct, frozen=True):
    """Start a rollout of ``build``."""

    build: str
    reason: str


class Act(Struct, frozen=True):
    """Advance, pause, resume or revert the rollout; with ``seen`` only if it still stands there."""

    rollout: str
    action: str
    reason: str = ""
    seen: str | None = None


class LiftHold(Struct, frozen=True):
    """Lift a hold."""

    hold: Hold


class Tell(Struct, frozen=True):
    """Say something in the channel; ``to`` are those whom it calls."""

    sentence: str
    to: tuple[str, ...] = ()


Effect = Begin | Act | PlaceHold | LiftHold | Tell


class Decision(Struct, frozen=True):
    """The next state, what to do about it, and one sentence why.

    A decision with the state before it and without effects is not recorded.
    """

    state: Train
    effects: tuple[Effect, ...] = ()
    why: str = ""

    def is_news(self, before: Train) -> bool:
        """Whether there is something to record."""
        return bool(self.effects) or self.state != before
