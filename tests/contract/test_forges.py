"""One contract for every forge, and what is particular to each, on recorded answers."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from headway.errors import Busy, Denied, HeadwayError, InvalidInput, Unauthenticated, Unreachable
from headway.forge import hooks
from headway.forge.github import GitHub
from headway.forge.gitlab import GitLab
from headway.forge.plain import Plain
from headway.forge.port import Commit, Forge, Pull
from headway.model.release import CheckState, Review
from tests.contract import forge_server as recorded
from tests.contract.forge_server import ForgeServer, Trouble

COMMIT = "c" * 40
OTHER = "d" * 40
MERGED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC).timestamp()
TOKEN = "t0ps3cret"


@pytest.fixture
def server() -> Iterator[ForgeServer]:
    with recorded.serving() as forge:
        yield forge


def commit(id: str = COMMIT, **more: Any) -> Commit:
    given = {"parents": (), "author": "Ann A.", "email": "ann@example.org", "at": 5.0}
    return Commit(id=id, subject="Merge it", **given | more)


class Kind(Protocol):
    """How a forge is asked in these tests, and what it is given to say."""

    def open(self, server: ForgeServer) -> Forge: ...

    def say(
        self,
        server: ForgeServer,
        *,
        review: Review = Review.APPROVED,
        tests: CheckState = CheckState.GREEN,
    ) -> None: ...


class OnGitHub:
    def open(self, server: ForgeServer) -> Forge:
        return GitHub("acme/web", TOKEN, server.url)

    def say(self, server: ForgeServer, *, review=Review.APPROVED, tests=CheckState.GREEN) -> None:  # type: ignore[no-untyped-def]
        reviews = {
            Review.APPROVED: ["COMMENTED", "CHANGES_REQUESTED", "APPROVED", "COMMENTED"],
            Review.REFUSED: ["APPROVED", "CHANGES_REQUESTED", "COMMENTED"],
            Review.MISSING: ["APPROVED", "DISMISSED", "COMMENTED"],
        }[review]
        runs = {
            CheckState.GREEN: [("completed", "success"), ("completed", "skipped")],
            CheckState.RED: [("completed", "success"), ("completed", "timed_out")],
            CheckState.RUNNING: [("completed", "success"), ("in_progress", None)],
            CheckState.UNKNOWN: [],
        }[tests]
        base = "/repos/acme/web"
        server.answers |= {
            f"{base}/commits/{COMMIT}/pulls": [
                recorded.github_pull(11, OTHER) | recorded.OPEN,
                recorded.github_pull(13, OTHER),
                recorded.github_pull(12, COMMIT),
            ],
            f"{base}/pulls/12/reviews": [recorded.github_review("bob", one) for one in reviews],
            f"{base}/commits/{12:040x}/check-runs": recorded.github_runs(*runs),
            f"{base}/commits/{12:040x}/status": recorded.github_status(),
            f"{base}/commits/{OTHER}/pulls": [],
            f"{base}/pulls": [],
        }
        server.posts[f"{base}/pulls"] = recorded.github_pull(40, COMMIT)


class OnGitLab:
    def open(self, server: ForgeServer) -> Forge:
        return GitLab("acme/web", TOKEN, f"{server.url}/api/v4")

    def say(self, server: ForgeServer, *, review=Review.APPROVED, tests=CheckState.GREEN) -> None:  # type: ignore[no-untyped-def]
        base = "/api/v4/projects/acme%2Fweb"
        states = {
            CheckState.GREEN: {"status": "success", "id": 1},
            CheckState.RED: {"status": "failed", "id": 1},
            CheckState.RUNNING: {"status": "waiting_for_resource", "id": 1},
            CheckState.UNKNOWN: None,
        }
        refused = review is Review.REFUSED
        approved = {
            Review.APPROVED: recorded.gitlab_approvals("ann", "bob"),
            Review.REFUSED: recorded.gitlab_approvals("cyd"),
            Review.MISSING: recorded.gitlab_approvals("ann"),
        }[review]
        server.answers |= {
            f"{base}/repository/commits/{COMMIT}/merge_requests": [
                recorded.gitlab_request(11, OTHER, merged_at=None, state="opened"),
                recorded.gitlab_request(13, OTHER),
                recorded.gitlab_request(12, COMMIT),
            ],
            f"{base}/merge_requests/12": recorded.gitlab_request(
                12, COMMIT, head_pipeline=states[tests]
            ),
            f"{base}/merge_requests/12/approvals": approved,
            f"{base}/merge_requests/12/reviewers": [
                recorded.gitlab_reviewer("cyd", "reviewed"),
                recorded.gitlab_reviewer("dan", "unreviewed"),
                recorded.gitlab_reviewer("bob", "requested_changes" if refused else "approved"),
            ],
            f"{base}/repository/commits/{OTHER}/merge_requests": [],
            f"{base}/merge_requests": [],
        }
        server.posts[f"{base}/merge_requests"] = recorded.gitlab_request(40, COMMIT)


def told(kind: Kind, server: ForgeServer) -> Pull:
    forge = kind.open(server)
    try:
        return forge.pulls([commit()])[COMMIT]
    finally:
        forge.close()


KINDS: dict[str, Callable[[], Kind]] = {"github": OnGitHub, "gitlab": OnGitLab}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]()


@pytest.fixture
def forge(kind: Kind, server: ForgeServer) -> Iterator[Forge]:
    opened = kind.open(server)
    yield opened
    opened.close()


def test_the_request_that_brought_a_commit_is_told(
    kind: Kind, server: ForgeServer, forge: Forge
) -> None:
    kind.say(server)
    pulls = forge.pulls([commit(), commit(OTHER)])
    assert set(pulls) == {COMMIT}
    pull = pulls[COMMIT]
    assert (pull.number, pull.title, pull.author, pull.merged_at) == (
        12,
        "Change 12",
        "ann",
        MERGED,
    )
    assert pull.url.endswith("/12")
    assert (pull.review, pull.tests) == (Review.APPROVED, CheckState.GREEN)


@pytest.mark.parametrize("review", [Review.APPROVED, Review.REFUSED, Review.MISSING])
def test_reviews_are_read_to_the_last_page(
    kind: Kind, server: ForgeServer, forge: Forge, review: Review
) -> None:
    """Two to a page: what decides is on a later one."""
    kind.say(server, review=review)
    assert forge.pulls([commit()])[COMMIT].review is review


@pytest.mark.parametrize("tests", list(CheckState))
def test_checks(kind: Kind, server: ForgeServer, forge: Forge, tests: CheckState) -> None:
    kind.say(server, tests=tests)
    assert forge.pulls([commit()])[COMMIT].tests is tests


def test_the_token_is_sent_and_never_told(kind: Kind, server: ForgeServer, forge: Forge) -> None:
    kind.say(server)
    forge.pulls([commit()])
    assert all(any(TOKEN in value for value in sent.values()) for _, _, sent in server.asked)
    assert all(TOKEN not in path for _, path, _ in server.asked)
    server.troubles = [Trouble(401, body={"message": f"bad {TOKEN}"})]
    with pytest.raises(Denied) as refusal:
        forge.pulls([commit()])
    assert TOKEN not in str(refusal.value)


def test_an_answer_again_is_no_new_request_for_the_same_pull(
    kind: Kind, server: ForgeServer, forge: Forge
) -> None:
    """A pull request of many commits is looked at once."""
    kind.say(server)
    (name,) = [one for one in server.answers if COMMIT in one]
    server.answers[name.replace(COMMIT, OTHER)] = server.answers[name][2:]
    forge.pulls([commit()])
    once = len(server.asked)
    forge.pulls([commit(), commit(OTHER)])
    assert len(server.asked) - once < 2 * once


def test_a_trouble_that_passes_is_outlived(kind: Kind, server: ForgeServer, forge: Forge) -> None:
    kind.say(server)
    server.troubles = [Trouble(502), Trouble(200, cut=True)]
    forge._wire._sleep = lambda _: None  # type: ignore[attr-defined]
    assert forge.pulls([commit()])[COMMIT].number == 12


def test_a_forge_that_is_away_is_unreachable(kind: Kind, server: ForgeServer, forge: Forge) -> None:
    forge._wire._sleep = lambda _: None  # type: ignore[attr-defined]
    server.troubles = [Trouble(503)] * 3
    with pytest.raises(Unreachable, match="cannot be asked: it answered 503"):
        forge.pulls([commit()])
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        (Trouble(429, {"Retry-After": "30"}), "try again in 30 s"),
        (
            Trouble(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000"}),
            "try again in 100 s",
        ),
        (Trouble(429, {"RateLimit-Reset": "960"}), "try again in 60 s"),
        (Trouble(429), "its limit for this token is reached"),
    ],
)
def test_a_limit_is_busy_and_says_until_when(
    kind: Kind, server: ForgeServer, forge: Forge, trouble: Trouble, sentence: str
) -> None:
    forge._wire._clock = lambda: 900.0  # type: ignore[attr-defined]
    server.troubles = [trouble]
    with pytest.raises(Busy, match=sentence):
        forge.pulls([commit()])
    assert len(server.asked) == 1, "whoever asks for patience is not asked again at once"


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble(403, body={"message": "Resource not accessible"}), Denied),
        (Trouble(301, {"Location": "http://127.0.0.1:1/"}), HeadwayError),
        (Trouble(422, body={"message": "Validation Failed"}), InvalidInput),
        (Trouble(200, body={"what": "is this"}), HeadwayError),
    ],
)
def test_what_else_can_go_wrong(
    kind: Kind, server: ForgeServer, forge: Forge, trouble: Trouble, error: type[Exception]
) -> None:
    server.troubles = [trouble]
    with pytest.raises(error, match=r"forge 127\.0\.0\.1"):
        forge.pulls([commit()])


def test_the_next_page_is_never_fetched_elsewhere(
    kind: Kind, server: ForgeServer, forge: Forge
) -> None:
    """Else whoever controls one answer gets the token."""
    link = {"Link": '<http://127.0.0.1:9/next>; rel="next"'}
    server.troubles = [Trouble(200, link, [])]
    with pytest.raises(HeadwayError, match="sends us elsewhere"):
        forge.pulls([commit()])


def test_a_revert_is_asked_for_once(kind: Kind, server: ForgeServer, forge: Forge) -> None:
    kind.say(server)
    opened = forge.open("headway/revert-x", "main", "Revert #12", "why")
    assert opened.url.endswith("/40")
    (sent,) = server.sent
    assert {"headway/revert-x", "main", "Revert #12", "why"} <= set(sent.values())
    (path,) = server.posts
    server.answers[path] = [server.posts[path]]
    assert forge.open("headway/revert-x", "main", "Revert #12", "why") == opened
    assert len(server.sent) == 1


def test_asking_for_a_revert_is_not_tried_twice_blindly(
    kind: Kind, server: ForgeServer, forge: Forge
) -> None:
    kind.say(server)
    look = len(server.asked)
    ask = forge._wire.post  # type: ignore[attr-defined]

    def cut_off(*given: Any) -> Any:
        server.troubles = [Trouble(502)]
        return ask(*given)

    forge._wire.post = cut_off  # type: ignore[attr-defined]
    with pytest.raises(Unreachable):
        forge.open("headway/revert-x", "main", "Revert #12", "why")
    assert [method for method, _, _ in server.asked[look:]].count("POST") == 1


@pytest.mark.parametrize("project", ["", "/", "..", "../..", "acme"])
def test_a_project_that_is_none_on_github(project: str) -> None:
    with pytest.raises(InvalidInput, match="is no project"):
        GitHub(project, "")


@pytest.mark.parametrize("address", ["ftp://x", "//x", "x"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(InvalidInput, match="not a forge's address"):
        GitLab("acme/web", "", address)


@pytest.mark.parametrize(
    ("runs", "status", "expected"),
    [
        ([], ("success", 1), CheckState.GREEN),
        ([], ("failure", 1), CheckState.RED),
        ([("completed", "success")], ("pending", 2), CheckState.RUNNING),
        ([("queued", None), ("completed", "failure")], ("success", 1), CheckState.RED),
        ([("completed", "neutral")], ("pending", 0), CheckState.GREEN),
        ([("completed", "action_required")], ("pending", 0), CheckState.RED),
    ],
)
def test_github_has_two_kinds_of_checks_and_both_count(
    server: ForgeServer,
    runs: list[tuple[str, str | None]],
    status: tuple[str, int],
    expected: CheckState,
) -> None:
    OnGitHub().say(server)
    at = f"/repos/acme/web/commits/{12:040x}"
    server.answers[f"{at}/check-runs"] = recorded.github_runs(*runs)
    server.answers[f"{at}/status"] = recorded.github_status(*status)
    assert told(OnGitHub(), server).tests is expected


def test_on_github_an_author_does_not_review_himself(server: ForgeServer) -> None:
    OnGitHub().say(server)
    server.answers["/repos/acme/web/pulls/12/reviews"] = [
        recorded.github_review("ann", "APPROVED"),
        recorded.github_review(None, "APPROVED"),
    ]
    assert told(OnGitHub(), server).review is Review.MISSING


def test_on_gitlab_approved_without_anybody_is_not_approved(server: ForgeServer) -> None:
    """Without an approval rule, GitLab calls everything approved."""
    OnGitLab().say(server)
    at = "/api/v4/projects/acme%2Fweb/merge_requests/12/approvals"
    server.answers[at] = recorded.gitlab_approvals()
    assert told(OnGitLab(), server).review is Review.MISSING
    server.answers[at] = recorded.gitlab_approvals("bob", approved=False)
    assert told(OnGitLab(), server).review is Review.MISSING


def test_without_a_forge_trailers_are_reviews() -> None:
    forge = Plain()
    reviewed = commit(reviewers=("Bob <bob@example.org>",))
    alone = commit(OTHER, reviewers=("Ann A. <ANN@example.org>",))
    pulls = forge.pulls([reviewed, alone])
    assert pulls[COMMIT].review is Review.APPROVED
    assert pulls[OTHER].review is Review.UNKNOWN
    assert pulls[COMMIT].tests is CheckState.UNKNOWN
    assert forge.open("b", "main", "t", "b").url == ""


# Webhooks.

BODY = b'{"action":"closed"}'
SECRET = "It's a Secret to Everybody"


def test_githubs_own_example_holds() -> None:
    """The values of GitHub's documentation on validating deliveries."""
    told = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    mark = hooks.github({"x-hub-signature-256": told}, b"Hello, World!", SECRET, 0.0)
    assert mark == hashlib.sha256(b"Hello, World!").hexdigest()


@pytest.mark.parametrize("told", ["", "sha256=", "sha256=" + "0" * 64, "sha1=x", "sha256=é"])
def test_a_wrong_signature_is_refused(told: str) -> None:
    with pytest.raises(Unauthenticated):
        hooks.github({"x-hub-signature-256": told}, BODY, SECRET, 0.0)


def test_an_empty_secret_lets_nobody_in() -> None:
    signed = "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()
    with pytest.raises(Unauthenticated):
        hooks.github({"x-hub-signature-256": signed}, BODY, "", 0.0)
    with pytest.raises(Unauthenticated):
        hooks.gitlab({"x-gitlab-token": ""}, BODY, "", 0.0)
    with pytest.raises(Unauthenticated):
        hooks.gitlab({}, BODY, "", 0.0)


def test_gitlabs_token() -> None:
    assert hooks.gitlab({"x-gitlab-token": SECRET}, BODY, SECRET, 0.0)
    with pytest.raises(Unauthenticated):
        hooks.gitlab({"x-gitlab-token": SECRET + "x"}, BODY, SECRET, 0.0)


@pytest.mark.parametrize("secret", ["plain", "whsec_" + base64.b64encode(b"key").decode()])
def test_gitlabs_signature_holds_for_its_time_only(secret: str) -> None:
    key = b"key" if secret.startswith("whsec_") else b"plain"
    signed = hmac.new(key, b"msg_1.1000." + BODY, hashlib.sha256).digest()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1000",
        "webhook-signature": "v1,AAAA v1," + base64.b64encode(signed).decode(),
    }
    assert hooks.gitlab(headers, BODY, secret, 1100.0)
    for now in (1000 - 301.0, 1000 + 301.0):
        with pytest.raises(Unauthenticated, match="too old"):
            hooks.gitlab(headers, BODY, secret, now)
    for spoilt in ({"webhook-id": "msg_2"}, {"webhook-timestamp": "1001"}):
        with pytest.raises(Unauthenticated, match="does not hold"):
            hooks.gitlab(headers | spoilt, BODY, secret, 1100.0)
    with pytest.raises(Unauthenticated, match="does not hold"):
        hooks.gitlab(headers | {"x-gitlab-token": secret}, b"{}", secret, 1100.0)
