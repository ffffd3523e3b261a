"""What it takes to tell people in one place: a webhook, a chat.

    announce(announcement)      close()

An announcer tries once. Unreachable means: try again later; every other HeadwayError: it will not
get better by itself. One announcement may come twice, with the same id.
"""

from typing import Protocol

from headway.model.announcement import Announcement


class Announcer(Protocol):
    """One place."""

    @property
    def name(self) -> str:
        """What operators call it."""

    def wants(self, announcement: Announcement) -> bool:
        """Whether this is for this place."""

    async def announce(self, announcement: Announcement) -> None:
        """Tell it. Raises Unreachable to be called again, or another HeadwayError to give up."""

    async def close(self) -> None:
        """Give back what it holds."""
