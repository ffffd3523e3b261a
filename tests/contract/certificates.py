"""A certificate authority for the tests, and what it signs for 127.0.0.1."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority, and a certificate for both a server and its clients.

    ``both`` is the certificate followed by its key, as ZooKeeper wants it.
    """

    ca: Path
    cert: Path
    key: Path
    both: Path

    @property
    def query(self) -> str:
        """What a client that has a certificate writes into the store's URL."""
        return f"?ca={self.ca}&cert={self.cert}&key={self.key}"


def make(room: Path) -> Certificates:
    """A new authority with one certificate."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _sign("Headway tests", authority_key, "Headway tests", authority_key, ca=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign("", key, "Headway tests", authority_key, ca=False)
    made = Certificates(*(room / name for name in ("ca.pem", "cert.pem", "key.pem", "both.pem")))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made.ca.write_bytes(authority.public_bytes(Encoding.PEM))
    made.cert.write_bytes(certificate.public_bytes(Encoding.PEM))
    made.key.write_bytes(private)
    made.both.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return made


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: str,
    with_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(by))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(with_key.public_key()),
            critical=False,
        )
    )
    if ca:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(
            x509.SubjectAlternativeName(addresses), critical=True
        ).add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(with_key, hashes.SHA256())


def _name(name: str) -> x509.Name:
    """etcd's gateway takes no client certificate with a common name while users have passwords."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
