"""Each promise of the sign-in has a mutant that breaks it, and its test catches it."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from authlib.oidc.core import CodeIDToken

from headway.model.access import Identity
from headway.server.auth import people, throttle
from headway.server.auth.callers import Callers
from headway.server.auth.oidc import Provider
from headway.server.auth.sessions import Sessions
from headway.server.cockpit import entrance
from headway.server.database import users
from headway.signals.memory import MemorySignals
from tests.unit.cockpit import test_provider, test_sign_in
from tests.unit.cockpit.conftest import Visitor, visiting
from tests.unit.server import test_oidc
from tests.unit.server.conftest import Clock, make_plane
from tests.unit.server.herd import set_up
from tests.unit.server.hostile_provider import HostileProvider

pytestmark = pytest.mark.anyio

Mutate = Callable[[pytest.MonkeyPatch], None]
Caught = Callable[[Visitor, HostileProvider, Clock], Awaitable[None]]


def the_state_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Provider, "_is_ours", lambda self, flow, answer: True)


def the_nonce_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CodeIDToken, "validate_nonce", lambda self: None)


def the_issuer_of_an_answer_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Provider, "_check_issuer", lambda self, metadata, answer: None)


def a_role_stays_as_it_was_at_the_sign_in(patch: pytest.MonkeyPatch) -> None:
    genuine = Callers.person
    first: dict[str, Identity] = {}

    def person(self: Callers, name: str) -> Identity:
        return first.setdefault(name, genuine(self, name))

    patch.setattr(Callers, "person", person)


def whoever_is_removed_stays_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Callers, "dismiss", lambda self, name: None)
    patch.setattr(Sessions, "forget", lambda self, *hashes: None)


def a_new_sign_in_leaves_the_old_session(patch: pytest.MonkeyPatch) -> None:
    async def leave(*_: object) -> None: ...

    patch.setattr(entrance, "_leave", leave)


def a_name_is_whatever_the_provider_says(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(users, "token_role", lambda connection, name: None)


def guessing_costs_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(throttle, "BY_NAME", throttle.Rate(1.0, 10**6))
    patch.setattr(throttle, "BY_ADDRESS", throttle.Rate(1.0, 10**6))


def strangers_empty_everybodys_bucket(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(throttle.Throttle, "_seal", lambda self, name, salt: "!")


def the_reason_tells_names_apart(patch: pytest.MonkeyPatch) -> None:
    genuine = people.People._check

    async def check(self, name, password, visitor, mark):
        if self._callers.user(name) is None:
            raise people.Unauthenticated(f"there is no user {name}")
        return await genuine(self, name, password, visitor, mark)

    patch.setattr(people.People, "_check", check)


def the_door_leads_anywhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(entrance, "ours", lambda path: path)


def by_provider(test: Callable[..., Awaitable[None]], *more: object) -> Caught:
    return lambda visitor, there, clock: test(there, *more)


def by_pages(test: Callable[..., Awaitable[None]], *more: object) -> Caught:
    return lambda visitor, there, clock: test(visitor, *more)


def by_both(test: Callable[..., Awaitable[None]], *more: object) -> Caught:
    return lambda visitor, there, clock: test(visitor, there, *more)


MUTANTS: list[tuple[Mutate, Caught]] = [
    (
        the_state_is_not_checked,
        by_provider(test_oidc.test_an_answer_to_what_was_not_begun_here, "wrong"),
    ),
    (
        the_nonce_is_not_checked,
        by_provider(test_oidc.test_what_does_not_hold_is_not_believed, "another nonce"),
    ),
    (
        the_issuer_of_an_answer_is_not_checked,
        by_provider(test_oidc.test_an_answer_of_another_provider),
    ),
    (
        a_role_stays_as_it_was_at_the_sign_in,
        by_pages(test_sign_in.test_a_change_of_role_counts_in_an_open_session, None),
    ),
    (
        a_role_stays_as_it_was_at_the_sign_in,
        by_pages(test_sign_in.test_an_open_stream_ends_with_what_it_stands_on, None, "role"),
    ),
    (
        whoever_is_removed_stays_in,
        by_pages(test_sign_in.test_who_is_removed_is_out, None),
    ),
    (
        a_new_sign_in_leaves_the_old_session,
        by_pages(test_sign_in.test_signing_in_again_makes_a_new_session, None),
    ),
    (
        a_name_is_whatever_the_provider_says,
        by_both(test_provider.test_nobody_comes_in_under_the_name_of_somebody_else),
    ),
    (
        guessing_costs_nothing,
        lambda visitor, there, clock: test_sign_in.test_guessing_has_to_wait(visitor, clock),
    ),
    (
        strangers_empty_everybodys_bucket,
        by_pages(test_sign_in.test_whoever_guesses_locks_nobody_out),
    ),
    (
        the_reason_tells_names_apart,
        by_pages(
            test_sign_in.test_what_is_wrong_is_told_in_the_same_words,
            "nobody",
            test_sign_in.PASSWORD,
        ),
    ),
    (
        the_door_leads_anywhere,
        by_both(test_provider.test_the_way_back_leads_nowhere_else, "//evil.example"),
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant[0].__name__)
async def test_a_mutant_is_caught(
    mutant: tuple[Mutate, Caught],
    tmp_path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutate, caught = mutant
    for name in ("genuine", "mutated"):
        home = tmp_path / name
        home.mkdir()
        there = HostileProvider(clock)
        async with AsyncExitStack() as stack:
            plane = make_plane(home, MemorySignals(), clock, provider=there.provider())
            visitor = await stack.enter_async_context(visiting(plane))
            await set_up(plane)
            if name == "genuine":
                await caught(visitor, there, clock)
                continue
            mutate(monkeypatch)
            with pytest.raises((AssertionError, pytest.fail.Exception)):
                await caught(visitor, there, clock)
