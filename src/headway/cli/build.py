"""``headway build``: publish builds, make them from commits, list them, and tidy up."""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import RenderableType

from headway.cli.call import Call, asking, at_most
from headway.cli.making import build_key, repository
from headway.cli.making import make as make_build
from headway.cli.making import publish as put
from headway.cli.remote import connect
from headway.cli.screen import answer, facts, table
from headway.cli.wording import ago, clock, short, size
from headway.core.words import count
from headway.model.build import Build
from headway.model.views import CollectRequest, RepackRequest
from headway.signing import Signer

signing_key = build_key("The private key that signs the build.")


@click.group()
def build() -> None:
    """Publish builds, make them from commits, and list them."""


@build.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--app", required=True, help="The app that it is a build of.")
@click.option("--commit", required=True, metavar="SHA", help="The commit that it was made from.")
@click.option("--subject", default="", help="What it brings, in a few words.")
@signing_key
@asking
@click.pass_obj
def publish(call: Call, *, directory: Path, app: str, commit: str, subject: str, key: Path) -> None:
    """Publish DIRECTORY as a build: store what is new in it, sign it, hand it in."""
    signer = Signer.load(key)
    with connect(call) as client:
        made = put(call, client, signer, directory, app=app, commit=commit, subject=subject)
    answer(call, made, lambda: _drawn(made))


@build.command()
@click.argument("ref")
@repository
@click.option("--app", required=True, help="The app, whose `make` is run.")
@signing_key
@asking
@click.pass_obj
def make(call: Call, *, ref: str, repo: Path, app: str, key: Path) -> None:
    """Make a build from the commit REF in a clean worktree, and publish it."""
    signer = Signer.load(key)
    with connect(call) as client:
        made = make_build(call, client, signer, app=app, repo=repo, ref=ref)
    answer(call, made, lambda: _drawn(made))


@build.command("list")
@click.argument("app")
@at_most(20)
@asking
@click.pass_obj
def list_(call: Call, app: str, limit: int) -> None:
    """List an app's builds, newest first."""
    with connect(call) as client:
        builds = client.builds(app, limit)
    headings = ("BUILD", "COMMIT", "MADE", "NEW", "SUBJECT")
    rows = [_row(one, time.time()) for one in builds]
    nothing = f"There is no build yet; `headway build publish DIR --app {app}` makes one."
    answer(call, builds, lambda: table(headings, rows, nothing))


@build.command()
@click.argument("app")
@click.argument("prefix", metavar="BUILD")
@asking
@click.pass_obj
def show(call: Call, app: str, prefix: str) -> None:
    """Show what the attestation of a build says, named by its first digits."""
    with connect(call) as client:
        found = client.build(app, prefix)
    answer(call, found, lambda: _drawn(found))


@build.command()
@click.argument("app")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=RepackRequest().most,
    show_default=True,
    metavar="N",
    help="Do so only when a fresh node would read more packs than this.",
)
@asking
@click.pass_obj
def repack(call: Call, app: str, most: int) -> None:
    """Merge the packs of an app's newest builds into one, for fresh nodes to read."""
    with connect(call) as client:
        done = client.repack(app, RepackRequest(most))
    if done.after < done.before:
        text = f"{count(done.before, 'pack')} became one of {size(done.bytes)}."
    else:
        text = f"A fresh node reads {count(done.before, 'pack')}; nothing to do."
    answer(call, done, lambda: text)


@build.command()
@click.argument("app")
@click.option(
    "--keep",
    type=click.IntRange(1, 1000),
    default=CollectRequest().keep,
    show_default=True,
    metavar="N",
    help="Keep the newest builds, so many of them.",
)
@click.option(
    "--days",
    type=click.FloatRange(min=1),
    default=CollectRequest().days,
    show_default=True,
    metavar="N",
    help="Keep what was published in the last so many days.",
)
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be removed.")
@asking
@click.pass_obj
def gc(call: Call, app: str, keep: int, days: float, dry: bool) -> None:
    """Remove builds and packs that no node, signal or pin needs, nor a revert soon."""
    with connect(call) as client:
        done = client.collect(app, CollectRequest(keep, days, dry))
    verb = "Would remove" if dry else "Removed"
    what = f"{count(len(done.builds), 'build')} and {count(done.packs, 'pack')}"
    answer(call, done, lambda: f"{verb} {what}, {size(done.bytes)} in all.")


def _row(one: Build, now: float) -> Sequence[str]:
    made = ago(one.created_at, now)
    return (short(one.id), one.commit[:12], made, size(one.new_bytes), one.subject)


def _drawn(one: Build) -> RenderableType:
    return facts(
        [
            ("build", short(one.id)),
            ("app", one.app),
            ("commit", one.commit),
            ("subject", one.subject),
            ("by", f"{one.by}, {clock(one.created_at)}"),
            ("content", f"{count(one.files, 'file')}, {size(one.bytes)}"),
            ("new", f"{size(one.new_bytes)} stored for it"),
            ("id", one.id),
        ]
    )
