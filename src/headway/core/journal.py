"""Journal rows carry what a decision changed; folding them gives the state back."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from headway.core import patch
from headway.model.train import Train

T = TypeVar("T", bound=msgspec.Struct)


def changes(before: T | None, after: T) -> dict[str, Any]:
    """The fields of ``after`` that differ from ``before``, as plain JSON values."""
    new = msgspec.to_builtins(after)
    old = msgspec.to_builtins(before) if before is not None else {}
    return {key: value for key, value in new.items() if key not in old or old[key] != value}


def fold(rows: Iterable[dict[str, Any]], into: type[T]) -> T:
    """The state after these changes, oldest first; the first row holds every field."""
    state: dict[str, Any] = {}
    for row in rows:
        state |= row
    return msgspec.convert(state, into)


def fold_train(app: str, rows: Iterable[dict[str, Any]]) -> Train:
    """An app's train after these merge patches, oldest first."""
    return msgspec.convert({"app": app, **patch.folded(rows)}, Train)
