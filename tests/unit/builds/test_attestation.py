import base64

import msgspec
import pytest

from headway.builds import attestation
from headway.errors import InvalidInput, Untrusted
from headway.model.build import Build
from headway.signing import Signer, Trust

BUILD = Build(
    id="a" * 64,
    app="shop",
    commit="c0ffee",
    created_at=1_700_000_000.25,
    by="alice",
    files=3,
    bytes=100,
    new_bytes=10,
    subject="Größer \u2028 <b>",
)
SIGNER = Signer.generate()
TRUST = Trust.of(SIGNER.public_pem)


def payload() -> bytes:
    return TRUST.open(attestation.seal(BUILD, SIGNER), attestation.PAYLOAD_TYPE)


def sealed(content: bytes, kind: str = attestation.PAYLOAD_TYPE) -> bytes:
    return SIGNER.seal(content, kind)


def test_goes_there_and_back() -> None:
    assert attestation.open(attestation.seal(BUILD, SIGNER), TRUST) == BUILD
    assert attestation.open(attestation.seal(BUILD, SIGNER), TRUST, "shop", "a" * 64) == BUILD


def test_is_an_in_toto_statement_that_others_can_read() -> None:
    statement = msgspec.json.decode(payload())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "shop", "digest": {"sha256": "a" * 64}}]
    assert statement["predicateType"] == "urn:headway:build:v1"
    assert statement["predicate"]["commit"] == "c0ffee"


def test_another_key_is_not_trusted() -> None:
    with pytest.raises(Untrusted):
        attestation.open(attestation.seal(BUILD, Signer.generate()), TRUST)


def test_another_kind_of_envelope_does_not_pass() -> None:
    with pytest.raises(Untrusted, match="signed as"):
        attestation.open(sealed(payload(), "application/vnd.headway.signal+json"), TRUST)


def test_it_must_be_about_what_was_asked_for() -> None:
    envelope = attestation.seal(BUILD, SIGNER)
    with pytest.raises(Untrusted, match="of the app shop"):
        attestation.open(envelope, TRUST, app="other")
    with pytest.raises(Untrusted, match="of build aaaaaaaaaaaa"):
        attestation.open(envelope, TRUST, build="b" * 64)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Statement/v1", b"Statement/v2"),
        (b"build:v1", b"build:v2"),
        (b'"name":"shop"', b'"name":"else"'),
        (b'"sha256":"a', b'"sha256":"b'),
        (b'"predicate":{"id":"a', b'"predicate":{"id":"b'),
        (b'"app":"shop"', b'"app":"else"'),
        (b'"app":"shop"', b'"app":"else","app":"shop"'),
        (b'"app":"shop"', b'"app":"../x"'),
        (b'"predicateType"', b'"subject":[],"predicateType"'),
        (b'"predicateType"', b'"extra":1,"predicateType"'),
        (b'"subject":[', b'"subject":[{"name":"shop","digest":{"sha256":"' + b"a" * 64 + b'"}},'),
        (b'"commit":"c0ffee"', b'"commit":"c0 ffee"'),
        (b'"files":3', b'"files":3.0'),
        (b"{", b" {"),
    ],
)
def test_a_statement_that_is_not_exactly_ours(old: bytes, new: bytes) -> None:
    changed = payload().replace(old, new, 1)
    assert changed != payload()
    with pytest.raises(Untrusted):
        attestation.open(sealed(changed), TRUST)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"\xff", b"{}"])
def test_what_is_no_statement(content: bytes) -> None:
    with pytest.raises(Untrusted):
        attestation.open(sealed(content), TRUST)


def test_a_changed_envelope() -> None:
    envelope = attestation.seal(BUILD, SIGNER)
    raw = msgspec.json.decode(envelope)
    other = base64.b64encode(payload().replace(b"alice", b"malet")).decode()
    assert other != raw["payload"]
    raw["payload"] = other
    with pytest.raises(Untrusted):
        attestation.open(msgspec.json.encode(raw), TRUST)
    for cut in (b"", envelope[:-1], envelope[:50]):
        with pytest.raises(Untrusted):
            attestation.open(cut, TRUST)


@pytest.mark.parametrize(
    "change", [{"app": "../x"}, {"commit": "--force x"}, {"id": "a"}, {"subject": "x" * 2001}]
)
def test_what_cannot_be_attested(change: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="cannot be attested"):
        attestation.seal(msgspec.structs.replace(BUILD, **change), SIGNER)
