"""What each field of a Struct and each word of an enumeration means, as its source says it."""

import ast
import inspect
import itertools
import re
import sys
from enum import Enum
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct


def meanings(kind: type[Struct | Enum]) -> dict[str, str]:
    """What is said of each field of a Struct, or member of an enumeration; empty where nothing is.

    That is its ``Meta(description=…)``, the docstring below it, or else those sentences of the
    class's docstring that name it.
    """
    below: dict[str, str] = {}
    for parent in reversed(kind.__mro__):
        if parent.__module__.startswith("headway.") or parent is kind:
            below |= _docstrings(parent)
    if issubclass(kind, Enum):
        return {name: below.get(name, "") for name in kind.__members__}
    sentences = re.split(r"(?<=\.)\s+", " ".join((inspect.getdoc(kind) or "").split()))
    return {
        field.name: _described(field.type)
        or below.get(field.name, "")
        or " ".join(sentence for sentence in sentences if f"``{field.name}``" in sentence)
        for field in msgspec.structs.fields(kind)
    }


def _docstrings(kind: type) -> dict[str, str]:
    tree = _classes(kind.__module__).get(kind.__name__)
    found = {}
    for named, doc in itertools.pairwise(tree.body if tree else ()):
        match named, doc:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """A module's classes; to look for the source of each of them would take a second in all."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _described(kind: Any) -> str:
    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return next((meta.description for meta in metas if meta.description), "")
