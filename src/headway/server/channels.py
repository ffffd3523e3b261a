"""Every channel that is configured, kept up while the control plane acts."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog

from headway.chat.irc import Irc
from headway.chat.port import Network
from headway.chat.settings import ChatSettings, IrcSettings
from headway.errors import InvalidInput
from headway.server.channel import Channel
from headway.server.plane import ControlPlane

log = structlog.get_logger()


@asynccontextmanager
async def channels(plane: ControlPlane, settings: Iterable[ChatSettings]) -> AsyncIterator[None]:
    """Be in every channel meanwhile. Raises InvalidInput for one that cannot be set up."""
    found = [
        Channel(network_of(one), one.app, plane.chat, plane.database, plane.news)
        for one in settings
    ]
    tasks = [asyncio.create_task(channel.run()) for channel in found]
    for task in tasks:
        task.add_done_callback(_ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def network_of(settings: ChatSettings) -> Network:
    """The network of a channel. Raises InvalidInput when its library is missing."""
    if isinstance(settings, IrcSettings):
        return Irc(settings)
    try:
        from headway.chat.slack import Slack  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise InvalidInput("Slack takes more than headway: install headway[slack]") from None
    return Slack(settings)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a channel has ended", exc_info=error)
