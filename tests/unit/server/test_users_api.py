"""Users by the API: what is accepted, what is told, and what stays secret."""

import asyncio

import pytest
from argon2 import extract_parameters
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import Busy, InvalidInput
from headway.model.access import Role
from headway.server.auth.passwords import AT_ONCE, WAITING, Passwords, normal
from headway.server.auth.throttle import KEPT, Throttle, Throttled, network
from headway.server.database import users
from headway.server.plane import ControlPlane
from tests.unit.server.conftest import Clock, Web

pytestmark = pytest.mark.anyio

A, N = Role.ADMIN, Role.NODE
PASSWORD = "correct horse battery"
ALICE = {"name": "alice", "role": "deployer", "password": PASSWORD}


async def test_a_user_from_the_first_day_to_the_last(web: Web) -> None:
    made = await web(A, "POST", "/v1/users", json=ALICE)
    assert made.status_code == 201
    view = made.json()
    assert (view["name"], view["role"], view["by"]) == ("alice", "deployer", "password")
    again = await web(A, "POST", "/v1/users", json=ALICE)
    assert (again.status_code, again.json()["code"]) == (409, "refused")
    changed = await web(A, "PUT", "/v1/users/alice/role", json={"role": "admin"})
    assert changed.json()["role"] == "admin"
    new = {"password": "another " + PASSWORD}
    assert (await web(A, "PUT", "/v1/users/alice/password", json=new)).status_code == 204
    assert (await web(A, "DELETE", "/v1/users/alice/sessions")).status_code == 204
    listed = await web(A, "GET", "/v1/users")
    assert [user["name"] for user in listed.json()] == ["alice"]
    journal = (await web(A, "GET", "/v1/journal")).text
    for told in ("adds the user alice, a deployer", "makes alice an admin", "the password of"):
        assert told in journal
    kept = await web.plane.database.read(users.every)
    for text in (made.text, listed.text, journal, repr(kept)):
        assert PASSWORD not in text and "argon2" not in text
    assert (await web(A, "DELETE", "/v1/users/alice")).status_code == 204
    for method, path, body in (
        ("DELETE", "/v1/users/alice", None),
        ("DELETE", "/v1/users/alice/sessions", None),
        ("PUT", "/v1/users/alice/role", {"role": "viewer"}),
        ("PUT", "/v1/users/alice/password", new),
    ):
        gone = await web(A, method, path, json=body)
        assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "Alice"},
        {"name": "a b"},
        {"name": "x" * 129},
        {"name": "headway"},
        {"name": "-x"},
        {"role": "root"},
        {"role": "node"},
        {"password": "eleven char"},
        {"password": ""},
        {"password": "x" * 1025},
        {"password": "é" * 600},
        {"password": 7},
        {"pasword": "x"},
    ],
)
async def test_what_is_no_user_is_refused(web: Web, change: dict[str, object]) -> None:
    refused = await web(A, "POST", "/v1/users", json={**ALICE, **change})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert PASSWORD not in refused.text
    assert await web.plane.database.read(users.every) == ()


async def test_people_and_nodes_do_not_share_names(web: Web) -> None:
    node = await web(A, "POST", "/v1/users", json={**ALICE, "name": "n1"})
    assert (node.status_code, "name of a node" in node.text) == (409, True)
    await web(A, "POST", "/v1/users", json=ALICE)
    token = await web(A, "POST", "/v1/tokens", json={"name": "Alice", "role": "node"})
    assert (token.status_code, "name of a user" in token.text) == (409, True)
    hers = await web(A, "POST", "/v1/tokens", json={"name": "alice", "role": "viewer"})
    assert hers.status_code == 201, "an admin may give a person a token"
    ours = await web(A, "POST", "/v1/tokens", json={"name": "headway", "role": "viewer"})
    assert ours.status_code == 400


async def test_a_person_is_somebody_to_chat_and_rota(plane: ControlPlane) -> None:
    await plane.people.add("alice", Role.DEPLOYER, PASSWORD, "root")
    assert plane.callers.is_known("alice")
    named = plane.callers.named("alice")
    assert named and named.role is Role.DEPLOYER
    await plane.people.set_role("alice", Role.VIEWER, "root")
    named = plane.callers.named("alice")
    assert named and named.role is Role.VIEWER
    await plane.people.remove("alice", "root")
    assert not plane.callers.is_known("alice")
    await plane.database.close()


async def test_a_stream_of_events_ends_with_its_token(web: Web) -> None:
    from headway.server.api.events import _events

    made = await web(A, "POST", "/v1/tokens", json={"name": "ci", "role": "viewer"})
    stream = _events(web.plane, made.json()["token"], 10**6)
    assert await anext(stream)
    await web(A, "DELETE", "/v1/tokens/ci")
    async with asyncio.timeout(10):
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@given(st.text(max_size=60))
def test_a_password_is_taken_or_refused_with_a_sentence(text: str) -> None:
    try:
        taken = normal(text)
    except InvalidInput as error:
        assert text not in error.sentence or len(text) < 3
    else:
        assert len(taken) >= 12 and len(taken.encode()) <= 1024
        assert normal(taken) == taken


async def test_hashes_are_argon2id_as_is_recommended_now() -> None:
    passwords = Passwords()
    hashed = await passwords.hash(normal(PASSWORD))
    assert extract_parameters(hashed) == RFC_9106_LOW_MEMORY
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.matches(hashed, PASSWORD)
    assert not await passwords.matches(hashed, PASSWORD + "!")
    assert not await passwords.matches("", "nobody has this password")
    assert not await passwords.matches("no hash", PASSWORD)
    passwords.close()


async def test_only_so_many_are_hashed_at_a_time() -> None:
    passwords = Passwords(CHEAPEST)
    many = [passwords.hash(PASSWORD) for _ in range(AT_ONCE + WAITING + 5)]
    done = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(one, Busy) for one in done) == 5
    assert await passwords.hash(PASSWORD)
    passwords.close()


def test_buckets_fill_again_and_are_bounded(clock: Clock) -> None:
    throttle = Throttle(clock)
    for _ in range(10):
        throttle.take("alice", "10.0.0.1", "")
    with pytest.raises(Throttled) as first:
        throttle.take("alice", "10.0.0.2", "")
    with pytest.raises(Throttled) as second:
        throttle.take("alice", "10.0.0.2", "")
    assert (first.value.first, second.value.first) == (True, False)
    assert first.value.after == 60
    clock.now += 60
    throttle.take("alice", "10.0.0.2", "")()
    for number in range(KEPT + 10):
        throttle.take(f"name{number}", f"10.{number >> 8}.{number & 255}.1", "")
    assert len(throttle._buckets) <= KEPT


@pytest.mark.parametrize("mark", ["", ".", "x.y", "é.\ud800", "0." + "0" * 64])
def test_a_mark_cannot_be_made_up(clock: Clock, mark: str) -> None:
    throttle = Throttle(clock)
    throttle.take("alice", "10.0.0.1", mark)
    assert not any(key.startswith("browser") for key in throttle._buckets)
    genuine = throttle.mark("alice")
    throttle.take("bob", "10.0.0.1", genuine)
    assert not any(key.startswith("browser") for key in throttle._buckets)
    throttle.take("alice", "10.0.0.1", genuine)
    assert any(key.startswith("browser") for key in throttle._buckets)


@pytest.mark.parametrize(
    ("address", "theirs"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", ""),
        ("no address", "no address"),
    ],
)
def test_whose_an_address_is(address: str, theirs: str) -> None:
    assert network(address) == theirs
