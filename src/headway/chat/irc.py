"""IRC: one connection, one channel; it comes back by itself, with full jitter.

A line has arrived when the server has answered the PING that followed it. Of what was on its way
when a connection broke, nobody can tell whether it arrived: it is said again, and says so.
"""

import asyncio
import base64
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count

import structlog

from headway.chat.irc_lines import MAX_LINE_BYTES, Line, read, split, write
from headway.chat.pace import Pace, Patience
from headway.chat.port import Gone, Hear, Told, Typed
from headway.chat.secret import secret
from headway.chat.settings import IrcSettings, KnownBy
from headway.chat.topic import IRC_BYTES, bytes_of
from headway.errors import HeadwayError, Unreachable

CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 60.0
"""After so long without a word the server is asked whether it is there, and after twice that the
connection is given up."""

LONGEST_PAUSE_SECONDS = 60.0
AGAIN = "(again) "
REFUSALS = {"403", "404", "405", "437", "442", "471", "473", "474", "475", "477", "482"}
"""Numerics by which a server says that it does not do what it was asked."""

MAX_WAITING = 100
"""How many lines may wait to be answered; more are not read."""

Answers = asyncio.Queue[Callable[[], Awaitable[None]]]

log = structlog.get_logger()


class Irc:
    """Implements ``headway.chat.port.Network``."""

    def __init__(self, settings: IrcSettings) -> None:
        self._settings = settings
        self._pace = Pace(settings.pace)
        self._topic_pace = Pace(max(settings.pace, 0.01) * 2, burst=2)
        self._patience = Patience()
        self._tokens = count(1)
        self._wanted: str | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._joined = asyncio.Event()
        self._changed = asyncio.Event()
        self._nick = settings.nick
        self._topic = ""
        self._ponged = 0
        self._pong = asyncio.Condition()
        self._members: set[str] = set()
        self._trouble = "not connected yet"
        self._tags: set[str] = set()

    @property
    def name(self) -> str:
        """What tells its accounts from those of other networks."""
        return self._settings.name

    @property
    def channel(self) -> str:
        """The channel."""
        return self._settings.channel

    @property
    def trouble(self) -> str:
        """Why nothing comes through at present, or an empty string."""
        return self._trouble

    def fit(self) -> tuple[int, Callable[[str], int]]:
        """A topic's length is counted in bytes."""
        return IRC_BYTES, bytes_of

    def show(self, line: str, leader: str, choices: Sequence[str]) -> None:
        """Let ``line`` stand as the topic."""
        self._wanted = line
        self._changed.set()

    async def run(self, hear: Hear, gone: Gone) -> None:
        """Connect, be there, and come back whenever the connection ends."""
        failures = 0
        while True:
            if self._settings.known_by is KnownBy.SESSION:
                await gone("")
            try:
                await self._be_there(hear, gone)
            except (OSError, TimeoutError, EOFError, Unreachable, ValueError) as error:
                self._trouble = f"{self._settings.server}: {error or type(error).__name__}"
                log.warning("irc breaks off", why=self._trouble)
            failures = 0 if self._joined.is_set() else failures + 1
            self._joined.clear()
            self._members.clear()
            async with self._pong:
                self._pong.notify_all()
            ceiling = min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 8))
            await asyncio.sleep(random.uniform(0, ceiling))  # noqa: S311 - jitter, not a secret

    async def deliver(self, lines: Sequence[Told]) -> None:
        """Say it; returns when the server has answered that it has it."""
        left = [piece for line in lines for piece in split(_calling(line))]
        tried = 0
        while left:
            await self._joined.wait()
            tokens: list[int] = []
            try:
                for index, piece in enumerate(left):
                    again = AGAIN if index < tried else ""
                    await self._pace()
                    self._send("PRIVMSG", self.channel, text=again + piece)
                    tokens.append(next(self._tokens))
                    self._send("PING", f"headway-{tokens[-1]}")
                await self._answered(tokens[-1])
            except (OSError, Unreachable) as error:
                log.warning("irc: said but not confirmed", why=str(error))
            arrived = sum(1 for token in tokens if token <= self._ponged)
            left, tried = left[arrived:], max(len(tokens), tried) - arrived

    async def _answered(self, token: int) -> None:
        async with self._pong:
            async with asyncio.timeout(2 * SILENCE_SECONDS):
                await self._pong.wait_for(
                    lambda: self._ponged >= token or not self._joined.is_set()
                )

    async def _be_there(self, hear: Hear, gone: Gone) -> None:
        host, _, port = self._settings.server.rpartition(":")
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                host.strip("[]"), int(port), ssl=self._tls(), limit=MAX_LINE_BYTES
            )
        self._writer = writer
        tasks = [asyncio.create_task(self._keep_topic())]
        answers: Answers = asyncio.Queue(MAX_WAITING)
        tasks.append(asyncio.create_task(_in_turn(answers)))
        try:
            self._register()
            asked = False
            while True:
                try:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        raw = await reader.readuntil(b"\n")
                    asked = False
                except TimeoutError:
                    if asked:
                        raise Unreachable("the server has said nothing for too long") from None
                    self._send("PING", "alive")
                    asked = True
                    continue
                except asyncio.LimitOverrunError as error:
                    await reader.readexactly(error.consumed)
                    continue
                if (line := read(raw)) is not None:
                    await self._take(line, hear, gone, answers)
        finally:
            self._writer = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.close()
            with suppress(OSError, ssl.SSLError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    def _register(self) -> None:
        if password := secret(self._settings.password_file):
            self._send("PASS", text=password)
        self._send("CAP", "LS", "302")
        self._nick = self._settings.nick
        self._send("NICK", self._nick)
        self._send("USER", self._settings.nick, "0", "*", text="Headway")

    async def _take(self, line: Line, hear: Hear, gone: Gone, answers: Answers) -> None:
        match line.command:
            case "PING":
                self._send("PONG", text=line.word(len(line.words) - 1))
            case "PONG":
                await self._pongs(line.word(len(line.words) - 1))
            case "CAP" | "AUTHENTICATE" | "903" | "902" | "904" | "905" | "906":
                self._negotiate(line)
            case "001":
                self._nick = line.word(0)
                key = secret(self._settings.channel_key_file)
                self._send("JOIN", self.channel, *([key] if key else []))
            case "433":
                self._nick += "_"
                self._send("NICK", self._nick)
            case "332" | "331" | "TOPIC":
                self._topic = line.word(2 if line.command == "332" else 1)
                self._topic = "" if line.command == "331" else self._topic
                self._changed.set()
            case "366" if line.word(1).casefold() == self.channel.casefold():
                self._trouble = ""
                self._joined.set()
                self._changed.set()
            case "353" | "JOIN":
                names = line.word(len(line.words) - 1).split() if line.command == "353" else ()
                self._members |= {name.lstrip("~&@%+") for name in names} or {line.nick}
            case "PRIVMSG":
                self._heard(line, hear, answers)
            case "NICK" | "QUIT" | "PART" | "KICK":
                await self._leaves(line, gone)
            case "ERROR":
                raise Unreachable(line.word(0))
            case code if code in REFUSALS:
                self._trouble = f"{self.channel}: {line.word(len(line.words) - 1)}"
                log.warning("irc refuses", why=self._trouble)

    def _negotiate(self, line: Line) -> None:
        """Ask for tags, and sign in, where the server offers that; then go on."""
        settings = self._settings
        if line.command == "CAP" and line.word(1) == "LS":
            offered = {word.partition("=")[0] for word in line.word(len(line.words) - 1).split()}
            wanted = {"account-tag"} | ({"sasl"} if settings.sasl_user else set())
            if found := sorted(offered & wanted):
                self._send("CAP", "REQ", text=" ".join(found))
            else:
                self._send("CAP", "END")
        elif line.command == "CAP" and line.word(1) == "ACK":
            self._tags = set(line.word(len(line.words) - 1).split())
            self._send(*(("AUTHENTICATE", "PLAIN") if "sasl" in self._tags else ("CAP", "END")))
        elif line.command == "AUTHENTICATE":
            plain = f"\0{settings.sasl_user}\0{secret(settings.sasl_password_file)}"
            self._send("AUTHENTICATE", base64.b64encode(plain.encode()).decode())
        elif line.command in {"902", "904", "905", "906"}:
            raise Unreachable(f"the sign-in as {settings.sasl_user} was refused")
        else:
            self._send("CAP", "END")

    def _heard(self, line: Line, hear: Hear, answers: Answers) -> None:
        private = not line.word(0).startswith(("#", "&", "+", "!"))
        text = line.word(1)
        # A connection that has just ended may still be heard, under a name made like ours.
        own = line.nick.rstrip("_") == self._settings.nick.rstrip("_")
        if own or text.startswith("\x01") or "!" not in line.prefix:
            return
        too_many = self._patience.count(line.prefix)
        if too_many:
            if too_many == 1:
                self._reply(line, private, ("that was a lot at once; wait ten seconds",))
            return
        typed = Typed(self._account(line), line.nick, text, private)

        async def answer() -> None:
            try:
                replies = await hear(typed)
            except HeadwayError as error:
                replies = (error.sentence,)
            for reply in replies:
                await self._pace()
                self._reply(line, private, (reply,))

        with suppress(asyncio.QueueFull):
            answers.put_nowait(answer)

    def _reply(self, line: Line, private: bool, replies: tuple[str, ...]) -> None:
        target, to = (line.nick, "") if private else (self.channel, f"{line.nick}: ")
        for reply in replies:
            for piece in split(to + reply):
                with suppress(Unreachable):
                    self._send("PRIVMSG", target, text=piece)

    def _account(self, line: Line) -> str:
        """Who a line is from; empty where that cannot be told, or its end would not be seen."""
        match self._settings.known_by:
            case KnownBy.ACCOUNT:
                account = line.tags.get("account", "")
                return f"account:{account}" if account and "account-tag" in self._tags else ""
            case KnownBy.SESSION if line.nick not in self._members:
                return ""
            case _:
                return line.prefix

    async def _leaves(self, line: Line, gone: Gone) -> None:
        who = line.word(1) if line.command == "KICK" else line.nick
        if who == self._nick:
            if line.command == "NICK":
                self._nick = line.word(0)
            elif line.command in ("KICK", "PART"):
                self._joined.clear()
                self._trouble = f"put out of {self.channel}"
                self._send("JOIN", self.channel)
            return
        self._members.discard(who)
        if line.command == "NICK":
            self._members.add(line.word(0))
        if self._settings.known_by is KnownBy.SESSION:
            await gone(f"{who}!")

    async def _pongs(self, token: str) -> None:
        number = token.removeprefix("headway-")
        if number.isdigit():
            async with self._pong:
                self._ponged = max(self._ponged, int(number))
                self._pong.notify_all()

    async def _keep_topic(self) -> None:
        """Whenever the topic is not what it should be, set it, at the network's pace."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._joined.is_set() and self._wanted not in (None, self._topic):
                await self._topic_pace()
                if self._wanted not in (None, self._topic):
                    with suppress(Unreachable):
                        self._send("TOPIC", self.channel, text=self._wanted)

    def _send(self, command: str, *words: str, text: str | None = None) -> None:
        """Put a line on its way. Raises Unreachable when there is no connection."""
        if self._writer is None or self._writer.is_closing():
            raise Unreachable("the connection has ended")
        self._writer.write(write(command, *words, text=text))

    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.tls:
            return None
        trust = self._settings.tls_trust
        return ssl.create_default_context(cafile=str(trust) if trust else None)


async def _in_turn(answers: Answers) -> None:
    """Answer what was said in the order in which it was said."""
    while True:
        await (await answers.get())()


def _calling(line: Told) -> str:
    """A line with people's nicks in place of the names that it calls, so that they notice."""
    text = line.text
    for name, account in line.to.items():
        nick = account.partition("!")[0]
        if "!" in account and nick != name:
            # A nick has no backslash that the pattern's replacement would read.
            nick = nick.replace("\\", "")
            text = re.sub(rf"(?<![\w.@-]){re.escape(name)}(?![\w@-])", nick, text)
    return text
