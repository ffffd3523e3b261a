"""Nobody asks more often than the server can bear: a budget for each token, and for strangers.

Whoever has a token has a budget of its own, wherever it comes from; who has none shares that of the
address, and a smaller one for trying tokens that are not valid. Nodes are not counted: their own
routes are served before this, and a whole fleet may come from one address.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from headway.core.budget import Bucket, Rate, take
from headway.core.words import count
from headway.errors import Busy
from headway.server.auth.throttle import network

MOST_KEPT = 50_000
"""Beyond so many, the budget that was used longest ago is forgotten: that is, full again."""


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How often the API and the cockpit may be asked. Agents are not counted."""

    tokens: Rate = Rate(100.0, 3000)
    """For each token, wherever it is used from; 100 a second, and 3,000 at once, unless told."""
    addresses: Rate = Rate(100.0, 3000)
    """For each address, for what takes no token; as much. Of IPv6 a whole /64 counts as one."""
    failures: Rate = Rate(2.0, 200)
    """For each address, for requests without a token that is valid; 2 a second, 200 at once."""


class Whose(StrEnum):
    """Whose budget a request is taken from."""

    TOKEN = "token"  # noqa: S105 - whose budget it is, not a password
    ADDRESS = "address"
    FAILURE = "failure"


_TOO_MUCH = {
    Whose.TOKEN: "too many requests in your name",
    Whose.ADDRESS: "too many requests from this address",
    Whose.FAILURE: "too many requests from this address without a token that is valid",
}


class Turnstile:
    """Every budget, in memory. ``clock`` in seconds, from wherever it likes."""

    def __init__(self, limits: LimitSettings, clock: Callable[[], float]) -> None:
        self._rates = {
            Whose.TOKEN: limits.tokens,
            Whose.ADDRESS: limits.addresses,
            Whose.FAILURE: limits.failures,
        }
        self._clock = clock
        self._buckets: OrderedDict[tuple[Whose, str], Bucket] = OrderedDict()

    def pass_(self, whose: Whose, name: str) -> None:
        """Count a request, by the token's name or the address. Raises Busy, with a time to wait."""
        rate = self._rates[whose]
        if rate.per_second == 0:
            return
        key = whose, name if whose is Whose.TOKEN else network(name)
        self._buckets[key], wait = take(self._buckets.get(key), rate, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > MOST_KEPT:
            self._buckets.popitem(last=False)
        if wait > 0:
            after = math.ceil(wait)
            raise Busy(
                f"{_TOO_MUCH[whose]}: more than {rate.per_second:g} a second for longer than a "
                f"burst of {rate.burst:,}; try again in {count(after, 'second')}",
                after,
            )
