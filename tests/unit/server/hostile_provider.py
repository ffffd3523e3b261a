"""A provider of OpenID Connect that can be told to lie; it is spoken to without a network."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey

from headway.server.auth.oidc import Provider
from headway.server.config import OidcSettings

ISSUER = "https://id.example"
CLIENT = "headway"
SECRET = "s3cret of the client"
BACK = "http://headway.test/sign-in/return"


class HostileProvider:
    """Honest until told otherwise. ``claims`` and ``header`` replace what the token would say."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.keys = [RSAKey.generate_key(2048, {"kid": "one"})]
        self.signs_with: Any = self.keys[0]
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.userinfo: dict[str, Any] | None = None
        self.token: dict[str, Any] = {}
        self.mangle = lambda encoded: encoded
        self.down = False
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}

    def settings(self, **changes: Any) -> OidcSettings:
        given = {"title": "Example ID", "roles": {"ops": "deployer", "boss": "admin"}, **changes}
        return OidcSettings(ISSUER, CLIENT, **given)

    def provider(self, back: str = BACK, **changes: Any) -> Provider:
        transport = httpx2.MockTransport(self)
        return Provider(self.settings(**changes), SECRET, back, self.clock, transport)

    def consent(self, url: str) -> dict[str, str]:
        """The person agrees; the query that the browser brings back."""
        asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        if self.down:
            raise httpx2.ConnectError("refused", request=request)
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx2.Response(200, json=self._metadata())
            case "/keys":
                keys = [key.as_dict(private=False) for key in self.keys]
                return httpx2.Response(200, json={"keys": [*keys, {"kty": "QUANTUM"}, 7]})
            case "/token":
                return self._token(request)
            case "/userinfo":
                assert request.headers["authorization"] == "Bearer access"
                return httpx2.Response(200, json=self.userinfo)
        return httpx2.Response(404)

    def _metadata(self) -> dict[str, Any]:
        metadata = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            **self.metadata,
        }
        if self.userinfo is not None:
            metadata["userinfo_endpoint"] = f"{ISSUER}/userinfo"
        return metadata

    def _token(self, request: httpx2.Request) -> httpx2.Response:
        form = {key: values[0] for key, values in parse_qs(request.content.decode()).items()}
        shown = base64.b64decode(request.headers["authorization"].split()[1]).decode()
        assert shown == f"{CLIENT}:{SECRET}"
        asked = self._codes.pop(form["code"], None)
        proof = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = _encoded(proof)
        if (
            asked is None
            or asked["code_challenge_method"] != "S256"
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return httpx2.Response(400, json={"error": "invalid_grant"})
        now = int(self.clock())
        claims = {
            "iss": ISSUER,
            "sub": "subject-1",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "preferred_username": "Alice",
            "groups": ["ops"],
            **self.claims,
        }
        claims = {key: value for key, value in claims.items() if value is not None}
        encoded = self.mangle(self.sign(claims))
        answer = {"access_token": "access", "token_type": "Bearer", "id_token": encoded}
        return httpx2.Response(200, json={**answer, **self.token})

    def sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": "RS256", "kid": "one", **self.header}
        header = {key: value for key, value in header.items() if value is not None}
        if header["alg"] == "none":
            return f"{_part(header)}.{_part(claims)}."
        if header["alg"] == "HS256":
            text = f"{_part(header)}.{_part(claims)}"
            public = self.keys[0].as_pem(private=False)
            return f"{text}.{_encoded(hmac.digest(public, text.encode(), 'sha256'))}"
        return jwt.encode(header, claims, self.signs_with, algorithms=[header["alg"]])


def _part(value: dict[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
