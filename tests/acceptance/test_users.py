"""Users of a real control plane: from the terminal to the browser, and over a restart."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.fleet import RealFleet, real_fleet

PASSWORD = "correct horse battery"


@pytest.fixture
def fleet(tmp_path: Path):
    with real_fleet(tmp_path) as running:
        yield running


def typed(fleet: RealFleet, lines: list[str], *arguments: str) -> tuple[int, str]:
    """Run the command line at a terminal, and answer each of its questions."""
    ours, theirs = pty.openpty()
    env = os.environ | {
        "HEADWAY_SERVER": fleet.url,
        "HEADWAY_TOKEN_FILE": str(fleet.data / "admin.token"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "headway", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other side has closed the terminal
                part = b""
            if not part:
                break
            shown += part
            if part.endswith(b": ") and lines:
                os.write(ours, lines.pop(0).encode() + b"\n")
    finally:
        os.close(ours)
        code = process.wait(30)
    return code, shown.decode()


def door(browser: httpx2.Client, **more: str) -> httpx2.Response:
    form = browser.get("/sign-in").text
    seal = re.search(r'name="csrf" value="([^"]+)"', form)
    assert seal
    fields = {"csrf": seal[1], "next": "/account", **more}
    return browser.post("/sign-in", data=fields, follow_redirects=False)


def test_from_the_terminal_to_the_browser_and_over_a_restart(fleet: RealFleet) -> None:
    told = fleet.log("server")
    assert "there was no admin yet" in told and str(fleet.data / "admin.token") in told
    code, shown = typed(fleet, [PASSWORD, PASSWORD], "user", "add", "alice", "--role", "viewer")
    assert (code, PASSWORD in shown) == (0, False), shown
    assert "alice may sign in, as viewer." in shown
    code, shown = typed(fleet, [PASSWORD, "mistyped"], "user", "passwd", "alice")
    assert (code, "not the same; nothing was changed" in shown) == (2, True)

    with httpx2.Client(base_url=fleet.url, trust_env=False) as browser:
        assert door(browser, name="alice", password="wrong horse battery").status_code == 401
        entered = door(browser, name="alice", password=PASSWORD)
        assert (entered.status_code, entered.headers["location"]) == (303, "/account")
        fleet.kill("server")
        fleet.start_server()
        assert "This browser" in browser.get("/account").text
        fleet.headway("user", "role", "alice", "deployer")
        assert "deployer" in browser.get("/account").text
        listed = fleet.headway("user", "list").stdout
        assert re.search(r"alice +deployer +password +(just now|\d+ s ago) +1", listed)
        fleet.headway("user", "remove", "alice")
        assert browser.get("/account", follow_redirects=False).status_code == 303

    told = fleet.log("server")
    for file in (fleet.data / "headway.db", fleet.data / "headway.db-wal"):
        if file.exists():
            assert PASSWORD.encode() not in file.read_bytes()
    assert PASSWORD not in told and "argon2" not in told
    journal = fleet.headway("journal").stdout
    for sentence in (
        "admin adds the user alice, a viewer",
        "alice signs in with a password, from 127.0.0.1",
        "admin makes alice a deployer, not a viewer",
        "admin removes the user alice",
    ):
        assert sentence in journal


def test_behind_a_proxy_on_the_same_host(fleet: RealFleet) -> None:
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    with httpx2.Client(base_url=fleet.url, trust_env=False, headers=told) as browser:
        asked = browser.get("/sign-in")
        cookie = asked.headers["set-cookie"]
        assert cookie.startswith("__Host-headway_visit=") and "secure" in cookie.lower()
        assert asked.headers["strict-transport-security"] == "max-age=31536000"
        seal = re.search(r'name="csrf" value="([^"]+)"', asked.text)
        assert seal
        entered = browser.post(
            "/sign-in",
            data={"csrf": seal[1], "token": fleet.token, "next": "/"},
            headers={"Cookie": cookie.partition(";")[0]},
        )
        assert entered.status_code == 303
    assert "signs in with a token, from 203.0.113.9" in fleet.headway("journal").stdout


def test_a_provider_that_cannot_be_right_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    for oidc, sentence in (
        ('issuer = "http://id.example"\ndefault_role = "viewer"', "must begin with https://"),
        ('issuer = "https://id.example"', "gives nobody a role"),
        (
            'issuer = "https://id.example"\ndefault_role = "node"',
            "node",
        ),
        (
            'issuer = "https://id.example"\ndefault_role = "viewer"\nclient_secret_file = "/none"',
            "/none cannot be read",
        ),
    ):
        file.write_text(f'data = "{tmp_path / "control"}"\n[oidc]\nclient_id = "headway"\n{oidc}\n')
        done = subprocess.run(
            [sys.executable, "-m", "headway", "server", "--config", str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
