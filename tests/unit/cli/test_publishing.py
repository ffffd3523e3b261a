"""Publishing goes through the control plane's store, and the attestation is handed in."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from headway.builds import attestation
from headway.builds.storage import DirectoryStorage
from headway.model.access import Identity, Role
from headway.model.build import Build
from headway.model.plan import AppConfig
from headway.model.views import AppView
from headway.signing import Signer, Trust
from tests.unit.cli import examples
from tests.unit.cli.fake_api import FakeApi


class Place:
    """A source tree, a key, and the store behind the fake control plane."""

    def __init__(self, root: Path, api: FakeApi) -> None:
        self.api = api
        self.signer = Signer.generate()
        self.key = root / "build.key"
        self.signer.save(self.key)
        self.tree = root / "tree"
        self.tree.mkdir()
        (self.tree / "hello.txt").write_text("hello")
        self.store = root / "store"
        self.opened: list[tuple[str, str | None]] = []

    def open(self, url: str, token: str | None = None) -> DirectoryStorage:
        self.opened.append((url, token))
        return DirectoryStorage(self.store)

    def commit(self, subject: str) -> None:
        """Make the tree a git repository of one commit."""
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", subject]):
            subprocess.run(["git", *identity, *arguments], cwd=self.tree, check=True)

    def handed_in(self) -> Build:
        """The build of the attestation that the API was given, checked with the key."""
        envelope = self.api.asked[-1].body
        return attestation.open(envelope, Trust.of(self.signer.public_pem), "web")


@pytest.fixture
def place(tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path, api)
    monkeypatch.setattr("headway.builds.storage.open", place.open)
    api.on("GET", "/v1/apps/web", AppView(AppConfig("web")))
    api.on("GET", "/v1/apps/web/builds", [])
    api.on("POST", "/v1/apps/web/builds", examples.BUILD)
    api.on("GET", "/v1/whoami", Identity("alice", Role.DEPLOYER))
    return place


def test_a_directory_is_published_and_its_attestation_handed_in(
    headway: Any, api: FakeApi, place: Place
) -> None:
    ended = headway(
        *["build", "publish", str(place.tree), "--app", "web", "--commit", "abc123"],
        *["--key", str(place.key), "--subject", "say hello"],
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("build    a1b2c3d4e5f6\n")
    assert place.opened == [(f"{api.url}/v1/store", "t0ken")]
    made = place.handed_in()
    assert (made.app, made.commit, made.subject, made.by) == ("web", "abc123", "say hello", "alice")
    assert (made.files, made.bytes) == (1, 5)


def test_the_key_may_come_from_the_environment_and_must_come_from_somewhere(
    headway: Any, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ["build", "publish", str(place.tree), "--app", "web", "--commit", "abc123", "--json"]
    missing = headway(*call)
    assert missing.code == 2
    assert "'--key' (env var: 'HEADWAY_BUILD_KEY')" in missing.err
    monkeypatch.setenv("HEADWAY_BUILD_KEY", str(place.key))
    assert headway(*call).json["id"] == examples.BUILD.id


def test_what_an_earlier_build_holds_is_not_stored_again(
    headway: Any, api: FakeApi, place: Place
) -> None:
    call = ["build", "publish", str(place.tree), "--app", "web", "--key", str(place.key)]
    headway(*call, "--commit", "one")
    first = place.handed_in()
    api.on("GET", "/v1/apps/web/builds", [first])
    (place.tree / "more.txt").write_text("more")
    headway(*call, "--commit", "two")
    packs = sorted((place.store / "web" / "packs").iterdir(), key=lambda pack: pack.stat().st_size)
    assert len(packs) == 2
    assert sum(pack.stat().st_size for pack in packs) < 2 * (first.new_bytes + len("more"))


def test_a_build_is_made_from_a_commit_with_the_apps_own_command(
    headway: Any, api: FakeApi, place: Place
) -> None:
    command = ("sh", "-c", "mkdir dist && cat hello.txt hello.txt > dist/twice.txt")
    config = AppConfig(name="web", make=command, output="dist")
    api.on("GET", "/v1/apps/web", AppView(config))
    place.commit("Say hello")
    ended = headway(
        *["build", "make", "HEAD", "--repo", str(place.tree), "--app", "web"],
        *["--key", str(place.key)],
    )
    assert (ended.code, ended.err) == (0, "")
    made = place.handed_in()
    assert (made.subject, made.files, made.bytes) == ("Say hello", 1, 10)
    assert len(made.commit) == 40


def test_a_command_that_fails_shows_its_last_output(
    headway: Any, api: FakeApi, place: Place
) -> None:
    config = AppConfig(name="web", make=("sh", "-c", "echo no compiler >&2; exit 3"))
    api.on("GET", "/v1/apps/web", AppView(config))
    place.commit("Break it")
    ended = headway(
        *["build", "make", "HEAD", "--repo", str(place.tree), "--app", "web"],
        *["--key", str(place.key)],
    )
    assert ended.code == 9
    assert ended.err == (
        "headway: 'sh' ended with status 3; its last output says why\n  no compiler\n"
    )
    assert not place.opened
