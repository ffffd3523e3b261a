"""The way from a command to the control plane, and what a name on the command line means there."""

import os

from headway.cli.call import Call
from headway.client import credentials
from headway.client.api import Client
from headway.errors import InvalidInput, NotFound
from headway.model.views import RolloutView


def credentials_of(call: Call) -> credentials.Credentials:
    """The server and the token that the options, the environment or the file name."""
    return credentials.find(call.server, call.token_file, os.environ)


def connect(call: Call) -> Client:
    """A client for that server, with that token."""
    found = credentials_of(call)
    return Client(found.server, found.token)


def resolve(client: Client, name: str) -> RolloutView:
    """The rollout with the id ``name``, or the latest one of the app ``name``."""
    try:
        latest = client.app(name).rollout
    except (NotFound, InvalidInput):
        return _by_id(client, name)
    if latest is None:
        raise NotFound(f"{name} has had no rollout yet; `headway deploy {name} BUILD` starts one")
    return client.rollout(latest)


def only_app(client: Client) -> str:
    """The name of the one app that there is. Raises InvalidInput when there are more or none."""
    apps = [view.config.name for view in client.apps()]
    if len(apps) == 1:
        return apps[0]
    if not apps:
        raise NotFound("there is no app yet; `headway app apply FILE` sets one up")
    raise InvalidInput(f"there are several apps, name one: {', '.join(apps)}")


def _by_id(client: Client, name: str) -> RolloutView:
    try:
        return client.rollout(name)
    except (NotFound, InvalidInput):
        raise NotFound(
            f"there is neither an app nor a rollout {name}; `headway app list` and "
            "`headway rollout list` name them"
        ) from None
