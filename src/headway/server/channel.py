"""A channel of a chat network: it is told what the journal says, in order, and shows the topic.

What a channel has been told is known by the number of a journal entry, kept in the database: when
the network, the connection or this process has been away, it goes on after that one.
"""

import asyncio
from collections import deque
from functools import partial

import structlog

from headway.chat.port import Network, Told, Typed
from headway.chat.told import called, lines_of
from headway.chat.topic import topic
from headway.core.riding import leader
from headway.errors import HeadwayError
from headway.model.train import State, Train
from headway.server.chatting import Chat
from headway.server.database import journal, trains
from headway.server.database.connection import Database
from headway.server.news import News

PAGE = 50
IDLE_SECONDS = 5.0
PACE_SECONDS = 0.2
MAX_KEYS = 500
"""How many lines are remembered, so that one that is delivered twice is taken once."""

log = structlog.get_logger()


class Channel:
    """One network's channel for one app."""

    def __init__(
        self, network: Network, app: str, chat: Chat, database: Database, news: News
    ) -> None:
        self._network = network
        self._app = app
        self._chat = chat
        self._database = database
        self._news = news
        self._key = f"{network.name}/{network.channel}/{app}"
        self._keys: deque[str] = deque(maxlen=MAX_KEYS)

    async def run(self) -> None:
        """Be there until cancelled."""
        network = self._network.run(self._hear, self._gone)
        tasks = [asyncio.create_task(network), asyncio.create_task(self._tell())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, typed: Typed) -> tuple[str, ...]:
        """Answer a line; what changes the train comes to the channel by the journal, once."""
        if typed.key and typed.key in self._keys:
            return ()
        self._keys.append(typed.key)
        try:
            if typed.private and (code := _code(typed.text)):
                return await self._link(typed, code)
            user = await self._chat.who(self._network.name, typed.account)
            text = await self._named(typed.text)
            replies = await self._chat.hear(self._app, user, text, typed.private)
        except HeadwayError as error:
            return (error.sentence,)
        return tuple(reply.text for reply in replies if typed.private or not reply.told)

    async def _link(self, typed: Typed, code: str) -> tuple[str, ...]:
        if not typed.account:
            return (f"I cannot tell who you are here; come into {self._network.channel} first",)
        user = await self._chat.link(self._network.name, typed.account, code)
        return (f"you are {user} from now on",)

    async def _gone(self, account: str) -> None:
        await self._chat.unlink(self._network.name, account)

    async def _tell(self) -> None:
        seen = await self._seen()
        reader = self._news.subscribe()
        try:
            async for _ in reader.looks(IDLE_SECONDS, PACE_SECONDS):
                try:
                    await self._show()
                    seen = await self._tell_after(seen)
                except HeadwayError as error:
                    log.warning("chat waits", channel=self._key, why=error.sentence)
        finally:
            self._news.unsubscribe(reader)

    async def _seen(self) -> int:
        """Where to go on; a new channel is not told what was before it."""
        seen = await self._database.read(lambda c: trains.cursor(c, self._key))
        if seen is None:
            seen = await self._database.read(journal.last)
            await self._database.write(lambda c: trains.tell(c, self._key, seen))
        return seen

    async def _tell_after(self, seen: int) -> int:
        while True:
            page = await self._database.read(
                partial(journal.entries, app=self._app, after=seen, limit=PAGE)
            )
            if not page:
                return seen
            for entry in page:
                if texts := lines_of(entry):
                    accounts = await self._accounts()
                    to = {name: accounts[name] for name in called(entry) if name in accounts}
                    lines = [Told(text, to) for text in texts]
                    await self._network.deliver(lines)
                    await self._database.write(
                        partial(trains.tell, channel=self._key, seq=entry.seq)
                    )
                seen = entry.seq
            await self._show()

    async def _accounts(self) -> dict[str, str]:
        """The users who are linked here, each with an account."""
        links = await self._database.read(trains.links)
        return {link.user: link.account for link in links if link.network == self._network.name}

    async def _named(self, text: str) -> str:
        """A line with users' names in place of the accounts that it mentions."""
        if "@" in text:
            for user, account in (await self._accounts()).items():
                text = text.replace(f"@{account}", user)
        return text

    async def _show(self) -> None:
        state = await self._database.read(lambda c: trains.get(c, self._app))
        limit, length = self._network.fit()
        self._network.show(topic(state, limit, length), leader(state), choices(state))


def choices(train: Train) -> tuple[str, ...]:
    """The leader's next commands, the obvious one first."""
    match train.state:
        case State.BOARDING:
            return (f".at {train.tiers[0]}", ".hold") if train.tiers else ()
        case State.READY:
            return (f".at {train.run.gate}" if train.run else "", ".uhoh", ".revert")
        case State.MOVING | State.TESTING:
            return (".good", ".uhoh", ".revert")
        case State.STOPPED:
            return (f".at {train.run.tier}" if train.run else "", ".revert")
        case State.ARRIVED:
            return (".good", ".done", ".revert")
        case _:
            return ()


def _code(text: str) -> str:
    """The code of a ``.link``, or an empty string."""
    words = text.split()
    is_link = len(words) == 2 and words[0].removeprefix(".").casefold() == "link"
    return words[1][:64] if is_link else ""
