"""How often somebody may ask: a bucket of tokens that fills at a steady rate.

Source: the token bucket of RFC 3290, A.3; every request takes one token.
"""

from typing import Annotated

from msgspec import Meta, Struct


class Rate(Struct, frozen=True, forbid_unknown_fields=True):
    """So many requests a second for ever, and so many at once. 0 a second sets no limit."""

    per_second: Annotated[float, Meta(ge=0.0, le=1e6)]
    """How many requests a second may go on for ever; 0 for no limit."""
    burst: Annotated[int, Meta(ge=1, le=1_000_000)]
    """How many may come at once, after a time without any."""


class Bucket(Struct, frozen=True):
    """What was left of a burst ``at`` a time, in seconds."""

    left: float
    at: float


def take(bucket: Bucket | None, rate: Rate, now: float) -> tuple[Bucket, float]:
    """One request: the bucket after it, and 0, or else the seconds until there may be another.

    Nobody's first bucket is full. A refused request takes nothing, and a clock that goes back
    fills nothing.
    """
    if rate.per_second == 0:
        return Bucket(rate.burst, now), 0.0
    if bucket is None:
        bucket = Bucket(rate.burst, now)
    left = min(rate.burst, bucket.left + max(0.0, now - bucket.at) * rate.per_second)
    if left >= 1:
        return Bucket(left - 1, now), 0.0
    return Bucket(left, now), (1 - left) / rate.per_second
