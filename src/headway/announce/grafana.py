"""Annotations in Grafana: regions from beginning to end of rollouts, steps and ways back.

By Grafana's HTTP API for annotations (``/api/annotations``). An annotation is found again by a tag
with the span's id, so that a second try changes it instead of making another one.
"""

from html import escape
from pathlib import Path

from msgspec import Struct

from headway.announce.port import SHOWN, SPANS, Place
from headway.announce.wire import Wire, WiredAnnouncer
from headway.core.words import clean
from headway.model.announcement import Announcement, Occasion
from headway.model.source import Address

LONGEST_TEXT = 1000


class Grafana(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Grafana that gets annotations."""

    url: Address
    """Its address, without ``/api``."""
    token: Path
    """The file with the token of a service account that may read and write annotations."""
    occasions: tuple[Occasion, ...] = SPANS
    """What becomes an annotation."""

    def is_told_of(self, occasion: Occasion) -> bool:
        """Whether it is among those that are configured."""
        return occasion in self.occasions


class _Known(Struct):
    """An annotation that is there."""

    id: int


class GrafanaAnnouncer(WiredAnnouncer):
    """Annotates in one Grafana."""

    def __init__(self, config: Grafana, token: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        wire = Wire(config.name, config.url.rstrip("/"), config.timeout, headers)
        super().__init__(config, wire)

    async def announce(self, announcement: Announcement) -> None:
        """Make the annotation, or bring it to its end."""
        mark = _mark(announcement)
        found = await self._wire.ask(
            "GET",
            "/api/annotations",
            list[_Known],
            params=[("tags", mark), ("type", "annotation"), ("limit", "1")],
        )
        span = announcement.span
        told: dict[str, object] = {
            "text": _text(announcement),
            "tags": _tags(announcement, mark),
        }
        if span is not None and span.ended is not None:
            told["timeEnd"] = round(span.ended * 1000)
        if not found:
            told["time"] = round((span.began if span is not None else announcement.at) * 1000)
            await self._wire.send("POST", "/api/annotations", body=told)
        elif "timeEnd" in told:
            await self._wire.send("PATCH", f"/api/annotations/{found[0].id}", body=told)


def _mark(announcement: Announcement) -> str:
    span = announcement.span
    return f"headway:{span.id if span is not None else announcement.id}"


def _tags(announcement: Announcement, mark: str) -> list[str]:
    span = announcement.span
    tags = ["headway", announcement.occasion.value, f"app:{announcement.app}"]
    if span is None:
        return [*tags, f"kind:{announcement.occasion.value}", mark]
    # A whole rollout is of no tier, so that a tier's graph shows the steps that it saw.
    tiers = span.tiers if announcement.occasion is not Occasion.DEPLOY else ()
    return [
        *tags,
        f"kind:{span.kind.value}",
        *(f"tier:{tier}" for tier in tiers),
        f"build:{span.build[:SHOWN]}",
        *([f"outcome:{span.outcome}"] if span.outcome else []),
        mark,
    ]


def _text(announcement: Announcement) -> str:
    """Grafana shows text as HTML."""
    told = escape(clean(announcement.sentence)[:LONGEST_TEXT])
    who = announcement.span.by if announcement.span is not None else ""
    by = f"<br>by {escape(clean(who))}" if who else ""
    link = escape(announcement.link, quote=True)
    return f'{escape(announcement.app)}: {told}{by}<br><a href="{link}">Headway</a>'
