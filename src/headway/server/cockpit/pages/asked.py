"""What people ask of a page: the filters in its address, and the fields of its forms."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from headway.errors import InvalidInput
from headway.server.cockpit.site import AnyRequest

MOST_TEXT = 2000
"""So many characters of a field are taken in."""

DAY_SECONDS = 86400.0

T = TypeVar("T")


class Typed(dict[str, str]):
    """The fields of a form. One that was not sent reads as empty, and of one that was sent several
    times each value stands on a line of its own."""

    def __missing__(self, field: str) -> str:
        return ""


async def typed(request: AnyRequest) -> Typed:
    """The form that was sent, without its seal; whatever is not text is left out."""
    form = await request.form()
    sent = Typed()
    for field in form:
        values = [value for value in form.getall(field) if isinstance(value, str)]
        if field != "csrf":
            sent[field] = "\n".join(value.strip() for value in values)[:MOST_TEXT]
    return sent


def reason(form: Typed, deed: str) -> str:
    """Why somebody does what hurts. Raises InvalidInput without a reason."""
    if not form["reason"]:
        raise InvalidInput(f"say why you {deed}; everybody reads it in the journal")
    return form["reason"]


def request(kind: type[T], **values: Any) -> T:
    """What the API would take for these values. Raises InvalidInput as the API does."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{error}") from None


def asked(given: str | None) -> str:
    """A filter of an address, without what surrounds it."""
    return (given or "").strip()[:200]


def number(given: str | None) -> int | None:
    """A cursor of an address. Raises InvalidInput."""
    text = asked(given)
    if text and not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise InvalidInput("the address is not one that a page has led to; begin at the newest")
    return int(text) if text else None


def day(given: str | None, *, end: bool = False) -> float | None:
    """The first second of a day in UTC, or the first after it. Raises InvalidInput."""
    text = asked(given)
    if not text:
        return None
    try:
        begin = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return (begin + timedelta(days=1 if end else 0)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text[:40]!a} is not a day; write it like 2026-12-24") from None


def moment(given: str) -> float | None:
    """A day and time in UTC, as a field for both sends it. Raises InvalidInput."""
    if not given:
        return None
    try:
        return datetime.fromisoformat(given).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{given[:40]!a} is not a day and time; write it like 2026-12-24T18:00"
        ) from None


def address(app: str, *parts: str, **filters: str) -> str:
    """Where a page of an app is, with those filters that are set."""
    path = "/".join(["/apps", quote(app, safe=""), *(quote(part, safe="") for part in parts)])
    given = {name: value for name, value in filters.items() if value}
    return f"{path}?{urlencode(given, errors='replace')}" if given else path
