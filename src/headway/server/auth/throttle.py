"""Slows down whoever guesses passwords, and nobody else.

Three buckets are filled at a steady rate, and each attempt takes a drop from two of them, which it
gets back when it succeeds: that of the address, and that of the name. Nobody can be locked out of
a name by strangers who guess it: a browser that has signed in under the name before brings a mark
along (https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies), and
has a bucket of its own instead of both. Tokens and providers are not slowed down at all.
"""

import hmac
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from secrets import token_bytes, token_hex

from msgspec import Struct

from headway.errors import Busy

KEPT = 10_000
"""So many buckets at most are remembered; the one that was used longest ago is forgotten."""


class Rate(Struct, frozen=True):
    """``burst`` attempts at once, and one more for every ``seconds``."""

    burst: int
    seconds: float


BY_NAME = Rate(10, 60.0)
BY_ADDRESS = Rate(30, 20.0)
BY_BROWSER = Rate(10, 60.0)


class Throttled(Busy):
    """Too many attempts; ``seconds`` later there may be another. ``first`` of a series of them."""

    def __init__(self, seconds: float, first: bool) -> None:
        self.seconds = max(1, math.ceil(seconds))
        self.first = first
        again = f"{self.seconds} s" if self.seconds < 120 else f"{self.seconds // 60} min"
        super().__init__(
            f"too many attempts to sign in have failed; try again in {again}, or sign in with a"
            " token"
        )


class _Bucket(Struct):
    drops: float
    at: float
    told: bool = False


class Throttle:
    """All buckets, in this process's memory. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._key = token_bytes(32)

    def mark(self, name: str) -> str:
        """What a browser that has signed in as ``name`` is known by from then on."""
        salt = token_hex(16)
        return f"{salt}.{self._seal(name, salt)}"

    def take(self, name: str, address: str, mark: str) -> Callable[[], None]:
        """Count an attempt; call what comes back when it succeeds. Raises Throttled."""
        now = self._clock()
        salt, _, seal = mark.partition(".")
        if hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(name, salt).encode()):
            wanted = {f"browser {mark}": BY_BROWSER}
        else:
            wanted = {f"name {_short(name)}": BY_NAME, f"address {network(address)}": BY_ADDRESS}
        buckets = [(self._bucket(key, rate, now), rate) for key, rate in wanted.items()]
        for bucket, rate in buckets:
            if bucket.drops < 1:
                first, bucket.told = not bucket.told, True
                raise Throttled((1 - bucket.drops) * rate.seconds, first)
        for bucket, _ in buckets:
            bucket.drops -= 1

        def give_back() -> None:
            for bucket, rate in buckets:
                bucket.drops = min(rate.burst, bucket.drops + 1)
                bucket.told = False

        return give_back

    def _bucket(self, key: str, rate: Rate, now: float) -> _Bucket:
        bucket = self._buckets.setdefault(key, _Bucket(rate.burst, now))
        self._buckets.move_to_end(key)
        if len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        bucket.drops = min(rate.burst, bucket.drops + max(0.0, now - bucket.at) / rate.seconds)
        bucket.at = now
        if bucket.drops > rate.burst / 2:
            bucket.told = False
        return bucket

    def _seal(self, name: str, salt: str) -> str:
        text = f"{salt} {name}".encode("utf-8", "replace")
        return hmac.new(self._key, text, sha256).hexdigest()


def network(address: str) -> str:
    """Whom an address belongs to: of IPv6 everybody has a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed, 64), strict=False))
    return str(parsed)


def _short(name: str) -> str:
    """A name of whatever length, as a key."""
    return sha256(name.encode("utf-8", "replace")).hexdigest()
