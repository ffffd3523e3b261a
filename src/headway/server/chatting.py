"""What is typed in chat becomes what the train is asked, and what is said in return."""

import secrets
import time
from collections.abc import Callable

from msgspec import Struct

from headway.chat.grammar import Command, explain, parse
from headway.chat.topic import leads, topic
from headway.core.riding import leader, missing
from headway.core.words import held
from headway.errors import Denied, HeadwayError, InvalidInput
from headway.model.access import Identity, Role
from headway.model.hold import Hold, Scope
from headway.model.train import (
    At,
    Config,
    Done,
    Drive,
    Event,
    Good,
    Heard,
    Join,
    Kick,
    Leave,
    Message,
    Say,
    State,
    Stop,
    Train,
    Uhoh,
    Undo,
    Unhold,
)
from headway.model.views import LinkCode, TrainView
from headway.server.auth.callers import Callers
from headway.server.database import trains as table
from headway.server.database.connection import Database
from headway.server.database.trains import Link
from headway.server.trains import Trains

CODE_SECONDS = 600.0
"""How long a code that links an account is good for."""

ACTS = frozenset({Role.DEPLOYER, Role.ADMIN})


class Reply(Struct, frozen=True):
    """A line in return. ``told`` ones are in the journal, so that the channel hears them anyway."""

    text: str
    told: bool = False


class Chat:
    """Everything that is typed, wherever it was typed."""

    def __init__(
        self,
        database: Database,
        callers: Callers,
        running: Trains,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._callers = callers
        self._trains = running
        self._clock = clock
        self._codes: dict[str, LinkCode] = {}

    async def hear(
        self, app: str, user: Identity | None, text: str, private: bool = False
    ) -> tuple[Reply, ...]:
        """Do what a line asks for, command by command; the first that is refused ends it.

        Raises a HeadwayError, with what was done before that in front of its sentence.
        """
        commands = parse(text, private)
        if not commands:
            if user is not None and user.role in ACTS:
                await self._trains.ask(app, Heard(user.name), "heard", user.name)
            return ()
        replies: list[Reply] = []
        for command in commands:
            try:
                replies += await self.do(app, user, command)
            except HeadwayError as error:
                if replies:
                    done = "; ".join(reply.text for reply in replies)
                    raise type(error)(f"{done}; but then: {error.sentence}") from None
                raise
        return tuple(replies)

    async def do(self, app: str, user: Identity | None, command: Command) -> list[Reply]:
        """Do what one command asks for. Raises a HeadwayError that says why not."""
        match command.name:
            case "help":
                return [Reply(line) for line in explain(command.text)]
            case "status":
                view = await self.view(app)
                return [Reply(line) for line in (view.topic, *view.notes)]
            case "link":
                raise InvalidInput("`.link` is for a private message, and once")
        if user is None:
            raise Denied(
                "I do not know you; `headway train link` shows a code, send me `.link CODE` "
                "in a private message"
            )
        if user.role not in ACTS:
            raise Denied(f"{user.name} is a {user.role} and may look; this takes a deployer")
        event = self._event(app, command, user.name)
        asked = await self._trains.ask(app, event, command.name, user.name)
        return [Reply(asked.why, asked.told)]

    async def view(self, app: str) -> TrainView:
        """An app's train as people see it. Raises NotFound."""
        return show(await self._trains.train(app))

    def offer(self, user: Identity) -> LinkCode:
        """A new code by which a chat account becomes ``user``'s."""
        now = self._clock()
        self._codes = {code: one for code, one in self._codes.items() if now < one.until}
        code = LinkCode(secrets.token_urlsafe(12), user.name, now + CODE_SECONDS)
        self._codes[code.code] = code
        return code

    async def link(self, network: str, account: str, code: str) -> str:
        """Exchange a code for its user's name. Raises Denied."""
        offered = self._codes.pop(code, None)
        now = self._clock()
        if offered is None or now >= offered.until:
            raise Denied("that code is not valid any more; `headway train link` makes another")
        link = Link(network, account, offered.user, now)
        await self._database.write(lambda c: table.link(c, link))
        return offered.user

    async def unlink(self, network: str, account: str) -> None:
        """Forget who the accounts are whose name begins with ``account``."""
        await self._database.write(lambda c: table.unlink(c, network, account))

    async def who(self, network: str, account: str) -> Identity | None:
        """The user that an account is linked to, with the role that it has now."""
        for link in await self._database.read(table.links):
            if (link.network, link.account) == (network, account):
                return self._callers.named(link.user)
        return None

    def _event(self, app: str, command: Command, by: str) -> Event:
        text, now = command.text, self._clock()
        match command.name:
            case "join":
                return Join(
                    by,
                    beside=command.who,
                    before=command.before,
                    last="last" in command.options,
                    config="config" in command.options,
                    door=command.door,
                    message=text,
                )
            case "at":
                return At(by, command.stage, command.build)
            case "kick":
                return Kick(by, command.who)
            case "hold":
                until = None if command.seconds is None else now + command.seconds
                reason = text or "no reason given"
                return Stop(Hold(secrets.token_hex(4), Scope.TRAIN, app, by, reason, now, until))
            case "config":
                return Config(by, "off" not in command.options)
            case "message":
                return Message(by, text)
            case "say":
                return Say(by, text)
            case "uhoh":
                return Uhoh(by, text)
            case "revert":
                return Undo(by, text)
            case name:
                return _PLAIN[name](by)


_PLAIN: dict[str, Callable[[str], Event]] = {
    "in": Good,
    "done": Done,
    "nevermind": Leave,
    "drive": Drive,
    "unhold": Unhold,
}


def show(train: Train) -> TrainView:
    """A train with what people see of it."""
    return TrainView(train, topic(train), leader(train), missing(train), notes(train))


def notes(train: Train) -> tuple[str, ...]:
    """What the train waits for, a sentence each."""
    found = [leads(train)]
    if train.run is not None:
        found.append(f"{train.run.build[:12]} at {train.run.title}: {train.run.why}")
    for name, objection in train.objections.items():
        found.append(f"uhoh from {name}" + (f": {objection.reason}" if objection.reason else ""))
    if (absent := missing(train)) and train.state in (State.BOARDING, State.TESTING):
        found.append(f"waiting for {' '.join(absent)}")
    found += [held(hold) for hold in train.holds]
    if train.frozen:
        found.append(train.frozen)
    return tuple(found)
