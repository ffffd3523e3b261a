"""The API's description for machines: what the framework knows of the routes, and the rest of it.

The framework gives addresses, parameters and sentences. The types are described by msgspec, which
reads and writes them; the words come from their source and from the glossary; who may call, and
what is refused how, from each route's options.
"""

import inspect
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import KwargDefinition

from headway.errors import (
    Busy,
    Denied,
    HeadwayError,
    InvalidInput,
    NotFound,
    StorageFailed,
    TooLarge,
    Unauthenticated,
    Unreachable,
    family,
)
from headway.model.views import Problem
from headway.server.api.glossary import GLOSSARY
from headway.server.api.meanings import meanings
from headway.server.auth.rules import OPTION, Rule, routes

ERRORS = "errors"
"""The option of routes that names what they refuse, beyond what every route of its kind does."""

TAKES = "takes"
"""The option of routes that read the body themselves: its type, by its content type."""

GIVES = "gives"
"""The option of routes that answer with a text in a form of the caller's choice: content types."""

_PROBLEM = "application/problem+json"
_SCHEMAS = "#/components/schemas/{name}"
_ANYWHERE = (Busy, HeadwayError, Unreachable, StorageFailed)

Schema = dict[str, Any]


def document(app: Litestar, skeleton: Mapping[str, Any]) -> Schema:
    """The OpenAPI document, 3.1, of an app's routes; ``skeleton`` is what the framework gives."""
    described = [
        (path, handler)
        for path, handler in routes(app)
        if isinstance(handler, HTTPRouteHandler) and handler.resolve_include_in_schema()
    ]
    types = list(dict.fromkeys([Problem, *(t for _, h in described for t in _types(h))]))
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    named = dict(zip(map(str, types), schemas, strict=True))
    paths: dict[str, Schema] = {}
    for path, handler in described:
        place = _plain(path)
        for method in sorted(method.lower() for method in handler.http_methods):
            given = skeleton["paths"][place][method]
            paths.setdefault(place, {})[method] = _operation(handler, given, named)
    _explain(components, types)
    found: Schema = {
        **skeleton,
        "tags": list({_tag(h)["name"]: _tag(h) for _, h in described}.values()),
        "paths": paths,
        "components": {
            **skeleton["components"],
            "schemas": {_short(name): schema for name, schema in components.items()},
            "responses": {str(status): _refusal(status) for status in _codes()},
        },
    }
    _readable_elsewhere(found)
    return found


def _types(handler: HTTPRouteHandler) -> Iterator[Any]:
    """What a route takes and gives, as far as msgspec reads and writes it."""
    yield from (kind for kind in handler.opt.get(TAKES, {}).values() if kind is not bytes)
    hints = get_type_hints(handler.fn, include_extras=True)
    if "data" in hints:
        yield hints["data"]
    if (gives := _gives(handler)) is not None:
        yield gives


def _gives(handler: HTTPRouteHandler) -> Any:
    """The type of the answer; None for nothing, bytes and streams."""
    gives = get_type_hints(handler.fn, include_extras=True)["return"]
    kind = get_origin(gives) or gives
    if isinstance(kind, type) and issubclass(kind, Response):
        (gives,) = get_args(gives) or (None,)
    return None if gives in {None, type(None), bytes, Any} else gives


def _operation(handler: HTTPRouteHandler, given: Schema, named: Mapping[str, Schema]) -> Schema:
    rule: Rule = handler.opt[OPTION]
    made = {key: value for key, value in given.items() if key != "deprecated"}
    made["tags"] = [_tag(handler)["name"]]
    made["description"] = _marked(given["description"])
    made["x-role"] = rule.name.lower()
    if rule is Rule.PUBLIC:
        made["security"] = []
    if parameters := given.get("parameters"):
        bounds = _least_values(handler)
        made["parameters"] = [_parameter(one, bounds.get(one["name"])) for one in parameters]
    if body := _body(handler, named):
        made["requestBody"] = body
    made["responses"] = _answers(handler, given, named)
    for status in sorted({kind.status for kind in _errors(handler, made)}):
        made["responses"][str(status)] = {"$ref": f"#/components/responses/{status}"}
    return made


def _body(handler: HTTPRouteHandler, named: Mapping[str, Schema]) -> Schema | None:
    takes = handler.opt.get(TAKES, {})
    hints = get_type_hints(handler.fn, include_extras=True)
    if "data" in hints:
        takes = {"application/json": hints["data"]}
    content = {
        media: {"schema": {} if kind is bytes else named[str(kind)]}
        for media, kind in takes.items()
    }
    return {"required": True, "content": content} if content else None


def _answers(handler: HTTPRouteHandler, given: Schema, named: Mapping[str, Schema]) -> Schema:
    """Those that are no problems: the framework's own are not what is answered."""
    answers = {
        status: {key: value for key, value in answer.items() if value}
        for status, answer in given["responses"].items()
        if int(status) != InvalidInput.status
    }
    done = answers[str(handler.status_code)]
    done["description"] = given["summary"]
    if (gives := _gives(handler)) is not None:
        done["content"] = {"application/json": {"schema": named[str(gives)]}}
    elif media := handler.opt.get(GIVES):
        done["content"] = {kind: {"schema": {"type": "string"}} for kind in media}
    elif "text/event-stream" in done.get("content", {}):
        done["content"]["text/event-stream"]["schema"] = {"type": "string"}
    elif "HEAD" in handler.http_methods:
        done.pop("content", None)
    if any(one["name"] == "limit" for one in given.get("parameters", ())):
        done["headers"] = _LINK
    return answers


def _errors(handler: HTTPRouteHandler, made: Schema) -> Iterator[type[HeadwayError]]:
    yield from _ANYWHERE
    yield from handler.opt.get(ERRORS, ())
    if handler.opt[OPTION] is not Rule.PUBLIC:
        yield from (Unauthenticated, Denied)
    if "parameters" in made or "requestBody" in made:
        yield InvalidInput
    if "requestBody" in made:
        yield TooLarge
    if any(parameter["in"] == "path" for parameter in made.get("parameters", ())):
        yield NotFound


def _least_values(handler: HTTPRouteHandler) -> dict[str, float]:
    """What the framework leaves out when it is 0."""
    fields = handler.parsed_fn_signature.parameters.values()
    known = ((field.name, field.kwarg_definition) for field in fields)
    return {
        name: kwarg.ge
        for name, kwarg in known
        if isinstance(kwarg, KwargDefinition) and kwarg.ge is not None
    }


def _parameter(given: Schema, least: float | None) -> Schema:
    kept = ("name", "in", "required", "description")
    made: Schema = {key: given[key] for key in kept if key in given}
    made.setdefault("description", GLOSSARY.get(given["name"], ""))
    made["schema"] = {key: value for key, value in given["schema"].items() if key != "description"}
    if least is not None:
        made["schema"]["minimum"] = least
    schema = made["schema"]
    choices = schema.get("oneOf", [])
    if {"type": "null"} in choices:
        # What is not given is not null: it is not there.
        rest = {key: value for key, value in schema.items() if key != "oneOf"}
        made["schema"] = {**next(one for one in choices if one != {"type": "null"}), **rest}
    return made


def _refusal(status: int) -> Schema:
    codes = [kind for kind in family() if kind.status == status]
    told = [f"`{kind.code}`: {(inspect.getdoc(kind) or '').splitlines()[0]}" for kind in codes]
    made: Schema = {
        "description": "\n\n".join(told),
        "content": {
            "application/problem+json": {"schema": {"$ref": _SCHEMAS.format(name="Problem")}}
        },
    }
    if status in _HEADERS:
        made["headers"] = _HEADERS[status]
    return made


_LINK: Schema = {
    "Link": {
        "description": "The page that follows, if there is one, as RFC 8288 writes it.",
        "required": False,
        "schema": {"type": "string"},
    }
}

_HEADERS: dict[int, Schema] = {
    429: {
        "Retry-After": {
            "description": "After so many seconds there may be another try.",
            "required": False,
            "schema": {"type": "integer"},
        }
    },
    401: {
        "WWW-Authenticate": {
            "description": "`Bearer`: how to say who calls.",
            "schema": {"type": "string"},
        }
    },
}


def _codes() -> list[int]:
    return sorted({kind.status for kind in family()})


def _tag(handler: HTTPRouteHandler) -> dict[str, str]:
    """A route belongs to its module, which says what it is about."""
    module = inspect.getmodule(handler.fn)
    name = module.__name__.rpartition(".")[2] if module else ""
    return {"name": name, "description": _marked((inspect.getdoc(module) or "").split("\n\n")[0])}


def _explain(components: Schema, types: list[Any]) -> None:
    """Describe every type, field and word."""
    for kind in _named(types):
        schema = components[kind.__name__ if kind.__name__ in components else _full(kind)]
        told = [inspect.getdoc(kind) or ""]
        words = meanings(kind)
        if issubclass(kind, Enum):
            told += [f"- `{kind[name].value}`: {word}" for name, word in words.items() if word]
        schema["description"] = _marked("\n\n".join(told[:1]) + "\n".join(["", *told[1:]]))
        for field in schema.get("properties", ()):
            meaning = words.get(field) or GLOSSARY.get(field, "")
            schema["properties"][field]["description"] = _marked(meaning)


def _named(types: list[Any]) -> set[type[msgspec.Struct | Enum]]:
    """The Structs and enumerations among ``types`` and within them."""
    found: set[type[msgspec.Struct | Enum]] = set()
    pending = list(types)
    while pending:
        kind = pending.pop()
        pending += get_args(kind)
        if kind in found or not isinstance(kind, type):
            continue
        if issubclass(kind, msgspec.Struct):
            found.add(kind)
            pending += [field.type for field in msgspec.structs.fields(kind)]
        elif issubclass(kind, Enum):
            found.add(kind)
    return found


def _full(kind: type) -> str:
    """How msgspec calls a type that shares its name with another one."""
    return f"{kind.__module__}.{kind.__name__}"


def _marked(text: str) -> str:
    """As Markdown has it."""
    return text.replace("``", "`")


def _readable_elsewhere(part: Any) -> None:
    r"""Patterns as other languages write them: ``^`` and ``$`` for ``\A`` and ``\Z``."""
    if isinstance(part, dict):
        if isinstance(pattern := part.get("pattern"), str):
            part["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
        if isinstance(there := part.get("$ref"), str):
            place, _, name = there.rpartition("/")
            part["$ref"] = f"{place}/{_short(name)}"
        for below in part.values():
            _readable_elsewhere(below)
    elif isinstance(part, list):
        for below in part:
            _readable_elsewhere(below)


def _short(name: str) -> str:
    """``PlanKind`` for ``headway.model.plan.Kind``."""
    where, _, last = name.rpartition(".")
    return where.rpartition(".")[2].title().replace("_", "") + last


def _plain(path: str) -> str:
    """``/v1/apps/{app:str}`` as the document writes it: ``/v1/apps/{app}``."""
    return "/".join(
        part.partition(":")[0] + "}" if part.startswith("{") else part for part in path.split("/")
    )
