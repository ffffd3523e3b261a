"""Sign-in with a provider of OpenID Connect: authorization code with PKCE, state and nonce.

The steps are those of OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3.7, hardened as RFC 9700
says: PKCE by S256, the issuer checked in the answer (RFC 9207), signatures by public keys only.
Nothing is kept here while somebody is at the provider: what began is in that browser's cookie.
"""

import asyncio
import hmac
import ssl
from collections.abc import Callable, Mapping
from functools import cached_property
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jws import JWSRegistry
from msgspec import Struct

from headway.errors import Busy, Denied, InvalidInput
from headway.server.auth.claims import Known, claim, person
from headway.server.auth.discovery import Discovery, silent
from headway.server.config import OidcSettings

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Never ``none``, and no secret that the provider shares with us."""

ANSWER_SECONDS = 10.0
AT_ONCE = 16
"""So many answers are taken to the provider at a time: a stranger cannot have it flooded by us."""

FLOW_SECONDS = 600.0
"""How long somebody may stay at the provider."""

SKEW_SECONDS = 60
"""By how much the provider's clock may differ."""

BEGIN_AGAIN = "this sign-in was not begun in this browser, or too long ago; begin again"

log = structlog.get_logger()


class Flow(Struct, frozen=True):
    """A sign-in that has begun: what must come back, and where the person was going."""

    state: str
    nonce: str
    verifier: str
    beyond: str
    at: float

    def __repr__(self) -> str:
        return "Flow(…)"


class Provider:
    """The configured provider. ``back`` is the address that people come back to.

    Raises InvalidInput for settings that would let others listen or listen in.
    """

    def __init__(
        self,
        settings: OidcSettings,
        secret: str,
        back: str,
        clock: Callable[[], float],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        check_settings(settings)
        self.settings = settings
        self.back = back
        self._secret = secret
        self._clock = clock
        self._transport = transport
        self._returning = 0
        self._discovery = Discovery(settings, self._client, clock)

    @property
    def title(self) -> str:
        """What people call it."""
        return self.settings.title

    async def begin(self, beyond: str) -> tuple[str, Flow]:
        """Where to send the person, and what to keep in the browser. Raises Unreachable."""
        metadata = await self._discovery.metadata()
        flow = Flow(token_urlsafe(32), token_urlsafe(32), token_urlsafe(48), beyond, self._clock())
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=flow.state,
                nonce=flow.nonce,
                code_verifier=flow.verifier,
            )
        return str(url), flow

    async def finish(self, flow: Flow | None, answer: Mapping[str, str]) -> Known:
        """Who it is that the provider sent back. Raises Denied, Unreachable or Busy."""
        if flow is None or not self._is_ours(flow, answer):
            raise Denied(BEGIN_AGAIN)
        if self._returning >= AT_ONCE:
            raise Busy(f"many people come back from {self.title} at this moment; begin again")
        self._returning += 1
        try:
            return await self._finish(flow, answer)
        finally:
            self._returning -= 1

    async def _finish(self, flow: Flow, answer: Mapping[str, str]) -> Known:
        metadata = await self._discovery.metadata()
        self._check_issuer(metadata, answer)
        if "error" in answer or not answer.get("code"):
            reason = "".join(c for c in answer.get("error", "no code") if c.isalpha() or c in " _")
            raise Denied(f"{self.title} did not sign you in ({reason[:40]}); begin again")
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._client() as client:
                token = await client.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=answer["code"],
                    code_verifier=flow.verifier,
                    auth=client.client_auth(_authentication(metadata, self._secret)),
                )
                claims = await self._claims(metadata, token, flow)
                return person(await self._complete(client, metadata, claims), self.settings)
        except OAuthError as error:
            log.warning("the provider gave no token", error=error.error, why=error.description)
            raise Denied(f"{self.title} did not sign you in; begin again") from None
        except (httpx2.HTTPError, TimeoutError, OSError, ValueError) as error:
            log.warning("the provider does not answer", why=f"{type(error).__name__}: {error}")
            raise silent(self.settings) from None

    def _is_ours(self, flow: Flow, answer: Mapping[str, str]) -> bool:
        """Whether the answer belongs to what was begun in this browser, a while ago at most."""
        state = answer.get("state", "").encode("utf-8", "replace")
        recent = 0 <= self._clock() - flow.at <= FLOW_SECONDS
        return recent and hmac.compare_digest(state, flow.state.encode())

    def _check_issuer(self, metadata: Mapping[str, Any], answer: Mapping[str, str]) -> None:
        """RFC 9207: an answer of another provider must not get our code to this one."""
        said = answer.get("iss")
        must = metadata.get("authorization_response_iss_parameter_supported") is True
        if said != self.settings.issuer and (said is not None or must):
            raise Denied(f"the answer did not come from {self.title}; begin again")

    async def _claims(
        self, metadata: Mapping[str, Any], token: Mapping[str, Any], flow: Flow
    ) -> dict[str, Any]:
        """What the ID token says, once everything about it was checked. Raises Denied."""
        encoded = token.get("id_token")
        if not isinstance(encoded, str):
            raise self._disbelieve("there is no id_token")
        try:
            decoded = await self._decode(metadata, encoded)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": self.settings.issuer},
                    "aud": {"essential": True, "value": self.settings.client_id},
                    "nonce": {"essential": True},
                },
                params={
                    "nonce": flow.nonce,
                    "client_id": self.settings.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock()), leeway=SKEW_SECONDS)
        except (JoseError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise self._disbelieve(f"{type(error).__name__}: {error}") from None
        return dict(claims)

    async def _decode(self, metadata: Mapping[str, Any], encoded: str) -> jwt.Token:
        """The token, if a key of the provider's signed it; new keys are looked up once."""
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(
            algorithms=sorted(ALGORITHMS & set(map(str, offered))), strict_check_header=False
        )
        keys = await self._discovery.keys()
        try:
            return jwt.decode(encoded, keys, registry=registry)
        except (InvalidKeyIdError, BadSignatureError):
            fresh = await self._discovery.keys(anew=True)
            if fresh is keys:
                raise
            return jwt.decode(encoded, fresh, registry=registry)

    async def _complete(
        self, client: AsyncOAuth2Client, metadata: Mapping[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        """The claims, with those of the userinfo endpoint where name or groups are not among them.

        Raises Denied when that one speaks of somebody else.
        """
        needed = [self.settings.name_claim]
        needed += [self.settings.groups_claim] if self.settings.roles else []
        needed += ["email"] if self.settings.email_domains else []
        place = metadata.get("userinfo_endpoint")
        if place is None or all(claim(claims, name) is not None for name in needed):
            return claims
        answer = await client.get(place)
        answer.raise_for_status()
        told = answer.json()
        if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
            raise self._disbelieve("userinfo speaks of somebody else")
        return {**told, **claims}

    def _disbelieve(self, why: str) -> Denied:
        log.warning("what the provider says does not hold", issuer=self.settings.issuer, why=why)
        return Denied(f"what {self.title} says of you does not hold; begin again, or tell an admin")

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id=self.settings.client_id,
            client_secret=self._secret or None,
            scope=" ".join(dict.fromkeys(("openid", *self.settings.scopes))),
            redirect_uri=self.back,
            code_challenge_method="S256",
            timeout=ANSWER_SECONDS,
            follow_redirects=False,
            trust_env=False,
            transport=self._transport,
            verify=self._trusted,
        )

    @cached_property
    def _trusted(self) -> ssl.SSLContext | bool:
        # Reading the system's certificates takes longer than most requests.
        is_secure = self.settings.issuer.startswith("https:")
        return ssl.create_default_context() if is_secure else False


def check_settings(settings: OidcSettings) -> None:
    """Raises InvalidInput unless what passes between us and the provider is out of reach."""
    parts = urlsplit(settings.issuer)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise InvalidInput(f"[oidc] issuer = {settings.issuer!r}: it must begin with https://")
    if not settings.roles and settings.default_role is None:
        raise InvalidInput(
            '[oidc] gives nobody a role: write [oidc.roles] with GROUP = "deployer", or'
            ' default_role = "viewer"'
        )


def _authentication(metadata: Mapping[str, Any], secret: str) -> str:
    """How the token endpoint is shown the secret."""
    known = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if not secret:
        return "none"
    only_post = "client_secret_basic" not in known and "client_secret_post" in known
    return "client_secret_post" if only_post else "client_secret_basic"
