"""What a decision changed in a large state, as a JSON merge patch (RFC 7396).

A journal row then costs what changed, not what there is. It serves Structs that leave defaults
out (``omit_defaults``) and hold None as a default only, since None in a patch takes a member away.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, fields


def difference(before: Any, after: Any) -> dict[str, Any]:
    """The merge patch that makes ``after`` of ``before``; both a Struct or a dict, or None."""
    old, new = _members(before), _members(after)
    found: dict[str, Any] = {}
    for key, value in new.items():
        known = old.get(key)
        if key in old and (known is value or known == value):
            continue
        if _is_tree(known) and _is_tree(value):
            found[key] = difference(known, value)
        else:
            found[key] = msgspec.to_builtins(value)
    return found | {key: None for key in old if key not in new}


def apply(tree: dict[str, Any], patch: dict[str, Any]) -> None:
    """Make of ``tree``, in place, what ``patch`` says."""
    for key, value in patch.items():
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, dict):
            below = tree.get(key)
            if not isinstance(below, dict):
                below = tree[key] = {}
            apply(below, value)
        else:
            tree[key] = value


def folded(patches: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What these patches, oldest first, make of nothing."""
    tree: dict[str, Any] = {}
    for patch in patches:
        apply(tree, patch)
    return tree


def _is_tree(value: Any) -> bool:
    return isinstance(value, Struct | dict)


def _members(value: Any) -> dict[str, Any]:
    """The members that would be written: all of a dict, of a Struct those that are no default."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    return {
        field.encode_name: member
        for field in _fields(value.__class__)
        if not _is_default(field, member := getattr(value, field.name))
    }


@cache
def _fields(kind: Any) -> tuple[FieldInfo, ...]:
    return fields(kind)


def _is_default(field: FieldInfo, member: Any) -> bool:
    if field.default is not msgspec.NODEFAULT:
        return bool(member == field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return not member and member == field.default_factory()
    return False
