"""What it takes to tell people in one place: a webhook, a graph, a forge.

    announce(announcement)      close()

An announcer tries once. Unreachable means: try again later (Busy: not before it says), and so does
Denied; every other HeadwayError: it will not get better by itself. One announcement may come twice,
with the same id, and an end may come before its beginning; people see the same in any case.
"""

from typing import Annotated, Protocol

from msgspec import Meta, Struct

from headway.model.announcement import Announcement, Occasion
from headway.model.names import Name


class Place(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every place has."""

    name: Name
    """What the list of deliveries calls it."""
    apps: tuple[Name, ...] = ()
    """The apps whose news it gets; without any, all."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """How many seconds an answer may take."""

    def wants(self, announcement: Announcement) -> bool:
        """Whether it is of one of the place's apps, and of what the place is told."""
        ours = not self.apps or announcement.app in self.apps
        return ours and self.is_told_of(announcement.occasion)

    def is_told_of(self, occasion: Occasion) -> bool:
        """Whether such things are told here at all."""
        raise NotImplementedError


class Announcer(Protocol):
    """One place."""

    @property
    def name(self) -> str:
        """What operators call it."""

    def wants(self, announcement: Announcement) -> bool:
        """Whether this is for this place."""

    async def announce(self, announcement: Announcement) -> None:
        """Tell it. Raises Unreachable or Denied to be called again, others to give up."""

    async def close(self) -> None:
        """Give back what it holds."""


SPANS = (Occasion.DEPLOY, Occasion.STEP, Occasion.RETURN)
"""What has a beginning and an end."""

SHOWN = 12
"""So many characters of a build's id are shown, as everywhere."""
