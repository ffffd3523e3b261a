"""Sign-in with a provider: what is believed of what it says, and who that is then."""

import asyncio
from typing import Any

import httpx2
import pytest
from joserfc.jwk import RSAKey
from msgspec.structs import replace

from headway.errors import Busy, Denied, InvalidInput, Unreachable
from headway.model.access import Role
from headway.server.auth.claims import Known, claim, person
from headway.server.auth.discovery import KEPT_SECONDS, PAUSE_SECONDS
from headway.server.auth.oidc import AT_ONCE, FLOW_SECONDS, SKEW_SECONDS, Provider
from headway.server.config import OidcSettings
from tests.unit.server.conftest import Clock
from tests.unit.server.hostile_provider import BACK, CLIENT, ISSUER, SECRET, HostileProvider

pytestmark = pytest.mark.anyio


@pytest.fixture
def there(clock: Clock) -> HostileProvider:
    return HostileProvider(clock)


async def come_back(there: HostileProvider, provider: Provider | None = None) -> Known:
    provider = provider or there.provider()
    url, flow = await provider.begin("/apps/web")
    return await provider.finish(flow, there.consent(url))


async def test_somebody_comes_back_as_who_they_are(there: HostileProvider) -> None:
    provider = there.provider()
    url, flow = await provider.begin("/apps/web")
    assert url.startswith(f"{ISSUER}/authorize?")
    assert flow.beyond == "/apps/web"
    known = await provider.finish(flow, there.consent(url))
    assert known == Known("subject-1", "alice", Role.DEPLOYER)
    assert flow.verifier not in url
    assert "openid" in url and "code_challenge_method=S256" in url


@pytest.mark.parametrize("state", ["", "wrong", "é\ud800", None])
async def test_an_answer_to_what_was_not_begun_here(there: HostileProvider, state: Any) -> None:
    provider = there.provider()
    url, flow = await provider.begin("/")
    answer = there.consent(url)
    answer.pop("state") if state is None else answer.update(state=state)
    there.asked.clear()
    with pytest.raises(Denied, match="not begun in this browser"):
        await provider.finish(flow, answer)
    assert there.asked == [], "the code of somebody else is not even shown to the provider"


async def test_an_answer_without_the_cookie_or_too_late(
    there: HostileProvider, clock: Clock
) -> None:
    provider = there.provider()
    url, flow = await provider.begin("/")
    answer = there.consent(url)
    with pytest.raises(Denied, match="not begun in this browser"):
        await provider.finish(None, answer)
    clock.now += FLOW_SECONDS + 1
    with pytest.raises(Denied, match="too long ago"):
        await provider.finish(flow, answer)


async def test_a_code_counts_once(there: HostileProvider) -> None:
    provider = there.provider()
    url, flow = await provider.begin("/")
    answer = there.consent(url)
    await provider.finish(flow, answer)
    with pytest.raises(Denied, match="did not sign you in"):
        await provider.finish(flow, answer)


async def test_a_code_that_was_stolen_is_of_no_use(there: HostileProvider) -> None:
    """PKCE and nonce: the thief has the code, but began a sign-in of their own."""
    provider = there.provider()
    url, _ = await provider.begin("/")
    stolen = there.consent(url)
    _, theirs = await provider.begin("/")
    with pytest.raises(Denied, match="did not sign you in"):
        await provider.finish(theirs, {**stolen, "state": theirs.state})


LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "another"}},
    "no nonce": {"claims": {"nonce": None}},
    "an empty nonce": {"claims": {"nonce": ""}},
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "an issuer with a slash": {"claims": {"iss": ISSUER + "/"}},
    "no issuer": {"claims": {"iss": None}},
    "for somebody else": {"claims": {"aud": "another-client"}},
    "for nobody": {"claims": {"aud": None}},
    "for us and others, with no word who asked": {"claims": {"aud": [CLIENT, "other"]}},
    "for us, asked by others": {"claims": {"azp": "other"}},
    "expired": {"claims": {"exp": 999_000}},
    "never expires": {"claims": {"exp": None}},
    "expires at NaN": {"claims": {"exp": float("nan")}},
    "expires in words": {"claims": {"exp": "tomorrow"}},
    "from the future": {"claims": {"iat": 1_000_900}},
    "not valid yet": {"claims": {"nbf": 1_000_900}},
    "of another access token": {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "an at_hash that is a number": {"claims": {"at_hash": 7}},
    "nobody": {"claims": {"sub": None}},
    "a number": {"claims": {"sub": 7}},
    "an endless name": {"claims": {"sub": "x" * 256}},
    "alg none": {"header": {"alg": "none"}},
    "unsigned": {"mangle": lambda encoded: encoded.rpartition(".")[0] + "."},
    "cut off": {"mangle": lambda encoded: encoded[:-20]},
    "nothing": {"mangle": lambda encoded: ""},
    "no token": {"token": {"id_token": None}},
    "a list": {"token": {"id_token": ["x"]}},
}


@pytest.mark.parametrize("lie", LIES)
async def test_what_does_not_hold_is_not_believed(there: HostileProvider, lie: str) -> None:
    for name, value in LIES[lie].items():
        setattr(there, name, value)
    with pytest.raises(Denied, match=r"does not hold|who you are"):
        await come_back(there)


async def test_a_signature_of_somebody_else(there: HostileProvider) -> None:
    there.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    with pytest.raises(Denied, match="does not hold"):
        await come_back(there)


async def test_a_public_key_is_no_shared_secret(there: HostileProvider) -> None:
    there.metadata["id_token_signing_alg_values_supported"] = ["RS256", "HS256", "none"]
    there.header = {"alg": "HS256", "kid": "one"}
    with pytest.raises(Denied, match="does not hold"):
        await come_back(there)
    there.header = {"alg": "none"}
    with pytest.raises(Denied, match="does not hold"):
        await come_back(there)


@pytest.mark.parametrize("skew", [-SKEW_SECONDS + 1, SKEW_SECONDS - 1])
async def test_clocks_may_differ_a_little(
    there: HostileProvider, clock: Clock, skew: float
) -> None:
    now = int(clock.now)
    there.claims = {"iat": now + skew, "exp": now + skew + 1}
    assert (await come_back(there)).name == "alice"


async def test_several_audiences_with_us_as_the_one_who_asked(there: HostileProvider) -> None:
    there.claims = {"aud": [CLIENT, "other"], "azp": CLIENT}
    assert (await come_back(there)).name == "alice"


async def test_keys_are_looked_up_again_when_they_change(
    there: HostileProvider, clock: Clock
) -> None:
    provider = there.provider()
    await come_back(there, provider)
    await come_back(there, provider)
    assert there.asked.count("/keys") == 1
    new = RSAKey.generate_key(2048, {"kid": "two"})
    there.keys, there.signs_with, there.header = [new], new, {"kid": "two"}
    clock.now += PAUSE_SECONDS
    assert (await come_back(there, provider)).name == "alice"
    assert there.asked.count("/keys") == 2


async def test_unknown_keys_do_not_make_us_ask_without_end(
    there: HostileProvider, clock: Clock
) -> None:
    provider = there.provider()
    await come_back(there, provider)
    clock.now += PAUSE_SECONDS
    there.header = {"kid": "unknown"}
    for _ in range(20):
        with pytest.raises(Denied):
            await come_back(there, provider)
    assert there.asked.count("/keys") == 2


async def test_what_it_says_of_itself_is_kept_for_a_while(
    there: HostileProvider, clock: Clock
) -> None:
    provider = there.provider()
    await asyncio.gather(*(provider.begin("/") for _ in range(10)))
    assert len(there.asked) == 1
    clock.now += KEPT_SECONDS
    there.down = True
    assert await provider.begin("/"), "what is known serves on"
    there.down = False
    clock.now += PAUSE_SECONDS
    await provider.begin("/")
    assert len(there.asked) == 3


async def test_a_provider_that_is_down_is_asked_rarely(
    there: HostileProvider, clock: Clock
) -> None:
    provider = there.provider()
    there.down = True
    for _ in range(10):
        with pytest.raises(Unreachable, match="Example ID does not answer"):
            await provider.begin("/")
    assert len(there.asked) == 1
    there.down = False
    clock.now += PAUSE_SECONDS
    url, flow = await provider.begin("/")
    answer = there.consent(url)
    there.down = True
    with pytest.raises(Unreachable):
        await provider.finish(flow, answer)


async def test_strangers_cannot_have_it_flooded(there: HostileProvider) -> None:
    async def slowly(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)
        return there(request)

    transport = httpx2.MockTransport(slowly)
    provider = Provider(there.settings(), SECRET, BACK, there.clock, transport)
    flows = [await provider.begin("/") for _ in range(AT_ONCE + 5)]
    answers = [provider.finish(flow, there.consent(url)) for url, flow in flows]
    done = await asyncio.gather(*answers, return_exceptions=True)
    assert sum(isinstance(one, Busy) for one in done) == 5
    assert sum(isinstance(one, Known) for one in done) == AT_ONCE
    assert await come_back(there, provider)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": ISSUER + "/"},
        {"issuer": None},
        {"authorization_endpoint": "http://id.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "http://id.example/token"},
        {"jwks_uri": None},
        {"jwks_uri": ["https://id.example/keys"]},
    ],
)
async def test_another_provider_behind_the_address(
    there: HostileProvider, metadata: dict[str, Any]
) -> None:
    there.metadata = metadata
    with pytest.raises(Unreachable, match="not set up as the server's file says"):
        await there.provider().begin("/")


async def test_an_answer_of_another_provider(there: HostileProvider) -> None:
    provider = there.provider()
    url, flow = await provider.begin("/")
    answer = there.consent(url)
    with pytest.raises(Denied, match="did not come from Example ID"):
        await provider.finish(flow, {**answer, "iss": "https://evil.example"})
    assert "/token" not in there.asked, "no code goes to the wrong one"
    there.metadata["authorization_response_iss_parameter_supported"] = True
    strict = there.provider()
    url, flow = await strict.begin("/")
    with pytest.raises(Denied, match="did not come from Example ID"):
        await strict.finish(flow, there.consent(url))
    url, flow = await strict.begin("/")
    assert await strict.finish(flow, {**there.consent(url), "iss": ISSUER})


async def test_a_refusal_is_told_without_foreign_words(there: HostileProvider) -> None:
    provider = there.provider()
    _, flow = await provider.begin("/")
    answer = {
        "state": flow.state,
        "error": "access_denied<script>" + "x" * 100,
        "error_description": "call +1 555 and tell them your password",
    }
    with pytest.raises(Denied) as refused:
        await provider.finish(flow, answer)
    assert refused.value.sentence.startswith("Example ID did not sign you in (access_denied")
    assert "<" not in refused.value.sentence and "555" not in refused.value.sentence


async def test_what_the_token_leaves_out_userinfo_may_tell(there: HostileProvider) -> None:
    there.claims = {"groups": None}
    there.userinfo = {"sub": "subject-1", "groups": ["boss"], "preferred_username": "mallory"}
    known = await come_back(there)
    assert (known.name, known.role) == ("alice", Role.ADMIN), "the token has the last word"
    there.userinfo = {"sub": "subject-2", "groups": ["boss"]}
    with pytest.raises(Denied, match="does not hold"):
        await come_back(there)


@pytest.mark.parametrize("issuer", ["http://id.example", "http://127.0.0.1.evil.example"])
async def test_a_provider_in_the_clear_is_refused(there: HostileProvider, issuer: str) -> None:
    with pytest.raises(InvalidInput, match="must begin with https"):
        Provider(replace(there.settings(), issuer=issuer), "", "x", there.clock)


def test_a_provider_that_gives_nobody_a_role_is_refused(there: HostileProvider) -> None:
    with pytest.raises(InvalidInput, match="gives nobody a role"):
        there.provider(roles={})


# Who somebody is, by the settings.

SETTINGS = OidcSettings(ISSUER, CLIENT, roles={"ops": "deployer", "boss": "admin", "all": "viewer"})
ALICE = {"sub": "1", "preferred_username": "alice", "groups": ["ops"]}
MAIL = {"email": "Alice@Example.ORG", "email_verified": True}


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["ops"], Role.DEPLOYER),
        ("all", Role.VIEWER),
        (["all", "boss", "ops"], Role.ADMIN),
        (["nothing", 7, None, ["boss"], "ops"], Role.DEPLOYER),
    ],
)
def test_the_highest_role_of_ones_groups_counts(groups: Any, role: Role) -> None:
    assert person({**ALICE, "groups": groups}, SETTINGS).role is role


@pytest.mark.parametrize("groups", [None, [], "bosses", ["BOSS"], {"boss": True}, 7])
def test_without_a_group_one_is_refused_or_gets_the_default(groups: Any) -> None:
    claims = {**ALICE, "groups": groups}
    with pytest.raises(Denied, match=r"none of your groups has a role here.*all, boss, ops"):
        person(claims, SETTINGS)
    assert person(claims, replace(SETTINGS, default_role="viewer")).role is Role.VIEWER


def test_groups_may_lie_deep_or_have_dots() -> None:
    deep = {**ALICE, "groups": None, "realm_access": {"roles": ["boss"]}}
    settings = replace(SETTINGS, groups_claim="realm_access.roles")
    assert person(deep, settings).role is Role.ADMIN
    assert claim({"https://x.example/groups": ["a"]}, "https://x.example/groups") == ["a"]
    assert claim({"a": 7}, "a.b") is None


@pytest.mark.parametrize(
    ("claims", "match"),
    [
        ({}, "vouch"),
        ({"email": "alice@example.org"}, "vouch"),
        ({"email": "alice@example.org", "email_verified": "true"}, "vouch"),
        ({"email": "alice@example.org", "email_verified": False}, "vouch"),
        ({"email": "alice@evil.example", "email_verified": True}, "at another"),
        ({"email": "alice@example.org@evil.example", "email_verified": True}, "at another"),
        ({"email": "alice@sub.example.org", "email_verified": True}, "at another"),
        ({"email": "example.org", "email_verified": True}, "at another"),
    ],
)
def test_only_verified_addresses_of_the_domains_come_in(claims: Any, match: str) -> None:
    settings = replace(SETTINGS, email_domains=("example.org",))
    with pytest.raises(Denied, match=match):
        person({**ALICE, **claims}, settings)
    assert person({**ALICE, **MAIL}, settings).name == "alice"


def test_an_address_is_a_name_only_when_it_is_verified() -> None:
    settings = replace(SETTINGS, name_claim="email")
    assert person({**ALICE, **MAIL}, settings).name == "alice@example.org"
    with pytest.raises(Denied, match="vouch"):
        person({**ALICE, "email": "alice@example.org"}, settings)


@pytest.mark.parametrize("name", [None, "", "  ", 7, ["alice"]])
def test_somebody_without_a_name_is_refused(name: Any) -> None:
    with pytest.raises(Denied, match="does not tell your name"):
        person({**ALICE, "preferred_username": name}, SETTINGS)
