"""Outgoing webhooks, signed as in https://www.standardwebhooks.com: HMAC-SHA-256 over
``id.timestamp.body``, so that the receiver knows who speaks and can refuse what is old or twice."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from headway.announce.port import Place
from headway.announce.secret import read_token
from headway.announce.wire import Wire, WiredAnnouncer
from headway.errors import InvalidInput
from headway.model.announcement import Announcement, Occasion
from headway.model.source import Address

FEWEST_BYTES = 24
"""A secret that is shorter is none."""

_PREFIX = "whsec_"


class Webhook(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A place that is told by a POST of JSON."""

    url: Address
    """Where to send to."""
    secret: Path
    """The file with the secret that signs: 24 bytes at least, as ``whsec_`` and base64."""
    occasions: tuple[Occasion, ...] = ()
    """What it is told of; without any, everything."""

    def is_told_of(self, occasion: Occasion) -> bool:
        """Whether it is among those that are configured."""
        return not self.occasions or occasion in self.occasions


class WebhookAnnouncer(WiredAnnouncer):
    """Sends to one webhook. What comes twice has the same ``webhook-id``."""

    def __init__(
        self, config: Webhook, secret: bytes, clock: Callable[[], float] = time.time
    ) -> None:
        self._secret = secret
        self._clock = clock
        wire = Wire(config.name, config.url, config.timeout, clock=clock)
        super().__init__(config, wire)

    async def announce(self, announcement: Announcement) -> None:
        """Send it once. Raises Unreachable, or Refused where the receiver does not want it."""
        body = msgspec.json.encode(announcement)
        at = str(int(self._clock()))
        signed = {
            "webhook-id": announcement.id,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{sign(self._secret, announcement.id, at, body)}",
        }
        await self._wire.send("POST", body=body, headers=signed)


def sign(secret: bytes, id: str, timestamp: str, body: bytes) -> str:
    """The signature, in base64."""
    signed = id.encode() + b"." + timestamp.encode() + b"." + body
    return base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def read_secret(path: Path) -> bytes:
    """The secret in a file. Raises InvalidInput."""
    text = read_token(path, "webhook's secret")
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise InvalidInput(f"{path} holds no secret: write whsec_ and base64") from None
    if len(secret) < FEWEST_BYTES:
        raise InvalidInput(f"the secret in {path} is too short: {FEWEST_BYTES} bytes are the least")
    return secret
