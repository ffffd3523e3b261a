"""The types of names, digests and amounts, with the patterns that bound them."""

from typing import Annotated

from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,62}\Z")]
"""An app, tier, zone, plan, metric or role: lower case, at most 63 characters."""

NodeName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")]
"""A node, usually its host name."""

Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""sha256 in lower-case hexadecimal."""

BuildId = Digest
"""A build's id: the sha256 of the canonical bytes of its root's listing."""

Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
"""A share of a tier; the nodes whose position is below it."""

Seconds = Annotated[float, Meta(ge=0.0)]
"""A duration in seconds. Points in time are ``float`` seconds since the epoch, UTC."""

Amount = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=r"\A\d{1,3}(\.\d{1,3})?%\Z")]
"""A number of nodes, or a share of them written as a percentage: ``3`` or ``"20%"``."""

Text = Annotated[str, Meta(max_length=2000)]
"""A sentence from a person or a program; untrusted, escaped wherever it is shown."""


def share(amount: Amount, of: int) -> int:
    """How many of ``of`` nodes an amount means; a percentage is rounded down."""
    if isinstance(amount, int):
        return min(amount, of)
    return int(of * float(amount[:-1]) / 100 + 1e-9)
