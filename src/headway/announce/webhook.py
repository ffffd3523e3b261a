"""Outgoing webhooks, signed as in https://www.standardwebhooks.com: HMAC-SHA-256 over
``id.timestamp.body``, so that the receiver knows who speaks and can refuse what is old or twice."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import httpx2
import msgspec
from msgspec import Meta, Struct

from headway.errors import InvalidInput, Refused, Unreachable
from headway.model.announcement import Announcement, Occasion
from headway.model.names import Name
from headway.model.source import Address

FEWEST_BYTES = 24
"""A secret that is shorter is none."""

_PREFIX = "whsec_"


class Webhook(Struct, frozen=True, forbid_unknown_fields=True):
    """A place that is told by a POST of JSON."""

    name: Name
    """What the list of deliveries calls it."""
    url: Address
    """Where to send to."""
    secret: Path
    """The file with the secret that signs: 24 bytes at least, as ``whsec_`` and base64."""
    apps: tuple[Name, ...] = ()
    """The apps whose news it gets; without any, all."""
    occasions: tuple[Occasion, ...] = ()
    """What it is told of; without any, everything."""
    timeout: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """How many seconds an answer may take."""


class WebhookAnnouncer:
    """Sends to one webhook. A redirect is not followed: what is signed is for one address."""

    def __init__(
        self, config: Webhook, secret: bytes, clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._secret = secret
        self._clock = clock
        self._client = httpx2.AsyncClient(
            timeout=config.timeout, trust_env=False, follow_redirects=False
        )

    @property
    def name(self) -> str:
        """The webhook's name."""
        return self._config.name

    def wants(self, announcement: Announcement) -> bool:
        """Whether app and occasion are among those configured."""
        ours = self._config
        return (not ours.apps or announcement.app in ours.apps) and (
            not ours.occasions or announcement.occasion in ours.occasions
        )

    async def announce(self, announcement: Announcement) -> None:
        """Send it once. Raises Unreachable, or Refused where the receiver does not want it."""
        body = msgspec.json.encode(announcement)
        at = str(int(self._clock()))
        headers = {
            "content-type": "application/json",
            "webhook-id": announcement.id,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{sign(self._secret, announcement.id, at, body)}",
        }
        try:
            async with (
                asyncio.timeout(self._config.timeout),
                self._client.stream(
                    "POST", self._config.url, content=body, headers=headers
                ) as response,
            ):
                status = response.status_code
        except TimeoutError:
            told = f"{self.name} did not answer within {self._config.timeout:g} s"
            raise Unreachable(told) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            told = f"{self.name} cannot be reached: {error or type(error).__name__}"
            raise Unreachable(told) from None
        if status in (408, 425, 429) or status >= 500:
            raise Unreachable(f"{self.name} answers {status}")
        if not 200 <= status < 300:
            raise Refused(f"{self.name} does not want it ({status})")

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def sign(secret: bytes, id: str, timestamp: str, body: bytes) -> str:
    """The signature, in base64."""
    signed = id.encode() + b"." + timestamp.encode() + b"." + body
    return base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def read_secret(path: Path) -> bytes:
    """The secret in a file. Raises InvalidInput."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the webhook's secret {path} cannot be read: {error}") from None
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise InvalidInput(f"{path} holds no secret: write whsec_ and base64") from None
    if len(secret) < FEWEST_BYTES:
        raise InvalidInput(f"the secret in {path} is too short: {FEWEST_BYTES} bytes are the least")
    return secret
