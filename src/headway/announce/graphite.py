"""Events in Graphite: one where something begins, and one where it ends.

By the events API of graphite-web (``POST /events/``, looked up with ``/events/get_data``). Graphite
gives no id back; an event is found again by a tag with the announcement's own.
"""

from pathlib import Path

from msgspec import Struct

from headway.announce.port import SHOWN, SPANS, Place
from headway.announce.wire import Wire, WiredAnnouncer
from headway.core.words import clean
from headway.model.announcement import Announcement, Occasion
from headway.model.source import Address

LONGEST_WHAT = 255
LONGEST_TAG = 50
LONGEST_TAGS = 255
"""What the columns of Graphite's database take, in characters."""


class Graphite(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Graphite that gets events."""

    url: Address
    """The address of graphite-web."""
    user: str | None = None
    """The user's name, where a proxy asks for basic authentication."""
    password: Path | None = None
    """The file with the user's password."""
    occasions: tuple[Occasion, ...] = SPANS
    """What becomes an event."""

    def is_told_of(self, occasion: Occasion) -> bool:
        """Whether it is among those that are configured."""
        return occasion in self.occasions


class _Known(Struct):
    """An event that is there."""

    id: int = 0


class GraphiteAnnouncer(WiredAnnouncer):
    """Posts events to one Graphite."""

    def __init__(self, config: Graphite, password: str = "") -> None:
        auth = (config.user, password) if config.user is not None else None
        wire = Wire(config.name, config.url.rstrip("/"), config.timeout, auth=auth)
        super().__init__(config, wire)

    async def announce(self, announcement: Announcement) -> None:
        """Post the event, unless it is there."""
        when = int(announcement.at)
        found = await self._wire.ask(
            "GET",
            "/events/get_data",
            list[_Known],
            params=[
                ("tags", announcement.id),
                ("from", str(when - 1)),
                ("until", str(when + 1)),
            ],
        )
        if found:
            return
        sentence = clean(announcement.sentence)
        event = {
            "what": f"{announcement.app}: {sentence}"[:LONGEST_WHAT],
            "tags": _tags(announcement),
            "when": when,
            "data": f"{sentence}\n{announcement.link}",
        }
        await self._wire.send("POST", "/events/", body=event)


def _tags(announcement: Announcement) -> list[str]:
    """Words, the most useful first; the id is always among them."""
    span = announcement.span
    tags = [announcement.id, "headway", announcement.occasion.value, announcement.app]
    if span is not None:
        tags += [span.kind.value, "end" if span.ended is not None else "begin"]
        tags += [span.outcome, span.build[:SHOWN]]
        tags += span.tiers if announcement.occasion is not Occasion.DEPLOY else ()
    kept: list[str] = []
    for tag in dict.fromkeys(tag[:LONGEST_TAG] for tag in tags if tag):
        if len(" ".join([*kept, tag])) <= LONGEST_TAGS:
            kept.append(tag)
    return kept
