"""Writes the generated parts of the reference: ``python -m tests.docs.generate``.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``; what is around it is
written by hand. ``test_reference.py`` fails when a page is not what this would write.
"""

import enum
import inspect
import itertools
import json
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from headway.agent.config import AgentConfig
from headway.cli.main import NOUNS, headway
from headway.client.api import Client
from headway.client.credentials import ClientConfig
from headway.client.wire import Wire
from headway.errors import family
from headway.hub.config import HubConfig
from headway.model.plan import AppConfig
from headway.server.api.meanings import meanings
from headway.server.config import ServerConfig
from tests.docs import states

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
COMMON_OPTIONS = {"--json", "--debug", "--server", "--token-file", "--help"}


@dataclass(frozen=True)
class Route:
    """One route, as the client's method and its docstring tell it."""

    name: str
    method: str
    path: str
    role: str
    sentence: str
    takes: str
    gives: str


def routes() -> list[Route]:
    """Every route that the client has a method for, in its order."""
    found = []
    kinds = itertools.takewhile(lambda kind: kind is not Wire, Client.__mro__)
    for name, method in itertools.chain.from_iterable(vars(kind).items() for kind in kinds):
        if name.startswith("_"):
            continue
        doc = " ".join(inspect.getdoc(method).split())
        match = re.fullmatch(r"(.*) \[(GET|HEAD|PUT|POST|DELETE) (\S+), ([a-z ]+)\]", doc)
        assert match, f"Client.{name}'s docstring does not end with [METHOD /path, role]"
        found.append(Route(name, *match.group(2, 3, 4, 1), _takes(method), _gives(method)))
    return found


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its full name."""
    root = click.Context(headway, info_name="headway")
    for noun in sorted(NOUNS):
        command = headway.get_command(root, noun)
        assert command is not None
        if isinstance(command, click.Group):
            for verb in sorted(command.commands):
                yield f"headway {noun} {verb}", command.commands[verb]
        else:
            yield f"headway {noun}", command


@dataclass(frozen=True)
class Key:
    """One key of a configuration file."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """One kind of table of a configuration file: where it may stand in TOML, and its keys."""

    places: list[str]
    struct: type
    keys: tuple[Key, ...]


def sections(root: type) -> list[Section]:
    """The tables of the file that ``root`` describes, from the outside in."""
    found: dict[type, Section] = {}
    pending: list[tuple[str, type]] = [("", root)]
    while pending:
        place, struct = pending.pop(0)
        if struct in found:
            found[struct].places.append(place)
            continue
        told = meanings(struct)
        fields = msgspec.structs.fields(struct)
        tag = struct.__struct_config__.tag
        keys = [
            Key(field.encode_name, _kind(field.type), _default(field), told[field.name])
            for field in fields
        ]
        if tag is not None:
            name = struct.__struct_config__.tag_field
            keys.insert(0, Key(name, f"`{json.dumps(tag)}`", "required", "Chooses this kind."))
        found[struct] = Section([place], struct, tuple(keys))
        for field in fields:
            inner = f"{place}.{field.encode_name}".lstrip(".")
            pending += [(where, below) for where, below in _below(field.type, inner)]
    return list(found.values())


def pages() -> dict[Path, str]:
    """Every page of the reference with its generated parts as they should be."""
    return {page: _filled(page.read_text("utf-8")) for page in sorted(REFERENCE.glob("*.md"))}


def main() -> None:
    """Write the pages that have changed."""
    for page, text in pages().items():
        if text != page.read_text("utf-8"):
            page.write_text(text, "utf-8")
            sys.stdout.write(f"{page.name} written\n")


def _filled(page: str) -> str:
    return PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", page)


def _commands() -> str:
    return "\n\n".join(_command(path, command) for path, command in commands())


def _command(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context)).removeprefix("[OPTIONS]").strip()
    lines = [f"### `{path}`", "", f"```\n{f'{path} {usage}'.strip()} [OPTIONS]\n```", ""]
    lines.append(textwrap.dedent(inspect.cleandoc(command.help or "")))
    options = [
        param
        for param in command.get_params(context)
        if isinstance(param, click.Option) and not COMMON_OPTIONS & set(param.opts)
    ]
    if options:
        lines += ["", "| option | meaning |", "|---|---|"]
        lines += [_option(option, context) for option in options]
    return "\n".join(lines)


def _option(option: click.Option, context: click.Context) -> str:
    names, meaning = option.get_help_record(context) or ("", "")
    return f"| `{_cell(names)}` | {_cell(meaning)} |"


def _common() -> str:
    context = click.Context(headway, info_name="headway")
    lines = ["| option | meaning |", "|---|---|"]
    for option in headway.get_params(context):
        assert isinstance(option, click.Option)
        lines.append(_option(option, context))
    return "\n".join(lines)


def _errors() -> str:
    lines = ["| code | exit | HTTP | what it means |", "|---|---|---|---|"]
    for kind in family():
        meaning = _cell((inspect.getdoc(kind) or "").split("\n")[0])
        lines.append(f"| `{kind.code}` | {kind.exit_code} | {kind.status} | {meaning} |")
    return "\n".join(lines)


def _routes() -> str:
    lines = ["| route | role | takes | gives | what it does |", "|---|---|---|---|---|"]
    for route in routes():
        place = f"`{route.method} {route.path}`"
        lines.append(
            f"| {place} | {route.role} | {route.takes} | {route.gives} | {_cell(route.sentence)} |"
        )
    return "\n".join(lines)


def _takes(method: Callable[..., Any]) -> str:
    hints = typing.get_type_hints(method)
    hints.pop("return", None)
    bodies = [_shown(hint) for hint in hints.values() if _is_body(hint)]
    source = inspect.getsource(method)
    queries = [
        f"`?{name}=`"
        for name, parameter in inspect.signature(method).parameters.items()
        if f'"{name}": ' in source or f"most={name})" in source
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return " ".join(bodies + queries)


def _gives(method: Callable[..., Any]) -> str:
    hint = typing.get_type_hints(method)["return"]
    return "" if hint is type(None) else _shown(hint)


def _is_body(hint: Any) -> bool:
    kinds = [hint, *typing.get_args(hint)]
    return bytes in kinds or any(
        isinstance(kind, type) and issubclass(kind, msgspec.Struct) for kind in kinds
    )


def _shown(hint: Any) -> str:
    if "Iterator" in str(hint):
        return "events"
    if "bytes" in str(hint):
        return "bytes"
    if hint == int | None:
        return "length"
    if inner := typing.get_args(hint):
        kind, *empty = typing.get_args(inner[0]) or inner[:1]
        return f"[`{kind.__name__}`{' or null' * bool(empty)}]"
    return f"`{hint.__name__}`"


def _configuration(root: type) -> str:
    return "\n\n".join(_section(section) for section in sections(root))


def _section(section: Section) -> str:
    headings = ", ".join(f"`{_heading(place)}`" for place in section.places if place)
    shape = section.struct.__struct_config__
    kind = f" with `{shape.tag_field} = {json.dumps(shape.tag)}`" if shape.tag else ""
    lines = [f"#### {headings}{kind}", ""] if headings else []
    lines += [_linked(inspect.getdoc(section.struct) or ""), ""]
    if section.keys:
        lines += ["| key | what it is | default | meaning |", "|---|---|---|---|"]
    for key in section.keys:
        lines.append(f"| `{key.name}` | {key.type} | {key.default} | {_cell(key.meaning)} |")
    return "\n".join(lines).rstrip()


def _heading(place: str) -> str:
    name = place.replace("[]", "")
    return f"[[{name}]]" if place.endswith("[]") else f"[{name}]"


def _below(kind: Any, place: str) -> Iterator[tuple[str, type]]:
    """The tables inside a key, each with its place."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield place, kind
        return
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        yield from _below(inner[0], place)
    elif origin is dict:
        yield from _below(inner[1], f"{place}.NAME")
    elif origin in {tuple, list}:
        yield from _below(inner[0], f"{place}[]")
    else:
        for one in inner:
            yield from _below(one, place)


def _kind(kind: Any) -> str:
    """A type in the words of somebody who writes TOML."""
    words = {str: "text", Path: "path", bool: "`true` or `false`", int: "whole number"}
    words |= {float: "number", types.NoneType: ""}
    if kind in words:
        return words[kind]
    if isinstance(kind, enum.EnumType):
        return " or ".join(f"`{json.dumps(member.value)}`" for member in kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "table"
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _kind(inner[0])
    if origin is typing.Literal:
        return " or ".join(f"`{json.dumps(word)}`" for word in inner)
    if origin is dict:
        return f"table of {_kind(inner[1])}"
    if origin in {tuple, list}:
        return f"list of {_kind(inner[0])}".replace(" table", " tables")
    assert origin in {typing.Union, types.UnionType}, f"no words for {kind}"
    return " or ".join(dict.fromkeys(filter(None, map(_kind, inner))))


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    if value is None:
        return ""
    shown = json.dumps(msgspec.to_builtins(value, enc_hook=str))
    return f"`{shown}`" if len(shown) <= 40 else "built in"


def _linked(doc: str) -> str:
    return doc.replace("``", "`")


def _cell(text: str) -> str:
    return _linked(" ".join(text.split())).replace("|", "\\|")


CONFIGURATIONS: dict[str, type] = {
    "app": AppConfig,
    "agent": AgentConfig,
    "server": ServerConfig,
    "hub": HubConfig,
    "client": ClientConfig,
}
"""Each configuration file's part of the page, and the Struct that it is read into."""

PARTS: dict[str, Callable[[], str]] = {
    "commands": _commands,
    "common-options": _common,
    "errors": _errors,
    "routes": _routes,
    "chat-commands": states.chat_commands,
    "train-diagram": states.train_diagram,
    "train-states": states.train_states,
    "rollout-diagram": states.diagram,
    "rollout-phases": states.phases,
    "rollout-events": states.events,
    **{name: lambda root=root: _configuration(root) for name, root in CONFIGURATIONS.items()},
}

if __name__ == "__main__":
    main()
