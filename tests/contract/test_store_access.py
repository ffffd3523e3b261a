"""Tokens, passwords and TLS of real stores: who is let in, who is not, and what is told of it."""

import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headway.demo.site import free_ports
from headway.errors import InvalidInput, StoreDenied, Unavailable
from headway.signals import gateway, zookeeper_session
from headway.signals.location import TOKEN_VARIABLE
from headway.signals.port import SignalStore
from headway.signals.stores import open_store
from tests.contract import certificates
from tests.contract.certificates import Certificates
from tests.contract.store_servers import call, start, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    for module in (gateway, zookeeper_session):
        monkeypatch.setattr(module, "CONNECT_SECONDS", 3.0)


@pytest.fixture(scope="module")
def pems(tmp_path_factory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("pems"))


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[SignalStore]:
    store = open_store(url)
    try:
        yield store
    finally:
        await store.close()


async def works(url: str) -> None:
    async with opened(url) as store:
        entry = await store.get("k")
        await store.put("k", b"one", entry.revision if entry else None)
        lease = await store.lease(10.0)
        await store.put("leased", b"one", None, lease)
        await lease.release()
        async with contextlib.aclosing(store.watch("k")) as entries:
            assert (await anext(entries)) is not None


async def denied(url: str, *secrets: str) -> None:
    async with opened(url) as store:
        with pytest.raises(StoreDenied, match="does not let us in") as refusal:
            await store.put("k", b"two", None)
        assert not any(secret in str(refusal.value) for secret in secrets)
        assert await store.health() != ""


@pytest.fixture(scope="module")
def guarded_consul(tmp_path_factory, program, pems) -> Iterator[tuple[str, str, str]]:
    """URL with TLS, URL without, and the token."""
    token = str(uuid.uuid4())
    (port,) = free_ports(1)
    more = {
        "acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": token}},
        "ca_file": str(pems.ca),
        "cert_file": str(pems.cert),
        "key_file": str(pems.key),
        "verify_incoming_https": True,
    }
    room = tmp_path_factory.mktemp("guarded")
    with start("consul", room, program, tls_port=port, more=more) as cluster:
        server, headers = cluster.servers[0].port, {"X-Consul-Token": token}
        until(lambda: call(server, "/v1/acl/token/self", headers=headers))
        yield f"consul+tls://127.0.0.1:{port}/safe", cluster.url("safe"), token


async def test_consul_lets_in_by_token_from_a_file_or_the_environment(
    guarded_consul, tmp_path: Path, monkeypatch
) -> None:
    _, url, token = guarded_consul
    (tmp_path / "token").write_text(f"{token}\n")
    await works(f"{url}?token_file={tmp_path}/token")
    await denied(url)
    wrong = str(uuid.uuid4())
    monkeypatch.setenv(TOKEN_VARIABLE, wrong)
    await denied(url, wrong)
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    await works(url)


async def test_consul_over_tls_with_a_client_certificate(guarded_consul, pems, monkeypatch) -> None:
    url, _, token = guarded_consul
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    await works(url + pems.query)
    for doubtful in (f"{url}?ca={pems.ca}", url):
        async with opened(doubtful) as store:
            with pytest.raises(Unavailable):
                await store.get("k")


@pytest.fixture(scope="module")
def guarded_etcd(tmp_path_factory, program, pems) -> Iterator[tuple[str, str]]:
    """URL with TLS and URL without; user root, password "s3cret:really"."""
    (port,) = free_ports(1)
    more = (
        "--cert-file", str(pems.cert), "--key-file", str(pems.key),
        "--client-cert-auth", "--trusted-ca-file", str(pems.ca),
    )  # fmt: skip
    room = tmp_path_factory.mktemp("guarded")
    with start("etcd", room, program, tls_port=port, more=more) as cluster:
        server = cluster.servers[0].port
        for path, message in (
            ("user/add", {"name": "root", "password": "s3cret:really"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("enable", {}),
        ):
            assert call(server, f"/v3/auth/{path}", _json(message))
        yield f"etcd+tls://127.0.0.1:{port}/safe", cluster.url("safe")


async def test_etcd_lets_in_by_user_and_password(guarded_etcd, tmp_path: Path) -> None:
    _, url = guarded_etcd
    (tmp_path / "token").write_text("root:s3cret:really\n")
    await works(f"{url}?token_file={tmp_path}/token")
    await denied(url)
    (tmp_path / "token").write_text("root:guessed\n")
    await denied(f"{url}?token_file={tmp_path}/token", "guessed")


async def test_etcd_a_token_that_ended_is_replaced(guarded_etcd, monkeypatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "root:s3cret:really")
    async with opened(guarded_etcd[1]) as store:
        await store.get("k")
        store._token = "long.gone"
        await store.get("k")


async def test_etcd_over_tls_with_a_client_certificate(guarded_etcd, pems, monkeypatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "root:s3cret:really")
    await works(guarded_etcd[0] + pems.query)
    async with opened(f"{guarded_etcd[0]}?ca={pems.ca}") as store:
        with pytest.raises(Unavailable):
            await store.get("k")


@pytest.fixture(scope="module")
def guarded_zookeeper(tmp_path_factory, program, pems) -> Iterator[tuple[str, str]]:
    """URL with TLS and URL without."""
    (port,) = free_ports(1)
    more = (
        f"secureClientPort={port}",
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
        f"ssl.keyStore.location={pems.both}",
        f"ssl.trustStore.location={pems.ca}",
    )
    room = tmp_path_factory.mktemp("guarded")
    with start("zookeeper", room, program, more=more) as cluster:
        yield f"zk+tls://127.0.0.1:{port}/safe", cluster.url("safe")


async def test_zookeeper_lets_in_who_wrote_first(guarded_zookeeper, tmp_path: Path) -> None:
    _, url = guarded_zookeeper
    (tmp_path / "token").write_text("headway:s3cret\n")
    await works(f"{url}?token_file={tmp_path}/token")
    await denied(url)
    (tmp_path / "token").write_text("headway:guessed\n")
    await denied(f"{url}?token_file={tmp_path}/token", "guessed")


# kazoo leaves the socket of an attempt that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_zookeeper_over_tls_with_a_client_certificate(
    guarded_zookeeper, pems, monkeypatch
) -> None:
    url, _ = guarded_zookeeper
    monkeypatch.setenv(TOKEN_VARIABLE, "headway:s3cret")
    await works(url + pems.query)
    async with opened(f"{url}?ca={pems.ca}") as store:
        with pytest.raises(Unavailable):
            await store.get("k")


async def test_files_that_do_not_serve_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    for query, named in (
        (f"?ca={tmp_path}/ca.pem", "ca.pem"),
        (f"?ca={tmp_path}/missing.pem", "missing.pem"),
        (f"?token_file={tmp_path}/none", "none"),
    ):
        for scheme in ("consul", "etcd", "zk"):
            with pytest.raises(InvalidInput, match=named):
                open_store(f"{scheme}+tls://127.0.0.1{query}")


def _json(message: object) -> bytes:
    return json.dumps(message).encode()
