"""Reading configuration files: TOML, strict, with the nearest valid key for a wrong one."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from headway.errors import InvalidInput

T = TypeVar("T")


def read(path: Path, into: type[T]) -> T:
    """Read the TOML file ``path`` as ``into``. Raises InvalidInput with one sentence."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InvalidInput(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}") from None
    return convert(raw, into, str(path))


def convert(raw: Any, into: type[T], where: str) -> T:
    """Convert parsed configuration to ``into``. Raises InvalidInput with one sentence."""
    try:
        return msgspec.convert(raw, into, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{where}: {explain(str(error), into, raw)}") from None


def explain(message: str, into: type, raw: Any = None) -> str:
    """msgspec's message, in an operator's words, naming the nearest valid key.

    ``raw`` is what was converted; it tells names that the message leaves out.
    """
    text, _, path = message.partition(" - at ")
    name, _, table = path.rpartition(" in ")
    where = _place(table.strip("`").removeprefix("$"), message, into, raw)
    place = f" in {where}" if where else ""
    place += ", for a name" if name else ""
    if unknown := re.search(r"unknown field `(.+?)`", text):
        key = unknown.group(1)
        nearest = difflib.get_close_matches(key, sorted(_keys(into)), 1, 0.5)
        hint = f'; did you mean "{nearest[0]}"?' if nearest else ""
        return f'unknown key "{key}"{place}{hint}'
    return f"{text}{place}"


def _place(path: str, message: str, into: type, raw: Any) -> str:
    """A path such as ``.plans[...][1].tier`` as ``plans.default, entry 2, tier``."""
    walked: list[str | int] = []
    words = ""
    for key, index in re.findall(r"\.?([^.\[\]]+)|\[(\d+|\.\.\.)\]", path):
        if index.isdigit():
            walked.append(int(index))
            words += f", entry {int(index) + 1}"
            continue
        name = key or _culprit(walked, message, into, raw)
        separator = ", " if walked and isinstance(walked[-1], int) else "."
        walked.append(name)
        words += separator + name
    return words.lstrip("., ")


def _culprit(table: list[str | int], message: str, into: type, raw: Any) -> str:
    """The key of a table that the message is about: the one with which, alone, it comes again."""
    for name, value in _within(raw, table).items():
        try:
            msgspec.convert(_with(raw, table, {name: value}), into, dec_hook=_decode)
        except msgspec.ValidationError as error:
            if str(error) == message:
                return str(name)
    return "…"


def _within(raw: Any, path: list[str | int]) -> dict[Any, Any]:
    here = raw
    for step in path:
        here = here.get(step) if isinstance(here, dict) else here[step]
    return here if isinstance(here, dict) else {}


def _with(raw: Any, path: list[str | int], new: Any) -> Any:
    """A copy of ``raw`` with something else at ``path``."""
    if not path:
        return new
    step, copy = path[0], raw.copy()
    copy[step] = _with(raw[step], path[1:], new)
    return copy


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError


def _keys(kind: Any) -> set[str]:
    """Every key that may occur in ``kind`` or below it."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        below = [_keys(field.type) for field in fields]
        return {field.encode_name for field in fields}.union(*below)
    return set().union(*(_keys(arg) for arg in get_args(kind)))
