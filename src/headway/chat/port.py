"""What a chat network and Headway are to each other.

A network is level-triggered in its topic: it is told what should stand there, and sees to it that
it does. Messages are handed to it one batch after the other; it returns when they have arrived.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct


class Told(Struct, frozen=True):
    """One line for the channel; ``to`` are the users whom it calls, with their accounts there."""

    text: str
    to: dict[str, str] = {}


class Typed(Struct, frozen=True):
    """A line that somebody typed. ``account`` is who they are to the network, ``nick`` their name
    there; ``key`` tells a line that is delivered twice."""

    account: str
    nick: str
    text: str
    private: bool = False
    key: str = ""


Hear = Callable[[Typed], Awaitable[tuple[str, ...]]]
"""Takes in a line; the lines to answer it with, where it was typed."""

Gone = Callable[[str], Awaitable[None]]
"""Takes note that accounts whose name begins so may be somebody else's from now on."""


class Network(Protocol):
    """One channel of one network."""

    @property
    def name(self) -> str:
        """What tells its accounts from those of other networks."""

    @property
    def channel(self) -> str:
        """The channel that everything is told in."""

    @property
    def trouble(self) -> str:
        """Why nothing comes through at present, or an empty string."""

    async def run(self, hear: Hear, gone: Gone) -> None:
        """Be there until cancelled, whatever breaks off."""

    async def deliver(self, lines: Sequence[Told]) -> None:
        """Say something to everybody; returns when the network has taken it all."""

    def show(self, line: str, leader: str, choices: Sequence[str]) -> None:
        """Let ``line`` stand as the topic; ``choices`` are the leader's next commands."""

    def fit(self) -> tuple[int, Callable[[str], int]]:
        """How long a topic may be, and what counts its length."""
