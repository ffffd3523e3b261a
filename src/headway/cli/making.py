"""Making a build from a commit and publishing it, for every command that does."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import click

from headway.builds import storage
from headway.builds.make import make as make_tree
from headway.builds.publish import publish as publish_tree
from headway.cli.call import Call
from headway.cli.remote import credentials_of
from headway.cli.screen import progress
from headway.client.api import Client
from headway.errors import HookFailed, NotFound
from headway.git import git, resolve
from headway.model.build import Build
from headway.signing import Signer

EARLIER_BUILDS = 20
"""How many earlier builds are searched for content that need not be stored again."""

F = TypeVar("F", bound=Callable[..., Any])


def build_key(text: str, *, required: bool = True) -> Callable[[F], F]:
    """The option --key, which names the key that signs builds."""
    return click.option(
        "--key",
        "key",
        type=click.Path(path_type=Path),
        envvar="HEADWAY_BUILD_KEY",
        show_envvar=True,
        required=required,
        metavar="FILE",
        help=text,
    )


repository = click.option(
    "--repo",
    type=click.Path(path_type=Path),
    default=".",
    show_default="here",
    metavar="DIR",
    help="The git repository, or a clone of it.",
)


def make(call: Call, client: Client, signer: Signer, *, app: str, repo: Path, ref: str) -> Build:
    """Make a build of ``ref`` by the app's own command, and publish it."""
    config = client.app(app).config
    with make_tree(ref, repo=repo, command=config.make, output=config.output) as tree:
        return publish(
            call,
            client,
            signer,
            tree.directory,
            app=app,
            commit=tree.commit,
            subject=tree.subject,
        )


def fetched(repo: Path, commit: str, branch: str) -> str:
    """See to it that ``repo`` has a commit; it may be on a branch that is not fetched yet.

    Raises NotFound. Nothing of the repository but what it knows of its origin changes.
    """
    try:
        return resolve(commit, repo)
    except NotFound:
        pass
    try:
        git(repo, "fetch", "--quiet", "--no-tags", "--", "origin", f"refs/heads/{branch}")
    except HookFailed as error:
        raise NotFound(
            f"{repo} does not have {commit[:12]}, and its origin not the branch {branch}; "
            "--repo names a clone of the app's repository"
        ) from error
    return resolve(commit, repo)


def publish(
    call: Call,
    client: Client,
    signer: Signer,
    directory: Path,
    *,
    app: str,
    commit: str,
    subject: str,
) -> Build:
    """Publish through the control plane's store, then hand the attestation in."""
    found = credentials_of(call)
    live = client.app(app).live
    newest = [one.id for one in client.builds(app, EARLIER_BUILDS)]
    earlier = [live, *newest] if live else newest
    with (
        closing(storage.open(f"{client.url}/v1/store", found.token)) as store,
        progress("publish") as advance,
    ):
        _, attestation = publish_tree(
            directory,
            app=app,
            commit=commit,
            by=client.whoami().name,
            subject=subject,
            signer=signer,
            storage=store,
            earlier=earlier,
            now=time.time(),
            progress=advance,
        )
    return client.register_build(app, attestation)
