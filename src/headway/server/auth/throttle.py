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
from collections.abc import Callable, Mapping
from hashlib import sha256
from secrets import token_bytes, token_hex

from headway.core.budget import Bucket, Rate, take
from headway.errors import Busy

KEPT = 10_000
"""So many buckets at most are remembered; the one that was used longest ago is forgotten."""


BY_NAME = Rate(1 / 60, 10)
BY_ADDRESS = Rate(1 / 20, 30)
BY_BROWSER = Rate(1 / 60, 10)


class Throttled(Busy):
    """Too many attempts; ``after`` so many seconds there may be another. ``first`` of a series."""

    def __init__(self, after: float, first: bool) -> None:
        seconds = max(1, math.ceil(after))
        again = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
        super().__init__(
            f"too many attempts to sign in have failed; try again in {again}, or sign in with a"
            " token",
            seconds,
        )
        self.first = first


class Throttle:
    """All buckets, in this process's memory. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._told: set[str] = set()
        self._key = token_bytes(32)

    def mark(self, name: str) -> str:
        """What a browser that has signed in as ``name`` is known by from then on."""
        salt = token_hex(16)
        return f"{salt}.{self._seal(name, salt)}"

    def take(self, name: str, address: str, mark: str) -> Callable[[], None]:
        """Count an attempt; call what comes back when it succeeds. Raises Throttled."""
        salt, _, seal = mark.partition(".")
        if hmac.compare_digest(seal.encode("utf-8", "replace"), self._seal(name, salt).encode()):
            rates = {f"browser {mark}": BY_BROWSER}
        else:
            rates = {f"name {_short(name)}": BY_NAME, f"address {network(address)}": BY_ADDRESS}
        now, taken = self._clock(), {}
        for key, rate in rates.items():
            taken[key], wait = take(self._buckets.get(key), rate, now)
            if wait > 0:
                first = key not in self._told
                self._told.add(key)
                raise Throttled(wait, first)
        for key, bucket in taken.items():
            self._keep(key, bucket, rates[key])
        return lambda: self._give_back(rates)

    def _give_back(self, rates: Mapping[str, Rate]) -> None:
        for key, rate in rates.items():
            bucket = self._buckets.get(key)
            if bucket is not None:
                full = Bucket(min(rate.burst, bucket.left + 1), bucket.at)
                self._keep(key, full, rate)
                self._told.discard(key)

    def _keep(self, key: str, bucket: Bucket, rate: Rate) -> None:
        self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        if bucket.left > rate.burst / 2:
            self._told.discard(key)
        if len(self._buckets) > KEPT:
            self._told.discard(self._buckets.popitem(last=False)[0])

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
