"""Headway on Slack, against a local fake of its web API and of its socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headway.chat.port import Told, Typed
from headway.chat.settings import SlackSettings
from headway.chat.slack import Slack, blocks
from tests.contract.fake_slack import APP, BOT, CHANNEL, FakeSlack, fake_slack

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Bot:
    def __init__(self, slack: Slack) -> None:
        self.slack = slack
        self.typed: list[Typed] = []
        self.answers: tuple[str, ...] = ()
        self.task = asyncio.create_task(slack.run(self.hear, self.gone))

    async def hear(self, typed: Typed) -> tuple[str, ...]:
        self.typed.append(typed)
        return self.answers

    async def gone(self, account: str) -> None:
        raise AssertionError("nobody takes another's account on Slack")

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def far() -> AsyncIterator[FakeSlack]:
    async with fake_slack() as fake:
        yield fake


def settings(tmp_path: Path, url: str) -> SlackSettings:
    for name, token in (("bot", BOT), ("app", APP)):
        (tmp_path / name).write_text(token + "\n")
    return SlackSettings("web", CHANNEL, tmp_path / "bot", tmp_path / "app", api=url, pace=0.01)


@pytest.fixture
async def bot(far: FakeSlack, tmp_path: Path) -> AsyncIterator[Bot]:
    made = Bot(Slack(settings(tmp_path, far.url)))
    await far.until(lambda: far.connections)
    yield made
    await made.close()


async def test_lines_are_posted_in_order_with_mentions_and_without_markup(
    far: FakeSlack, bot: Bot
) -> None:
    await bot.slack.deliver(
        [Told("bob alice: you're up", {"bob": "U2"}), Told("<!channel> & <staging>")]
    )
    assert far.texts == ["<@U2> alice: you're up", "&lt;!channel&gt; &amp; &lt;staging&gt;"]


async def test_the_topic_is_set_once_and_put_back(far: FakeSlack, bot: Bot) -> None:
    line = '<staging> alice* + bob  !! "a & b"'
    bot.slack.show(line, "", ())
    await far.until(lambda: far.topic == '&lt;staging&gt; alice* + bob  !! "a &amp; b"')
    bot.slack.show(line, "", ())
    await asyncio.sleep(0.2)
    assert far.calls.count("conversations.setTopic") == 1
    event = {"type": "message", "subtype": "channel_topic", "user": "U9", "channel": CHANNEL}
    event |= {"topic": "lunch?", "channel_type": "channel", "ts": "9.9", "text": "set the topic"}
    await far.send("events_api", {"type": "event_callback", "event_id": "Ex", "event": event})
    await far.until(lambda: far.calls.count("conversations.setTopic") == 2)


async def test_what_is_typed_is_heard_acknowledged_and_answered_to_the_one_who_asked(
    far: FakeSlack, bot: Bot
) -> None:
    bot.answers = ("alice leads",)
    envelope = await far.types("U2", ".kick &lt;x&gt; <@U3>; .say &amp;")
    await far.until(lambda: envelope in far.acks and far.ephemeral)
    assert bot.typed[0] == Typed("U2", "U2", ".kick <x> @U3; .say &", False, bot.typed[0].key)
    assert far.ephemeral == [("U2", "alice leads")]
    await far.types("U2", "status", channel="D1")
    await far.until(lambda: len(bot.typed) == 2)
    assert bot.typed[1].private
    await far.until(lambda: far.texts == ["alice leads"])


async def test_an_event_that_comes_again_has_the_same_key(far: FakeSlack, bot: Bot) -> None:
    await far.types("U2", ".join", key="Ev7")
    await far.types("U2", ".join", key="Ev7")
    await far.until(lambda: len(bot.typed) == 2)
    assert bot.typed[0].key == bot.typed[1].key == "Ev7"


async def test_the_leader_has_buttons_and_only_the_last_ones(far: FakeSlack, bot: Bot) -> None:
    bot.slack.show("a", "alice", (".at staging", ".hold"))
    await far.until(lambda: far.buttons == [".at staging", ".hold"])
    envelope = await far.presses("U1", ".at staging")
    await far.until(lambda: envelope in far.acks and bot.typed)
    assert (bot.typed[0].account, bot.typed[0].text) == ("U1", ".at staging")
    bot.slack.show("b", "alice", (".good", ".uhoh", ".revert"))
    await far.until(lambda: far.buttons == [".good", ".uhoh", ".revert"])
    bot.slack.show("clear", "", ())
    await far.until(lambda: far.buttons == [])


async def test_a_rate_limit_is_waited_for_and_nothing_is_lost(far: FakeSlack, bot: Bot) -> None:
    far.limited = 2
    await bot.slack.deliver([Told("one"), Told("two")])
    assert far.texts == ["one", "two"]


async def test_a_post_without_an_answer_is_made_again_and_says_so(far: FakeSlack, bot: Bot) -> None:
    far.swallow = 1
    await bot.slack.deliver([Told("one"), Told("two")])
    assert far.texts == ["one", "(again) one", "two"]


async def test_a_socket_that_is_cut_comes_back(far: FakeSlack, bot: Bot) -> None:
    await far.cut()
    await far.until(lambda: far.connections >= 2 and far.sockets, 40)
    await far.types("U2", ".join")
    await far.until(lambda: bot.typed)


async def test_what_slack_refuses_is_told_and_not_tried_for_ever(
    far: FakeSlack, tmp_path: Path
) -> None:
    wrong = settings(tmp_path, far.url)
    (tmp_path / "bot").write_text("xoxb-wrong\n")
    outsider = Bot(Slack(wrong))
    await far.until(lambda: "invalid_auth" in outsider.slack.trouble)
    await outsider.close()


def test_the_buttons_of_what_cannot_be_undone_look_like_it() -> None:
    section, actions = blocks("al<ice", (".at prod", ".revert"))
    assert section["text"]["text"] == "*al&lt;ice* leads"
    assert [button.get("style") for button in actions["elements"]] == ["primary", "danger"]
