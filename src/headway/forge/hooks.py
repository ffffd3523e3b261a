"""Who may tell Headway that there is something new: what is not signed is not read.

Nothing in a message is believed: it only makes Headway look, with its own eyes. So that nobody can
make it look again and again with an old message, each counts once.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import sha256

from headway.errors import Unauthenticated

TOLERANCE_SECONDS = 300.0
"""How far the time in a signature may be from ours."""


def github(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> str:
    """The mark of a message from GitHub. Raises Unauthenticated.

    The signature covers the body alone, so that is what the mark is made of: a message under
    another delivery's id is still the same.
    """
    told = headers.get("x-hub-signature-256", "")
    wanted = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    if not secret or not hmac.compare_digest(told.encode(), wanted.encode()):
        raise Unauthenticated("the signature of this message does not hold; is the secret right?")
    return sha256(body).hexdigest()


def gitlab(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> str:
    """The mark of a message from GitLab: signed with its time, or else with the token.

    Raises Unauthenticated.
    """
    if "webhook-signature" in headers:
        return _standard(headers, body, secret, now)
    told = headers.get("x-gitlab-token", "")
    if not secret or not hmac.compare_digest(told.encode(), secret.encode()):
        raise Unauthenticated("the token of this message is not ours; is the secret right?")
    return sha256(body).hexdigest()


def _standard(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> str:
    id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signed = hmac.new(_key(secret), f"{id}.{at}.".encode() + body, sha256).digest()
    wanted = b"v1," + base64.b64encode(signed)
    offered = headers["webhook-signature"].encode().split()
    if not secret or not any(hmac.compare_digest(one, wanted) for one in offered):
        raise Unauthenticated("the signature of this message does not hold; is the secret right?")
    if not at.isdigit() or abs(now - int(at)) > TOLERANCE_SECONDS:
        raise Unauthenticated("this message is too old, or a clock is wrong")
    return sha256(body).hexdigest()


def _key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return secret.encode()
