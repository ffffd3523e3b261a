"""A provider of OpenID Connect as a process: the package ``oidc-provider-mock``."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from headway.demo.site import free_ports

PATIENCE = 60.0


class OidcServer:
    """At ``issuer``; who is ``kept`` signs in there by a click. Another site than 127.0.0.1."""

    def __init__(self, log: Path, *kept: dict[str, Any]) -> None:
        self.port = free_ports(1)[0]
        self.issuer = f"http://localhost:{self.port}"
        self._log = log
        self._kept = kept
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        people = [word for one in self._kept for word in ("--user-claims", json.dumps(one))]
        command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "localhost", "--require-nonce", "true", *people],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = httpx2.get(f"{self.issuer}/jwks", timeout=5, trust_env=False)
                if answer.status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)
            self._process = None


@contextmanager
def oidc_server(log: Path, *kept: dict[str, Any]) -> Iterator[OidcServer]:
    """A provider that knows these people, by their claims."""
    server = OidcServer(log, *kept)
    server.start()
    try:
        yield server
    finally:
        server.stop()
