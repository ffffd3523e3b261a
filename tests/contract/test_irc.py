"""Headway on a real IRC server: what is said arrives once and in order, whatever breaks off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headway.chat.irc import Irc
from headway.chat.port import Told, Typed
from headway.chat.settings import IrcSettings, KnownBy
from tests.contract.fault_proxy import fault_proxy
from tests.contract.irc_server import IrcServer, Person, ngircd

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server(program, tmp_path: Path):
    with ngircd(program, tmp_path) as running:
        yield running


class Ear:
    """Keeps what was typed, and answers it."""

    def __init__(self) -> None:
        self.typed: list[Typed] = []
        self.gone: list[str] = []
        self.answers: tuple[str, ...] = ()

    async def hear(self, typed: Typed) -> tuple[str, ...]:
        self.typed.append(typed)
        return self.answers

    async def leaves(self, account: str) -> None:
        self.gone.append(account)


def settings(address: str, **more) -> IrcSettings:
    facts = {"app": "web", "channel": "#push", "tls": False, "pace": 0.02} | more
    return IrcSettings(server=address, **facts)


class Bot:
    def __init__(self, irc: Irc) -> None:
        self.irc, self.ear = irc, Ear()
        self.task = asyncio.create_task(irc.run(self.ear.hear, self.ear.leaves))

    async def ready(self) -> None:
        async with asyncio.timeout(20):
            await self.irc._joined.wait()

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def bot(server: IrcServer) -> AsyncIterator[Bot]:
    made = Bot(Irc(settings(server.address)))
    await made.ready()
    yield made
    await made.close()


async def there(server: IrcServer, nick: str) -> Person:
    return await asyncio.to_thread(Person, server, nick)


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_lines_arrive_in_order_whatever_is_in_them(server: IrcServer, bot: Bot) -> None:
    alice = await there(server, "alice")
    long = "word " * 300
    hostile = "one\r\nQUIT :gone\x00\x1b[31m red \u202e"
    await bot.irc.deliver([Told("first"), Told(hostile), Told(long), Told("ünïcödé 🚆 last")])
    await asyncio.to_thread(alice.heard, "last")
    said = alice.said()
    assert said[0] == "first"
    assert said[1] == "one  QUIT :gone[31m red"
    assert " ".join(said[2:-1]).split() == long.split()
    assert said[-1] == "ünïcödé 🚆 last"
    alice.close()


async def test_what_is_typed_is_heard_and_answered_where_it_was_typed(
    server: IrcServer, bot: Bot
) -> None:
    alice = await there(server, "alice")
    bot.ear.answers = ("nobody is aboard",)
    alice.say(".status")
    assert "alice: nobody is aboard" in await asyncio.to_thread(alice.heard, "nobody is aboard")
    alice.whisper("headway", "status")
    await asyncio.to_thread(alice.heard, "PRIVMSG alice :nobody is aboard")
    public, private = bot.ear.typed
    assert (public.nick, public.text, public.private) == ("alice", ".status", False)
    assert (private.text, private.private) == ("status", True)
    assert public.account.startswith("alice!")
    alice.close()


async def test_the_topic_is_put_back_whoever_changes_it(server: IrcServer, bot: Bot) -> None:
    alice = await there(server, "alice")
    bot.irc.show("<staging> alice* + bob", "alice", ())
    await asyncio.to_thread(alice.topic, "<staging> alice* + bob")
    alice.send("TOPIC #push :we need a new coffee machine")
    await until(lambda: bot.irc._topic == "we need a new coffee machine")
    alice.lines.clear()
    await asyncio.to_thread(alice.topic, "<staging> alice* + bob")
    alice.close()


async def test_a_topic_that_may_not_be_set_is_trouble_that_is_told(server: IrcServer) -> None:
    outsider = Bot(Irc(settings(server.address, channel="#locked")))
    await outsider.ready()
    outsider.irc.show("clear", "", ())
    await until(lambda: "not channel operator" in outsider.irc.trouble)
    await outsider.close()


async def test_a_killed_server_costs_no_line_and_repeats_none_that_was_confirmed(
    server: IrcServer, bot: Bot
) -> None:
    alice = await there(server, "alice")
    await bot.irc.deliver([Told(f"before {i}") for i in range(5)])
    await asyncio.to_thread(alice.heard, "before 4")
    assert alice.said() == [f"before {i}" for i in range(5)]
    server.kill()
    telling = asyncio.create_task(bot.irc.deliver([Told(f"after {i}") for i in range(5)]))
    await asyncio.sleep(0.3)
    server.start()
    again = await there(server, "bob")
    await asyncio.wait_for(telling, 30)
    await asyncio.to_thread(again.heard, "after 4")
    said = [line.removeprefix("(again) ") for line in again.said()]
    assert said[-5:] == [f"after {i}" for i in range(5)]
    assert not any(line.startswith("before") for line in said)
    alice.close()
    again.close()


async def test_a_connection_that_is_cut_again_and_again(server: IrcServer) -> None:
    """Every line arrives; only what was on its way at a cut may come twice, and then says so."""
    alice = await there(server, "alice")
    async with fault_proxy(server.port) as proxy:
        cut = Bot(Irc(settings(f"127.0.0.1:{proxy.port}", pace=0.01)))
        await cut.ready()
        telling = asyncio.create_task(cut.irc.deliver([Told(f"line {i}") for i in range(30)]))
        for deaf in (False, True):
            await asyncio.sleep(0.25)
            proxy.deaf = deaf
            if not deaf:
                proxy.stop()
            await asyncio.sleep(0.1)
            proxy.deaf = False
        await asyncio.wait_for(telling, 60)
        await cut.close()
    await asyncio.sleep(0.2)  # the proxy's lines end
    await asyncio.to_thread(alice.heard, "line 29")
    said = alice.said()
    first = list(dict.fromkeys(line.removeprefix("(again) ") for line in said))
    assert first == [f"line {i}" for i in range(30)], "a line is missing, or out of order"
    plain = [line for line in said if not line.startswith("(again) ")]
    assert len(plain) == len(set(plain)), "a line came twice and did not say so"
    alice.close()


async def test_a_nick_that_is_taken_is_no_obstacle(server: IrcServer) -> None:
    squatter = await there(server, "headway")
    second = Bot(Irc(settings(server.address)))
    await second.ready()
    await second.irc.deliver([Told("hello")])
    assert "headway_!" in await asyncio.to_thread(squatter.heard, "hello")
    await second.close()
    squatter.close()


async def test_who_leaves_or_takes_another_name_is_not_known_any_more(
    server: IrcServer, bot: Bot
) -> None:
    alice, bob = await there(server, "alice"), await there(server, "bob")
    assert bot.ear.gone == [""], "what was linked before the connection counts no more"
    alice.send("NICK eve")
    await until(lambda: "alice!" in bot.ear.gone)
    bob.send("QUIT")
    bob.close()
    await until(lambda: "bob!" in bot.ear.gone)
    alice.send("PART #push")
    await until(lambda: "eve!" in bot.ear.gone)
    alice.whisper("headway", ".status")
    await until(lambda: bot.ear.typed)
    assert bot.ear.typed[-1].account == "", "somebody outside the channel could be anybody"
    alice.close()


async def test_who_talks_too_much_is_told_once_and_then_not_heard(
    server: IrcServer, bot: Bot
) -> None:
    alice = await there(server, "alice")
    for i in range(14):
        alice.whisper("headway", f".status {i}")
    await asyncio.to_thread(alice.heard, "a lot at once")
    await asyncio.sleep(0.3)
    assert len(bot.ear.typed) <= 10
    alice.close()


async def test_a_server_with_a_password(program, tmp_path: Path) -> None:
    word = tmp_path / "password"
    word.write_text("open sesame\n")
    with ngircd(program, tmp_path / "shut", "open sesame") as shut:
        wrong = Bot(Irc(settings(shut.address)))
        await until(lambda: "not connected" not in wrong.irc.trouble)
        assert not wrong.irc._joined.is_set()
        await wrong.close()
        right = Bot(Irc(settings(shut.address, password_file=word, known_by=KnownBy.HOST)))
        await right.ready()
        assert right.ear.gone == []
        await right.close()
