"""Envelopes: what is trusted opens, everything else is refused with a sentence."""

import base64
import json
import stat

import hypothesis.strategies as st
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from hypothesis import given
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from headway.errors import InvalidInput, Untrusted
from headway.signing import Signer, Trust

SIGNER = Signer.generate()
TRUST = Trust.of(SIGNER.public_pem)

SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


@given(st.binary(max_size=2000))
def test_what_was_sealed_opens(payload: bytes) -> None:
    assert TRUST.open(SIGNER.seal(payload, "text/plain"), "text/plain") == payload


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_is_refused(place: int, change: int) -> None:
    sealed = bytearray(SIGNER.seal(b"deploy this", "text/plain"))
    sealed[place % len(sealed)] ^= change
    try:
        opened = TRUST.open(bytes(sealed), "text/plain")
    except Untrusted as refusal:
        assert refusal.sentence
    else:
        assert opened == b"deploy this"  # a change that JSON or base64 does not see


def test_another_key_type_or_payload_is_refused() -> None:
    sealed = SIGNER.seal(b"x", "text/plain")
    with pytest.raises(Untrusted, match="not signed by a trusted key"):
        Trust.of(Signer.generate().public_pem).open(sealed, "text/plain")
    with pytest.raises(Untrusted, match="signed as 'text/plain'"):
        TRUST.open(sealed, "text/html")
    swapped = json.loads(sealed)
    swapped["payload"] = base64.b64encode(b"y").decode()
    with pytest.raises(Untrusted):
        TRUST.open(json.dumps(swapped).encode(), "text/plain")
    retyped = json.loads(sealed) | {"payloadType": "text/html"}
    with pytest.raises(Untrusted):
        TRUST.open(json.dumps(retyped).encode(), "text/html")


@pytest.mark.parametrize("envelope", [b"", b"{}", b"[]", b"\xff", b'{"payload": 1}', b"x" * 70_000])
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    with pytest.raises(Untrusted):
        TRUST.open(envelope, "text/plain")


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_key_under_which_anything_verifies_is_refused(point: str) -> None:
    weak = Ed25519PublicKey.from_public_bytes(bytes.fromhex(point))
    with pytest.raises(InvalidInput, match="weak key"):
        Trust.of(weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def test_the_reference_library_reads_our_envelopes_and_we_read_theirs() -> None:
    theirs = CryptoSigner.generate_ed25519()
    envelope = Envelope(b"payload", "text/plain", {})
    envelope.sign(theirs)
    their_key = theirs.public_key._crypto_key()
    pem = their_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    document = envelope.to_dict()
    document["signatures"][0]["keyid"] = _our_keyid(their_key)
    assert Trust.of(pem).open(json.dumps(document).encode(), "text/plain") == b"payload"

    ours = json.loads(SIGNER.seal(b"payload", "text/plain"))
    our_key = SSlibKey.from_crypto(load_pem_public_key(SIGNER.public_pem), keyid=SIGNER.keyid)
    assert Envelope.from_dict(ours).verify([our_key], 1) == {SIGNER.keyid: our_key}


def _our_keyid(key: Ed25519PublicKey) -> str:
    from hashlib import sha256

    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def test_a_saved_key_is_private_and_never_overwritten(tmp_path) -> None:
    path = tmp_path / "release.key"
    public = SIGNER.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Trust.load([public]).open(Signer.load(path).seal(b"x", "t"), "t") == b"x"
    with pytest.raises(InvalidInput, match="never overwritten"):
        Signer.generate().save(path)


def test_what_is_no_key_is_named(tmp_path) -> None:
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("hello")
    for load in (lambda: Signer.load(nonsense), lambda: Trust.load([nonsense])):
        with pytest.raises(InvalidInput, match="nonsense"):
            load()
    with pytest.raises(InvalidInput, match="missing"):
        Trust.load([tmp_path / "missing"])
