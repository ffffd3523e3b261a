"""Slack as a bot sees it: the web API and the socket of Socket Mode, on a port of this machine.

Written from Slack's documented shapes. It is strict where Slack is: tokens, lengths, rate limits.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from aiohttp import WSMsgType, web

BOT, APP = "xoxb-bot", "xapp-app"
CHANNEL = "C0PUSH"


class FakeSlack:
    def __init__(self) -> None:
        self.url = ""
        self.topic = "something old"
        self.messages: list[dict[str, Any]] = []
        self.ephemeral: list[tuple[str, str]] = []
        self.deleted: list[str] = []
        self.acks: list[str] = []
        self.calls: list[str] = []
        self.limited = 0
        self.swallow = 0
        self.sockets: set[web.WebSocketResponse] = set()
        self.connections = 0
        self._ids = count(1)
        self.changed = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages if "blocks" not in message]

    @property
    def buttons(self) -> list[str]:
        """The values of the buttons that stand in the channel."""
        return [
            element["value"]
            for message in self.messages
            if message["ts"] not in self.deleted
            for block in message.get("blocks", ())
            if block["type"] == "actions"
            for element in block["elements"]
        ]

    async def api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls.append(method)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        is_json = request.content_type == "application/json"
        body: dict[str, Any] = await request.json() if is_json else dict(await request.post())
        given = {**body, **request.query}
        try:
            return await self._answer(method, token, given, request)
        finally:
            self.changed.set()

    async def _answer(
        self, method: str, token: str, given: dict[str, Any], request: web.Request
    ) -> web.Response:
        if method == "apps.connections.open":
            if token != APP:
                return _error("invalid_auth")
            return _ok(url=self.url.replace("http", "ws", 1) + "link")
        if token != BOT:
            return _error("invalid_auth")
        if method == "auth.test":
            return _ok(user_id="UBOT", bot_id="BBOT", team_id="T1", user="headway", team="t")
        if self.limited:
            self.limited -= 1
            limited = {"ok": False, "error": "ratelimited"}
            return web.json_response(limited, status=429, headers={"Retry-After": "1"})
        if given.get("channel") not in (CHANNEL, "D1"):
            return _error("channel_not_found")
        match method:
            case "conversations.info":
                return _ok(channel={"id": CHANNEL, "topic": {"value": self.topic}})
            case "conversations.setTopic":
                topic = str(given["topic"])
                plain = topic.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
                if len(plain) > 250:
                    return _error("too_long")
                self.topic = topic
                return _ok()
            case "chat.postMessage":
                message = {**given, "ts": f"{next(self._ids)}.0"}
                self.messages.append(message)
                if self.swallow:
                    self.swallow -= 1
                    assert request.transport is not None
                    request.transport.abort()
                return _ok(ts=message["ts"])
            case "chat.postEphemeral":
                self.ephemeral.append((str(given["user"]), str(given["text"])))
                return _ok()
            case "chat.delete":
                self.deleted.append(str(given["ts"]))
                return _ok()
        return _error("unknown_method")

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self.sockets.add(socket)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self.changed.set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.acks.append(json.loads(message.data).get("envelope_id", ""))
                    self.changed.set()
        finally:
            self.sockets.discard(socket)
        return socket

    async def send(self, kind: str, payload: dict[str, Any]) -> str:
        envelope = f"e{next(self._ids)}"
        message = {
            "type": kind,
            "envelope_id": envelope,
            "payload": payload,
            "accepts_response_payload": False,
        }
        for socket in list(self.sockets)[:1]:
            await socket.send_json(message)
        return envelope

    async def types(self, user: str, text: str, channel: str = CHANNEL, key: str = "") -> str:
        """Somebody types; the envelope's id."""
        event = {
            "type": "message",
            "user": user,
            "text": text,
            "channel": channel,
            "channel_type": "im" if channel.startswith("D") else "channel",
            "ts": f"{next(self._ids)}.1",
        }
        body = {
            "type": "event_callback",
            "event_id": key or f"Ev{next(self._ids)}",
            "event": event,
            "team_id": "T1",
            "api_app_id": "A1",
            "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
        }
        return await self.send("events_api", body)

    async def presses(self, user: str, value: str) -> str:
        action = {
            "type": "button",
            "action_id": "headway-0",
            "block_id": "b",
            "value": value,
            "action_ts": f"{next(self._ids)}.2",
        }
        body = {
            "type": "block_actions",
            "user": {"id": user, "team_id": "T1"},
            "team": {"id": "T1"},
            "api_app_id": "A1",
            "channel": {"id": CHANNEL},
            "actions": [action],
            "response_url": self.url + "response",
            "trigger_id": "t",
        }
        return await self.send("interactive", body)

    async def cut(self) -> None:
        """Close every socket, as Slack does now and then."""
        for socket in list(self.sockets):
            await socket.close()

    async def until(self, condition: Any, seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                try:
                    async with asyncio.timeout(0.1):
                        await self.changed.wait()
                except TimeoutError:
                    continue


@asynccontextmanager
async def fake_slack() -> AsyncIterator[FakeSlack]:
    slack = FakeSlack()
    app = web.Application()
    app.router.add_get("/link", slack.link)
    app.router.add_route("*", "/{method}", slack.api)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    slack.url = f"http://127.0.0.1:{port}/"
    try:
        yield slack
    finally:
        await slack.cut()
        await runner.cleanup()


def _ok(**facts: Any) -> web.Response:
    return web.json_response({"ok": True, **facts})


def _error(error: str) -> web.Response:
    return web.json_response({"ok": False, "error": error})
