"""A store's URL: what it says, what it may not say, and what opening it loads."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidInput
from headway.signals import stores
from headway.signals.location import TOKEN_VARIABLE, Location, parse


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("consul://127.0.0.1", Location("consul", ("127.0.0.1:8500",), "headway")),
        ("consul+tls://c.example/x", Location("consul", ("c.example:8501",), "x", tls=True)),
        ("etcd://a,b:1,c/", Location("etcd", ("a:2379", "b:1", "c:2379"), "headway")),
        (
            "zk://a,b,c/apps/headway/",
            Location("zk", ("a:2181", "b:2181", "c:2181"), "apps/headway"),
        ),
        ("zk+tls://[::1]", Location("zk", ("[::1]:2281",), "headway", tls=True)),
        (
            "etcd+tls://a?ca=/c.pem&cert=d.pem&key=k.pem&token_file=/t",
            Location(
                "etcd",
                ("a:2379",),
                "headway",
                True,
                Path("/c.pem"),
                Path("d.pem"),
                Path("k.pem"),
                Path("/t"),
            ),
        ),
    ],
)
def test_what_a_url_says(url: str, location: Location) -> None:
    assert parse(url) == location


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "consul://HOST"),
        ("redis://a", "no signal store"),
        ("consul+ssl://a", r"\+tls://"),
        ("consul:///x", "no signal store"),
        ("etcd://a,,b", "no signal store"),
        ("zk://a:port", "no signal store"),
        ("zk://a:99999", "no signal store"),
        ("consul://user:s3cret@a", "token_file"),
        ("consul://a/../b", "path"),
        ("consul://a/x//b", "path"),
        ("consul://a?token=s3cret", 'no "token"'),
        ("consul://a?ca=/c.pem", r"consul\+tls"),
    ],
)
def test_what_a_url_may_not_say_is_explained_without_secrets(url: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=word) as refusal:
        parse(url)
    assert "s3cret" not in refusal.value.sentence


@given(st.text())
def test_any_text_is_a_location_or_a_sentence(text: str) -> None:
    for url in (text, f"consul://{text}", f"etcd://a/{text}", f"zk+tls://a?{text}"):
        try:
            parse(url)
        except InvalidInput as error:
            assert "\n" not in error.sentence or "\n" in text


def test_a_secret_comes_from_the_file_else_from_the_environment(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "from the environment")
    assert parse("consul://a").secret() == "from the environment"
    (tmp_path / "token").write_text("from the file\n")
    location = parse(f"consul://a?token_file={tmp_path}/token")
    assert location.secret() == "from the file"
    assert "from the file" not in repr(location)
    (tmp_path / "token").write_text("\n")
    with pytest.raises(InvalidInput, match="holds no token"):
        location.secret()


@pytest.mark.parametrize("kind", ["consul", "etcd", "zk"])
def test_a_missing_library_is_named_with_what_brings_it(kind: str, monkeypatch) -> None:
    library = "kazoo" if kind == "zk" else "aiohttp"
    for name in ("consul", "etcd", "gateway", "zookeeper", "zookeeper_session"):
        monkeypatch.delitem(sys.modules, f"headway.signals.{name}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, f"{library}.exceptions", None)
    extra = "zookeeper" if kind == "zk" else kind
    with pytest.raises(InvalidInput, match=rf"install headway\[{extra}\]"):
        stores.open_store(f"{kind}://a")


def test_an_agent_and_a_server_load_no_store_that_they_do_not_use() -> None:
    loads = "import sys, headway.agent.main, headway.signals.stores; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "kazoo", "headway.signals.consul"} & set(done.stdout.split())
