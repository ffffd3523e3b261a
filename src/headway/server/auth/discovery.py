"""What a provider says about itself, and the keys that it signs with; both are kept for a while."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import structlog
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, KeySet

from headway.errors import HeadwayError, Unreachable
from headway.server.config import OidcSettings

KEPT_SECONDS = 3600.0
PAUSE_SECONDS = 5.0
"""Nothing is asked for again so soon, whether it was answered or not."""

WELL_KNOWN = "/.well-known/openid-configuration"
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")

log = structlog.get_logger()


class Discovery:
    """Asks the provider (OpenID Connect Discovery 1.0, section 4), one question at a time."""

    def __init__(
        self,
        settings: OidcSettings,
        client: Callable[[], AsyncOAuth2Client],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._asking = asyncio.Lock()
        self._metadata: Mapping[str, Any] | None = None
        self._keys: KeySet | None = None
        self._asked_at: dict[str, float] = {}
        self._found_at: dict[str, float] = {}

    async def metadata(self) -> Mapping[str, Any]:
        """Its addresses and abilities. Raises Unreachable."""
        async with self._asking:
            if self._is_older("metadata", KEPT_SECONDS):
                found = await self._ask("metadata", self._settings.issuer.rstrip("/") + WELL_KNOWN)
                if found is not None:
                    self._check(found)
                    self._metadata, self._found_at["metadata"] = found, self._clock()
            if self._metadata is None:
                raise silent(self._settings)
            return self._metadata

    async def keys(self, *, anew: bool = False) -> KeySet:
        """Its public keys; ``anew`` when one is not among those that are kept."""
        metadata = await self.metadata()
        async with self._asking:
            if self._is_older("keys", PAUSE_SECONDS if anew else KEPT_SECONDS):
                found = await self._ask("keys", metadata["jwks_uri"])
                keys = _key_set(found) if found is not None else None
                if keys is not None:
                    self._keys, self._found_at["keys"] = keys, self._clock()
            if self._keys is None:
                raise silent(self._settings)
            return self._keys

    def _is_older(self, what: str, seconds: float) -> bool:
        """Whether an answer was got so long ago, or never."""
        return self._clock() >= self._found_at.get(what, -seconds) + seconds

    async def _ask(self, what: str, url: str) -> Mapping[str, Any] | None:
        """An answer in JSON; None without one, or so soon after the last question."""
        now = self._clock()
        if now < self._asked_at.get(what, -PAUSE_SECONDS) + PAUSE_SECONDS:
            return None
        self._asked_at[what] = now
        try:
            async with self._client() as client:
                answer = await client.request("GET", url, withhold_token=True)
            answer.raise_for_status()
            found = answer.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            log.warning("the provider does not answer", url=url, why=str(error))
            return None
        return found if isinstance(found, dict) else None

    def _check(self, metadata: Mapping[str, Any]) -> None:
        """Raises Unreachable for an answer that is another provider's, or that leads astray."""
        issuer = self._settings.issuer
        if metadata.get("issuer") != issuer:
            raise self._wrong(f"it calls itself {metadata.get('issuer')!a}, not {issuer!a}")
        scheme = "https://" if issuer.startswith("https:") else ("http://", "https://")
        for name in NEEDED:
            place = metadata.get(name)
            if not isinstance(place, str) or not place.startswith(scheme):
                raise self._wrong(f"its {name} is {place!a}")

    def _wrong(self, why: str) -> HeadwayError:
        log.warning("the provider is not what [oidc] says", why=why)
        return Unreachable(
            f"{self._settings.title} is not set up as the server's file says; tell an admin, and"
            " sign in with a password or a token"
        )


def silent(settings: OidcSettings) -> Unreachable:
    """What people are told when the provider is not there."""
    return Unreachable(
        f"{settings.title} does not answer; try again, or sign in with a password or a token"
    )


def _key_set(found: Mapping[str, Any]) -> KeySet | None:
    """The public keys for signatures; what is none of those is left out."""
    keys = []
    for entry in found.get("keys") or ():
        try:
            if entry.get("kty") != "oct" and entry.get("use", "sig") == "sig":
                keys.append(JWKRegistry.import_key(entry))
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("a key of the provider's cannot be used", why=str(error))
    return KeySet(keys) if keys else None
