"""What happens, as it happens: the server's event stream, resumed where it broke off."""

import random
import time
from collections.abc import Callable, Iterator

import msgspec

from headway.client.api import Client
from headway.errors import HeadwayError, Unreachable
from headway.model.journal import JournalEntry

PATIENCE_SECONDS = 600.0
"""How long a server may be away before following it is given up."""

LONGEST_PAUSE_SECONDS = 15.0


class FleetChanged(msgspec.Struct, frozen=True):
    """Nodes of ``app`` have reported something new."""

    app: str


class Disconnected(msgspec.Struct, frozen=True):
    """The stream broke off and is being resumed; nothing of the journal will be missing."""

    sentence: str


Happening = JournalEntry | FleetChanged | Disconnected


def follow(
    client: Client,
    after: int,
    *,
    patience: float = PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Happening]:
    """Everything that happens after the journal's entry ``after``, for ever.

    A first connection that fails raises Unreachable at once. A later one is tried again, with
    full jitter, until the server has been away for ``patience`` seconds.
    """
    last = str(after)
    heard: float | None = None
    failures = 0
    while True:
        try:
            with client.events(last) as events:
                heard, failures = clock(), 0
                for event in events:
                    heard = clock()
                    last = event.id or last
                    if (happening := _happening(event.event, event.data)) is not None:
                        yield happening
            lost = Unreachable(f"{client.url} ended the stream; resuming it")
        except Unreachable as error:
            if heard is None or clock() - heard > patience:
                raise
            lost = error
        yield Disconnected(lost.sentence)
        ceiling = min(LONGEST_PAUSE_SECONDS, 0.5 * 2 ** min(failures, 10))
        failures += 1
        sleep(random.uniform(0, ceiling))  # noqa: S311 - jitter, not a secret


def _happening(kind: str, data: str) -> Happening | None:
    """The event as a value; a kind that this version does not know is passed over."""
    try:
        if kind == "journal":
            return msgspec.json.decode(data, type=JournalEntry)
        if kind == "fleet":
            return msgspec.json.decode(data, type=FleetChanged)
    except msgspec.MsgspecError as error:
        raise HeadwayError(
            f"the event stream has a {kind} event that cannot be read: {error}"
        ) from None
    return None
