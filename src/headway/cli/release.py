"""``headway release``: cut releases, fix them, take changes back, and find who is to blame."""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from headway.cli.bisecting import bisect as find_culprit
from headway.cli.call import Call, asking, at_most
from headway.cli.making import build_key, fetched, make, repository
from headway.cli.remote import connect, only_app
from headway.cli.screen import answer, facts, lines, note, said, table
from headway.cli.wording import ago, short
from headway.client.api import Client
from headway.core.release import is_dark
from headway.core.words import clean, count
from headway.errors import HeadwayError, NotFound
from headway.model.release import Change, CheckState, Pick, Release, Review
from headway.model.release_views import (
    CutRequest,
    HotfixRequest,
    QueueView,
    ReleaseView,
    RevertRequest,
    SuspectsView,
)
from headway.signing import Signer

LOOK_SECONDS = 5.0
"""How often --watch looks for a release without a build."""

REVIEWS = {Review.APPROVED: "green", Review.REFUSED: "red", Review.MISSING: "yellow"}
TESTS = {CheckState.GREEN: "green", CheckState.RED: "red", CheckState.RUNNING: "yellow"}

optional_key = build_key("Make the build, too; the key that signs it.", required=False)
reason_option = click.option("--reason", default="", help="Why, for the journal and everybody.")
override_option = click.option(
    "--override", default="", metavar="REASON", help="Let in what the gate objects to; say why."
)


@click.group()
def release() -> None:
    """Cut releases, fix them, take changes back.

    RELEASE is a release's id, or an app: then its newest release is meant.
    """


@release.command()
@click.argument("app", required=False)
@click.option("--until", default="", metavar="REF", help="Only what was merged up to this.")
@reason_option
@override_option
@optional_key
@repository
@asking
@click.pass_obj
def cut(
    call: Call,
    *,
    app: str | None,
    until: str,
    reason: str,
    override: str,
    key: Path | None,
    repo: Path,
) -> None:
    """Make a branch and a tag of what was merged since what is live."""
    with connect(call) as client:
        view = client.cut_release(app or only_app(client), CutRequest(until, reason, override))
        view = _built(call, client, view, key, repo)
    answer(call, view, lambda: _drawn(view, time.time()))


@release.command("list")
@click.argument("app", required=False)
@at_most(20)
@asking
@click.pass_obj
def list_(call: Call, app: str | None, limit: int) -> None:
    """List an app's releases, newest first."""
    with connect(call) as client:
        found = client.releases(app or only_app(client), limit)
    headings = ("RELEASE", "TAG", "CHANGES", "BUILD", "CUT", "WHY")
    rows = [_row(one, time.time()) for one in found]
    answer(call, found, lambda: table(headings, rows, "There is no release yet."))


@release.command()
@click.argument("which", required=False, metavar="RELEASE")
@asking
@click.pass_obj
def show(call: Call, which: str | None) -> None:
    """Show a release: its changes, what was picked, and what comes next."""
    with connect(call) as client:
        view = _resolve(client, which)
    answer(call, view, lambda: _drawn(view, time.time()))


@release.command()
@click.argument("app", required=False)
@asking
@click.pass_obj
def queue(call: Call, app: str | None) -> None:
    """Show what waits for the next release, and what the gate says of it."""
    with connect(call) as client:
        view = client.queue(app or only_app(client))
    answer(call, view, lambda: _waiting(view))


@release.command()
@click.argument("which", required=False, metavar="RELEASE")
@asking
@click.pass_obj
def notes(call: Call, which: str | None) -> None:
    """Write the release notes, as Markdown."""
    with connect(call) as client:
        found = client.release_notes(_resolve(client, which).release.id)
    answer(call, found, lambda: lines(*found.text.splitlines()))


@release.command()
@click.argument("which", metavar="RELEASE")
@click.argument("changes", nargs=-1, required=True, metavar="CHANGE...")
@reason_option
@override_option
@optional_key
@repository
@asking
@click.pass_obj
def hotfix(
    call: Call,
    *,
    which: str,
    changes: tuple[str, ...],
    reason: str,
    override: str,
    key: Path | None,
    repo: Path,
) -> None:
    """Pick changes onto a release.

    A CHANGE is a pull request (`#12`), a commit or a branch. A conflict changes nothing.
    """
    with connect(call) as client:
        before = _resolve(client, which)
        view = client.hotfix(before.release.id, HotfixRequest(changes, reason, override))
        view = _built(call, client, view, key, repo)
    answer(call, view, lambda: _drawn(view, time.time()))


@release.command()
@click.argument("which", metavar="RELEASE")
@click.argument("changes", nargs=-1, metavar="[CHANGE...]")
@reason_option
@optional_key
@repository
@asking
@click.pass_obj
def revert(
    call: Call,
    *,
    which: str,
    changes: tuple[str, ...],
    reason: str,
    key: Path | None,
    repo: Path,
) -> None:
    """Take changes back on the release and on main.

    Without a CHANGE, the one that the failing metrics point at. With --key the build is made, too.
    """
    with connect(call) as client:
        before = _resolve(client, which)
        view = client.revert_change(before.release.id, RevertRequest(changes, reason))
        view = _built(call, client, view, key, repo)
    answer(call, view, lambda: _drawn(view, time.time()))


@release.command()
@click.argument("which", required=False, metavar="RELEASE")
@asking
@click.pass_obj
def suspects(call: Call, which: str | None) -> None:
    """Say which changes may be to blame for the metrics that fail."""
    with connect(call) as client:
        found = client.suspects(_resolve(client, which).release.id)
    answer(call, found, lambda: _suspected(found))


@release.command()
@click.argument("which", metavar="RELEASE")
@click.option("--good", type=click.IntRange(min=0), default=0, help="The first N are innocent.")
@click.option("--bad", type=click.IntRange(min=0), default=0, help="The fault is in the first N.")
@build_key("The key that signs the builds.")
@repository
@asking
@click.pass_obj
def bisect(call: Call, *, which: str, good: int, bad: int, key: Path, repo: Path) -> None:
    """Find the change that is to blame, by trying halves of the release on the canary."""
    signer = Signer.load(key)
    with connect(call) as client:
        found = _resolve(client, which).release
        view = find_culprit(call, client, signer, repo, found, good, bad)
    answer(call, view, lambda: said(view.sentence))


@release.command()
@click.argument("which", required=False, metavar="RELEASE")
@click.option("--watch", is_flag=True, help="Stay, and build whatever comes.")
@build_key("The key that signs the build.")
@repository
@asking
@click.pass_obj
def build(call: Call, *, which: str | None, watch: bool, key: Path, repo: Path) -> None:
    """Make the build of a release, if it has none. With --watch RELEASE is an app."""
    Signer.load(key)
    with connect(call) as client:
        if watch:
            _watch(call, client, which or only_app(client), key, repo)
        view = _built(call, client, _resolve(client, which), key, repo)
    answer(call, view, lambda: _drawn(view, time.time()))


def _watch(call: Call, client: Client, app: str, key: Path, repo: Path) -> None:
    """Build every release of the app as it comes, until interrupted."""
    while True:
        try:
            for one in client.releases(app, 5):
                if one.build is None and one.pushed == one.head:
                    view = _built(call, client, client.release(one.id), key, repo)
                    note(f"{one.tags[-1].name} is built: {short(view.release.build)}")
        except HeadwayError as error:
            note(f"{clean(error.sentence)}; trying again")
        time.sleep(LOOK_SECONDS)


def _built(
    call: Call, client: Client, view: ReleaseView, key: Path | None, repo: Path
) -> ReleaseView:
    """The release with its build, made here if there is a key."""
    if key is None or view.release.build is not None:
        return view
    one = view.release
    ref = fetched(repo, one.head, one.branch)
    make(call, client, Signer.load(key), app=one.app, repo=repo, ref=ref)
    return client.release(one.id)


def _resolve(client: Client, which: str | None) -> ReleaseView:
    """The release of that id, or the newest one of the app of that name."""
    name = which or only_app(client)
    try:
        return client.release(name)
    except NotFound:
        newest = client.releases(name, 1)
    if not newest:
        raise NotFound(f"{name} has no release yet; `headway release cut {name}` makes one")
    return client.release(newest[0].id)


def _row(one: Release, now: float) -> Sequence[str]:
    brought = str(len(one.changes)) + (f" +{len(one.picks)}" if one.picks else "")
    return (one.id, one.tags[-1].name, brought, short(one.build), ago(one.at, now), one.why)


def _drawn(view: ReleaseView, now: float) -> RenderableType:
    one = view.release
    state = "live" if view.live else ("dark: it takes the short path" if view.dark else "")
    pairs: list[tuple[str, str | Text]] = [
        ("release", said(f"{one.id}  {one.tags[-1].name}", "bold")),
        ("branch", f"{one.branch} at {one.head[:12]}"),
        ("build", short(one.build)),
        ("state", state),
        ("cut", f"by {one.by}, {ago(one.at, now)}"),
        ("why", one.why),
        ("waits", said(view.trouble, "yellow")),
        ("next", said(_command(view), "bold")),
        ("", view.next_why),
    ]
    parts: list[RenderableType] = [facts(pairs), Text()]
    parts.append(_changes(one.changes, "It has everything so far."))
    if one.picks:
        parts += [Text(), table(("PICK", "CHANGE", "BY", "SUBJECT"), map(_pick, one.picks), "")]
    for text in one.overrides:
        parts.append(said(f"against the gate: {text}", "yellow"))
    return lines(*parts)


def _command(view: ReleaseView) -> str:
    one = view.release
    commands = {
        "build": f"headway release build {one.id} --key FILE",
        "deploy": f"headway deploy {one.app} {one.id}",
        "revert": f"headway release revert {one.id}",
    }
    return commands.get(view.next, "")


def _changes(changes: Sequence[Change], nothing: str) -> RenderableType:
    headings = ("CHANGE", "REVIEW", "CHECKS", "AUTHOR", "SUBJECT")
    return table(headings, [_change(one) for one in changes], nothing)


def _change(one: Change) -> Sequence[str | Text]:
    review = said(one.review, REVIEWS.get(one.review, "dim"))
    tests = said(one.tests, TESTS.get(one.tests, "dim"))
    subject = said(one.subject, "dim" if is_dark(one.subject) else "")
    return (_named(one), review, tests, one.author[:16], subject)


def _pick(pick: Pick) -> Sequence[str]:
    return (pick.kind, _named(pick.change), pick.by, pick.change.subject)


def _named(one: Change) -> str:
    return f"#{one.number}" if one.number is not None else one.commit[:10]


def _waiting(view: QueueView) -> RenderableType:
    since = f"since {view.base[:12]}" if view.base else "nothing is live yet"
    head = f"{view.app}: {count(len(view.changes), 'change')} {since}"
    parts: list[RenderableType] = [said(head), _changes(view.changes, "Nothing waits.")]
    parts += [said(text, "yellow") for texts in view.objections for text in texts]
    return lines(*parts)


def _suspected(found: SuspectsView) -> RenderableType:
    rows = [(_named(one.change), one.why, one.change.subject) for one in found.suspects]
    listed = table(("CHANGE", "WHY", "SUBJECT"), rows, "There is no change to suspect.")
    return lines(found.sentence, "", listed)
