"""The attestation: an in-toto Statement that says who made a build from which commit."""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from headway.errors import InvalidInput, Untrusted
from headway.model.build import Build
from headway.model.names import BuildId, Digest
from headway.signing import Signer, Trust

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:headway:build:v1"


class _DigestSet(Struct, frozen=True, forbid_unknown_fields=True):
    sha256: Digest


class _Subject(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    digest: _DigestSet


class _Statement(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md"""

    type_: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: tuple[_Subject]
    predicate_type: Literal["urn:headway:build:v1"]
    predicate: Build


def seal(build: Build, signer: Signer) -> bytes:
    """The signed attestation of a build, a DSSE envelope. Raises InvalidInput."""
    subject = _Subject(build.app, _DigestSet(build.id))
    statement = _Statement(STATEMENT_TYPE, (subject,), PREDICATE_TYPE, build)
    payload = msgspec.json.encode(statement)
    try:
        msgspec.json.decode(payload, type=_Statement)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"this cannot be attested: {error}") from None
    return signer.seal(payload, PAYLOAD_TYPE)


def open(
    envelope: bytes, trust: Trust, app: str | None = None, build: BuildId | None = None
) -> Build:
    """What a trusted key says about a build.

    Raises Untrusted when the signature does not hold, the statement is not exactly one of ours,
    or it is about another app or build than the one asked for.
    """
    payload = trust.open(envelope, PAYLOAD_TYPE)
    try:
        statement = msgspec.json.decode(payload, type=_Statement)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Untrusted(f"the attestation is not one of a build: {error}") from None
    if msgspec.json.encode(statement) != payload:
        raise Untrusted("the attestation is ambiguous: it is not in its canonical form")
    found = statement.predicate
    if statement.subject[0] != _Subject(found.app, _DigestSet(found.id)):
        raise Untrusted("the attestation's subject is another build than its predicate's")
    if app is not None and found.app != app:
        raise Untrusted(f"the attestation is of the app {found.app}, not of {app[:80]!a}")
    if build is not None and found.id != build:
        raise Untrusted(f"the attestation is of build {found.id[:12]}, not of {build[:12]!a}")
    return found
