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
        raise InvalidInput(f"{where}: {explain(str(error), into)}") from None


def explain(message: str, into: type) -> str:
    """msgspec's message, in an operator's words, naming the nearest valid key."""
    text, _, path = message.partition(" - at ")
    place = f" in [{path.strip('`').removeprefix('$.').removeprefix('$')}]" if path else ""
    place = place.replace(" in []", "")
    if unknown := re.search(r"unknown field `(.+?)`", text):
        key = unknown.group(1)
        nearest = difflib.get_close_matches(key, sorted(_keys(into)), 1, 0.5)
        hint = f'; did you mean "{nearest[0]}"?' if nearest else ""
        return f'unknown key "{key}"{place}{hint}'
    return f"{text}{place}"


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
