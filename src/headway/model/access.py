"""Who may do what."""

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """Each role may do what those before it may, except ``node``, which stands apart."""

    VIEWER = "viewer"
    """Looks."""
    DEPLOYER = "deployer"
    """Publishes builds, deploys, pauses, reverts, holds."""
    ADMIN = "admin"
    """Sets up apps, tokens, users and nodes."""
    NODE = "node"
    """An agent: enrols, watches, fetches and reports for the one node that it names."""


class Identity(Struct, frozen=True):
    """A caller: ``name`` is what the journal shows; a node's token carries the node's name."""

    name: str
    role: Role
