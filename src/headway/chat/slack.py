"""Slack, over Socket Mode: Headway calls Slack, so nothing needs to be reachable from outside.

The library (slack-bolt) keeps the socket up and answers for every event that it has received. A
message whose post Slack has not confirmed is posted again, and says so.
"""

import asyncio
import json
import logging
import random
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from headway.chat.pace import Pace, Patience
from headway.chat.port import Gone, Hear, Told, Typed
from headway.chat.secret import secret
from headway.chat.settings import SlackSettings
from headway.chat.topic import SLACK_CHARACTERS
from headway.errors import HeadwayError

BUTTON = "headway"
LONGEST_PAUSE_SECONDS = 60.0
AGAIN = "(again) "

log = structlog.get_logger()


class Slack:
    """Implements ``headway.chat.port.Network``."""

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self._pace = Pace(settings.pace)
        self._patience = Patience()
        # The library's own second try would say a line twice without a word of it.
        self._web = AsyncWebClient(
            secret(settings.bot_token_file),
            base_url=settings.api,
            logger=_quiet(),
            retry_handlers=[],
        )
        self._ready = asyncio.Event()
        self._changed = asyncio.Event()
        self._wanted: tuple[str, str, tuple[str, ...]] | None = None
        self._topic = ""
        self._offered: tuple[str, tuple[str, ...]] = ("", ())
        self._buttons = ""
        self._trouble = "not connected yet"

    @property
    def name(self) -> str:
        """What tells its accounts from those of other workspaces."""
        return self._settings.name

    @property
    def channel(self) -> str:
        """The channel's id."""
        return self._settings.channel

    @property
    def trouble(self) -> str:
        """Why nothing comes through at present, or an empty string."""
        return self._trouble

    def fit(self) -> tuple[int, Callable[[str], int]]:
        """A topic's length is counted in characters."""
        return SLACK_CHARACTERS, len

    def show(self, line: str, leader: str, choices: Sequence[str]) -> None:
        """Let ``line`` stand as the topic, and offer ``choices`` to the leader as buttons."""
        self._wanted = (line, leader, tuple(choices))
        self._changed.set()

    async def run(self, hear: Hear, gone: Gone) -> None:
        """Be connected; the library comes back by itself."""
        app = AsyncApp(client=self._web, logger=_quiet())
        self._listen(app, hear)
        handler = AsyncSocketModeHandler(
            app, secret(self._settings.app_token_file), web_client=self._web
        )
        keeping = asyncio.create_task(self._keep())
        try:
            await self._patiently(self._look, "conversations.info")
            await handler.connect_async()  # type: ignore[no-untyped-call]
            self._trouble = ""
            self._ready.set()
            self._changed.set()
            await keeping
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await handler.close_async()  # type: ignore[no-untyped-call]

    async def deliver(self, lines: Sequence[Told]) -> None:
        """Post each line; returns when Slack has confirmed it."""
        await self._ready.wait()
        for line in lines:
            text = _mentioning(line)

            async def post(again: bool, text: str = text) -> None:
                await self._pace()
                await self._web.chat_postMessage(
                    channel=self.channel, text=(AGAIN if again else "") + text
                )

            await self._patiently(post, "chat.postMessage")

    def _listen(self, app: AsyncApp, hear: Hear) -> None:
        @app.event("message")
        async def on_message(event: dict[str, Any], body: dict[str, Any]) -> None:
            subtype, user = event.get("subtype"), str(event.get("user", ""))
            private = event.get("channel_type") == "im"
            if subtype == "channel_topic" and event.get("channel") == self.channel:
                self._topic = _plain(str(event.get("topic", "")))
                self._changed.set()
                return
            here = private or event.get("channel") == self.channel
            if subtype is not None or not user or not here or event.get("bot_id"):
                return
            text = _plain(str(event.get("text", "")))
            typed = Typed(user, user, text, private, str(body.get("event_id", "")))
            await self._answer(typed, hear, str(event.get("channel", "")))

        @app.action(re.compile(BUTTON))
        async def on_press(ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
            await ack()
            user = str(body.get("user", {}).get("id", ""))
            key = f"{user}/{action.get('action_ts', '')}"
            typed = Typed(user, user, str(action.get("value", "")), False, key)
            await self._answer(typed, hear, self.channel)

    async def _answer(self, typed: Typed, hear: Hear, where: str) -> None:
        too_many = self._patience.count(typed.account)
        if too_many > 1:
            return
        if too_many:
            replies: tuple[str, ...] = ("that was a lot at once; wait ten seconds",)
        else:
            try:
                replies = await hear(typed)
            except HeadwayError as error:
                replies = (error.sentence,)
        for reply in replies:
            await self._pace()
            post = partial(self._web.chat_postMessage, channel=where, text=_escaped(reply))
            if not typed.private:
                post = partial(
                    self._web.chat_postEphemeral,
                    channel=where,
                    user=typed.account,
                    text=_escaped(reply),
                )
            with suppress(SlackApiError, aiohttp.ClientError, TimeoutError):
                await post()

    async def _look(self, _: bool) -> None:
        answer = await self._web.conversations_info(channel=self.channel)
        channel: dict[str, Any] = answer.get("channel") or {}
        self._topic = _plain(str(channel.get("topic", {}).get("value", "")))

    async def _keep(self) -> None:
        """Whenever the topic or the buttons are not what they should be, set them."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._ready.wait()
            if self._wanted is None:
                continue
            line, leader, choices = self._wanted
            if line != self._topic:
                await self._patiently(self._set_topic, "conversations.setTopic")
            if (leader, choices) != self._offered:
                await self._patiently(self._offer, "buttons")

    async def _set_topic(self, _: bool) -> None:
        assert self._wanted is not None  # noqa: S101 - only called for one
        await self._pace()
        line = self._wanted[0]
        await self._web.conversations_setTopic(channel=self.channel, topic=_escaped(line))
        self._topic = line

    async def _offer(self, _: bool) -> None:
        """Put buttons below a new message, and take them from the one before it."""
        assert self._wanted is not None  # noqa: S101 - only called for one
        leader, choices = self._wanted[1:]
        old, self._buttons = self._buttons, ""
        if old:
            await self._pace()
            await self._web.chat_delete(channel=self.channel, ts=old)
        if leader and choices:
            await self._pace()
            answer = await self._web.chat_postMessage(
                channel=self.channel, text=f"{leader} leads", blocks=blocks(leader, choices)
            )
            self._buttons = str(answer.get("ts", ""))
        self._offered = (leader, choices)

    async def _patiently(self, work: Callable[[bool], Any], what: str) -> None:
        """Do one thing until Slack has done it; ``work`` is told whether it may be done already."""
        failures, again = 0, False
        while True:
            try:
                await work(again)
            except SlackApiError as error:
                wait = _asked_to_wait(error)
                if wait is None:
                    self._trouble = f"slack refuses {what}: {_reason(error)}"
                    log.warning("slack refuses", what=what, why=_reason(error))
                    return
            except (aiohttp.ClientError, OSError, TimeoutError, json.JSONDecodeError) as error:
                ceiling = min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 8))
                wait = random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret
                failures += 1
                again = again or not isinstance(error, aiohttp.ClientConnectorError)
                self._trouble = f"slack does not answer: {error or type(error).__name__}"
                log.warning("slack does not answer", what=what, why=str(error))
            else:
                self._trouble = ""
                return
            await asyncio.sleep(wait)


def blocks(leader: str, choices: Sequence[str]) -> list[dict[str, Any]]:
    """Block Kit: who leads, and a button for each of the leader's next commands."""
    styles = {".revert": "danger", ".uhoh": "danger"}
    buttons = [
        {
            "type": "button",
            "action_id": f"{BUTTON}-{index}",
            "text": {"type": "plain_text", "text": choice},
            "value": choice,
        }
        | ({"style": styles[choice]} if choice in styles else {})
        | ({"style": "primary"} if index == 0 else {})
        for index, choice in enumerate(choices)
    ]
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"*{_escaped(leader)}* leads"}},
        {"type": "actions", "elements": buttons},
    ]


def _mentioning(line: Told) -> str:
    """A line with Slack's mentions in place of the names that it calls."""
    text = _escaped(line.text)
    for name, account in line.to.items():
        text = re.sub(rf"(?<![\w.@-]){re.escape(_escaped(name))}(?![\w@-])", f"<@{account}>", text)
    return text


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """A text of Slack's as it was typed; a mention becomes ``@`` and the account."""
    text = re.sub(r"<@([A-Z0-9]{1,32})(?:\|[^>]*)?>", r"@\1", text)
    text = re.sub(r"<(?:[#!][^|>]*\|)?([^>]*)>", r"\1", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _asked_to_wait(error: SlackApiError) -> float | None:
    """How long Slack asks to wait; None when waiting would not help."""
    if getattr(error.response, "status_code", 0) != 429:
        return None
    headers = {key.lower(): value for key, value in error.response.headers.items()}
    try:
        return min(float(headers.get("retry-after", 1)), 600.0)
    except ValueError:
        return LONGEST_PAUSE_SECONDS


def _reason(error: SlackApiError) -> str:
    return str(error.response.get("error", "unknown"))[:100]


def _quiet() -> logging.Logger:
    """The library's log is not ours: it has tokens' beginnings and whole messages in it."""
    logger = logging.getLogger("headway.slack")
    logger.setLevel(logging.ERROR)
    return logger
