"""``headway hub`` as a process, over TLS."""

import datetime
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headway.demo.site import free_ports
from headway.errors import Unreachable
from headway.model.report import Enrolment
from headway.signals.hub_client import HubClient
from headway.signing import Signer


def certify(home: Path) -> None:
    """A certificate for 127.0.0.1 in cert.pem, that vouches for itself, and its key in key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a hub")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (home / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (home / "key.pem").write_bytes(private)


@contextmanager
def hub(home: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    if not (home / "release.key").exists():
        Signer.generate().save(home / "release.key")
    facts = {"store": "memory:", "server": "http://127.0.0.1:1", "listen": "127.0.0.1:0", **more}
    text = "".join(f'{key} = "{value}"\n' for key, value in facts.items())
    (home / "hub.toml").write_text(f'{text}release = ["release.key.pub"]\n')
    argv = [sys.executable, "-m", "headway", "hub", "--config", str(home / "hub.toml")]
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_it_serves_over_tls_and_stops_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify(tmp_path)
    with hub(tmp_path, tls_certificate="cert.pem", tls_key="key.pem") as (process, ready):
        assert ready.startswith("headway hub is ready at https://127.0.0.1:")
        url = ready.split()[-1]
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with urllib.request.urlopen(f"{url}/v1/health", context=context) as answer:
            assert b'"status":"ok"' in answer.read()
        with pytest.raises(Unreachable, match="certificate"):
            HubClient(url, "secret", node="n1").enrol(Enrolment("n1", "z", {}))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        link = HubClient(url, "secret", node="n1")
        with pytest.raises(Unreachable, match=r"the control plane http.* does not answer"):
            link.enrol(Enrolment("n1", "z", {}))
        update = next(link.watch(("web",)))
        assert (update.connected, update.why) == (
            False,
            "this is not the token of n1, or n1 is not enrolled yet",
        )
        link.close()
    assert process.returncode == 0


def test_its_metrics_have_an_address_of_their_own(
    tmp_path: Path, program: Callable[[str], str]
) -> None:
    (port,) = free_ports(1)
    with hub(tmp_path, metrics=f"127.0.0.1:{port}") as (_, ready):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            page = answer.read().decode()
        for line in (
            "headway_hub_watches 0.0",
            "headway_hub_signal_store_up 1.0",
            'headway_hub_reports_total{result="failed"} 0.0',
        ):
            assert line in page
        assert "process_resident_memory_bytes" in page
        promtool = str(Path(program("prometheus")).resolve().parent / "promtool")
        argv = [promtool, "check", "metrics"]
        done = subprocess.run(argv, input=page, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for url in (f"http://127.0.0.1:{port}/", f"{ready.split()[-1]}/metrics"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(url)


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        ({"store": "bogus://x"}, 2, "bogus"),
        ({"tls_certificate": "none.pem"}, 2, "cannot be used"),
        ({"listen": "here"}, 2, "ADDRESS:PORT"),
        ({"metrics": "here"}, 2, "ADDRESS:PORT"),
        ({"server": "headway.example"}, 2, "server"),
        ({"stroe": "memory:"}, 2, 'did you mean "store"'),
    ],
)
def test_what_it_cannot_start_with_is_told(
    tmp_path: Path, more: dict[str, str], code: int, sentence: str
) -> None:
    with hub(tmp_path, **more) as (process, ready):
        assert ready == ""
        assert process.wait(30) == code
        assert process.stderr is not None
        told = process.stderr.read()
        assert sentence in told
        assert "Traceback" not in told
