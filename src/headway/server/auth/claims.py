"""What a provider says of somebody, and who that is here. No input or output, no clock."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from headway.core.words import clean
from headway.errors import Denied
from headway.model.access import Role
from headway.server.config import OidcSettings

MAX_SUBJECT = 255
"""The longest ``sub``, in ASCII characters (OpenID Connect Core 1.0, section 2)."""

_RANKS = [Role.VIEWER, Role.DEPLOYER, Role.ADMIN]


class Known(Struct, frozen=True):
    """Somebody whom the provider vouches for: ``subject`` for good, ``name`` for the first time."""

    subject: str
    name: str
    role: Role


def person(claims: Mapping[str, Any], settings: OidcSettings) -> Known:
    """Who this is, by the server's settings. Raises Denied with the sentence to show."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise Denied(f"{settings.title} does not say who you are (sub)")
    _check_domain(claims, settings)
    return Known(subject, _name(claims, settings), _role(claims, settings))


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by the path to it: ``realm_access.roles``. None without it."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _check_domain(claims: Mapping[str, Any], settings: OidcSettings) -> None:
    if not settings.email_domains:
        return
    local, _, domain = _verified_email(claims, settings).rpartition("@")
    if not local or domain.lower() not in {allowed.lower() for allowed in settings.email_domains}:
        allowed = " or ".join(settings.email_domains)
        raise Denied(f"people with an address at {allowed} may sign in here; yours is at another")


def _name(claims: Mapping[str, Any], settings: OidcSettings) -> str:
    if settings.name_claim == "email":
        return _verified_email(claims, settings).lower()
    name = claim(claims, settings.name_claim)
    if not isinstance(name, str) or not name.strip():
        raise Denied(
            f"{settings.title} does not tell your name: there is no claim {settings.name_claim};"
            " ask whoever runs the control plane to set name_claim or scopes"
        )
    return name.strip().lower()


def _role(claims: Mapping[str, Any], settings: OidcSettings) -> Role:
    given = claim(claims, settings.groups_claim)
    groups = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    roles = [
        Role(settings.roles[group])
        for group in groups
        if isinstance(group, str) and group in settings.roles
    ]
    if roles:
        return max(roles, key=_RANKS.index)
    if settings.default_role is None:
        raise Denied(
            "none of your groups has a role here; ask an admin to add you to one of "
            + (", ".join(sorted(map(clean, settings.roles))) or "those under [oidc.roles]")
        )
    return Role(settings.default_role)


def _verified_email(claims: Mapping[str, Any], settings: OidcSettings) -> str:
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        raise Denied(f"{settings.title} does not vouch for your e-mail address (email_verified)")
    return email.strip()
