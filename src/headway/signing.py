"""Keys, and the DSSE envelopes that builds and signals travel in.

Ed25519 by ``cryptography``; the envelope is DSSE v1 (https://github.com/secure-systems-lab/dsse):
the signature covers ``"DSSEv1" SP len(type) SP type SP len(payload) SP payload``, so a payload
signed as one type can never pass as another.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from headway.errors import InvalidInput, Untrusted

MAX_ENVELOPE_BYTES = 64 * 1024

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----\s([^-]*)-----END PUBLIC KEY-----")
_ED25519 = bytes.fromhex("302a300506032b6570032100")
_RAW_BYTES = 32

_P = 2**255 - 19
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _P - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)
"""The y coordinates of the eight points of small order, under which anything verifies
(RFC 8032, and Cremers and Jackson, "Prime, Order Please!", 2019)."""


class Signer:
    """A private key that signs envelopes."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_pem = _pem(key.public_key().public_bytes_raw())
        self.keyid = _keyid(key.public_key())

    @classmethod
    def generate(cls) -> "Signer":
        """A new key from the system's random source."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> "Signer":
        """Read a private key (PKCS#8 PEM). Raises InvalidInput when it is none."""
        # Agents never load private keys, and are 3 MB smaller without what reads them.
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            load_pem_private_key,
        )

        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidInput(f"{path} is not a readable private key: {error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidInput(f"{path} is not an ed25519 key; make one with `headway key new`")
        return cls(key)

    def save(self, path: Path) -> Path:
        """Write the private key to ``path`` (mode 0600) and the public one beside it as .pub."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = path.with_name(path.name + ".pub")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
            public.write_bytes(self.public_pem)
        except FileExistsError:
            raise InvalidInput(f"{path} exists already; a key is never overwritten") from None
        except OSError as error:
            raise InvalidInput(f"{path} cannot be written: {error.strerror}") from None
        return public

    def seal(self, payload: bytes, payload_type: str) -> bytes:
        """The payload in a signed envelope, as JSON."""
        signature = self._key.sign(_pae(payload_type, payload))
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [{"keyid": self.keyid, "sig": base64.b64encode(signature).decode()}],
        }
        return msgspec.json.encode(envelope)


class Trust:
    """A set of public keys, of which one must have signed."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {_keyid(key): key for key in keys}

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "Trust":
        """Read public keys (PEM). Raises InvalidInput for what is none, or is a weak one."""
        return cls(_public_key(path.read_bytes(), str(path)) for path in _readable(paths))

    @classmethod
    def of(cls, *pems: bytes) -> "Trust":
        """Trust these public keys, given as PEM."""
        return cls(_public_key(pem, "the public key") for pem in pems)

    def open(self, envelope: bytes, payload_type: str) -> bytes:
        """The payload of an envelope that one of the keys has signed.

        Raises Untrusted with a sentence that names what does not hold.
        """
        if len(envelope) > MAX_ENVELOPE_BYTES:
            raise Untrusted(f"the envelope has {len(envelope)} bytes, {MAX_ENVELOPE_BYTES} allowed")
        try:
            parsed = msgspec.json.decode(envelope, type=_Envelope)
            payload = base64.b64decode(parsed.payload, validate=True)
        except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError) as error:
            raise Untrusted(f"not a DSSE envelope: {error}") from None
        if parsed.payload_type != payload_type:
            raise Untrusted(f"signed as {parsed.payload_type[:80]!r}, expected {payload_type!r}")
        signed = _pae(payload_type, payload)
        for signature in parsed.signatures:
            key = self._keys.get(signature.keyid)
            if key is None:
                continue
            try:
                key.verify(base64.b64decode(signature.sig, validate=True), signed)
            except (InvalidSignature, binascii.Error, ValueError):
                continue
            return payload
        raise Untrusted("not signed by a trusted key; was it published with the right one?")


class _Signature(msgspec.Struct):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, rename={"payload_type": "payloadType"}):
    payload: str
    payload_type: str
    signatures: list[_Signature]


def _pae(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _keyid(key: Ed25519PublicKey) -> str:
    return sha256(key.public_bytes_raw()).hexdigest()


def _readable(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if not os.access(path, os.R_OK):
            raise InvalidInput(f"the public key {path} does not exist or is not readable")
        yield path


def _public_key(pem: bytes, where: str) -> Ed25519PublicKey:
    """The key in a SubjectPublicKeyInfo (RFC 8410), which is always the same twelve bytes first."""
    found = _PEM.fullmatch(pem.strip())
    try:
        der = base64.b64decode(b"".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        der = b""
    if not der:
        raise InvalidInput(f"{where} is not a public key in PEM; make one with `headway key new`")
    raw = der.removeprefix(_ED25519)
    if len(raw) != _RAW_BYTES or raw == der:
        raise InvalidInput(f"{where} is not an ed25519 key; make one with `headway key new`")
    if int.from_bytes(raw, "little") % 2**255 % _P in _SMALL_ORDER_Y:
        raise InvalidInput(f"{where} is a weak key (small order): anything would verify under it")
    return Ed25519PublicKey.from_public_bytes(raw)


def _pem(raw: bytes) -> bytes:
    text = base64.b64encode(_ED25519 + raw)
    return b"-----BEGIN PUBLIC KEY-----\n%b\n-----END PUBLIC KEY-----\n" % text
