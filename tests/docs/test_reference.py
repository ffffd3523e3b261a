"""The reference is complete and current: whatever exists is documented, as it is now."""

import re
import tomllib

import click
import msgspec
import pytest

from headway import settings
from headway.errors import family
from headway.server.app import ROUTES
from tests.docs import generate
from tests.docs.generate import CONFIGURATIONS, REFERENCE, commands, pages, routes, sections

COMMANDS = dict(commands())


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_page_is_what_the_generator_writes(page: generate.Path) -> None:
    assert page.read_text("utf-8") == pages()[page], "run: python -m tests.docs.generate"


def test_every_generated_part_is_on_a_page() -> None:
    found = [part[2] for page in pages() for part in generate.PART.finditer(page.read_text())]
    assert sorted(found) == sorted(generate.PARTS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_on_its_page_and_says_what_it_does(path: str) -> None:
    page = (REFERENCE / "cli.md").read_text()
    command = COMMANDS[path]
    assert f"### `{path}`\n" in page
    assert command.help
    chapter = page.partition(f"### `{path}`\n")[2].partition("\n### ")[0]
    common = page.partition("<!-- generated: common-options -->")[2].partition("<!-- end -->")[0]
    for option in command.params:
        if isinstance(option, click.Option):
            place = common if option.opts[0] in generate.COMMON_OPTIONS else chapter
            assert f"| `{option.opts[0]}" in place
            assert option.help, f"{option.opts[0]} has no help"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_takes_json_and_debug(path: str) -> None:
    names = {name for option in COMMANDS[path].params for name in option.opts}
    assert {"--json", "--debug"} <= names


@pytest.mark.parametrize("root", CONFIGURATIONS.values(), ids=lambda root: root.__name__)
def test_every_key_is_on_the_page_and_says_what_it_means(root: type) -> None:
    page = (REFERENCE / "configuration.md").read_text()
    for section in sections(root):
        fields = msgspec.structs.fields(section.struct)
        assert {field.encode_name for field in fields} <= {key.name for key in section.keys}
        for key in section.keys:
            assert key.meaning, f"{section.struct.__name__}.{key.name} has no description"
            assert f"| `{key.name}` |" in page


@pytest.mark.parametrize(
    ("name", "heading"),
    [("app", "An app"), ("agent", "The agent"), ("server", "The control plane"), ("hub", "A hub")],
)
def test_the_example_file_can_be_read(name: str, heading: str) -> None:
    page = (REFERENCE / "configuration.md").read_text()
    chapter = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    example = chapter.partition("```toml\n")[2].partition("```")[0]
    assert settings.convert(tomllib.loads(example), CONFIGURATIONS[name], "the example")


@pytest.mark.parametrize("kind", list(family()), ids=lambda kind: kind.code)
def test_every_error_is_on_the_page(kind: type) -> None:
    page = (REFERENCE / "errors.md").read_text()
    assert f"| `{kind.code}` | {kind.exit_code} | {kind.status} | " in page


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.name)
def test_every_route_is_on_the_page(route: generate.Route) -> None:
    page = (REFERENCE / "api.md").read_text()
    assert f"| `{route.method} {route.path}` | {route.role} | " in page


def test_the_servers_routes_and_roles_are_those_on_the_page() -> None:
    serves = {
        (method, re.sub(r"{.*?}", "{}", path), handler.opt["role"].name)
        for handler in ROUTES
        for path in handler.paths
        for method in handler.http_methods
    }
    rules = {"any role": "ANY"}
    told = {
        (
            route.method,
            re.sub(r"{.*?}", "{}", route.path),
            rules.get(route.role, route.role.upper()),
        )
        for route in routes()
    }
    assert told == serves


def test_a_key_without_a_description_would_be_found() -> None:
    class Undescribed(msgspec.Struct):
        """Nothing about its key."""

        key: int

    (section,) = sections(Undescribed)
    assert section.keys[0].meaning == ""


def test_a_key_is_described_by_its_annotation_its_docstring_or_its_class() -> None:
    class Described(msgspec.Struct):
        """``third`` is told here. So is what ``third`` may be."""

        first: generate.typing.Annotated[int, msgspec.Meta(description="by annotation")]
        second: int
        """by docstring"""
        third: int = 3

    (section,) = sections(Described)
    assert [key.meaning for key in section.keys] == [
        "by annotation",
        "by docstring",
        "``third`` is told here. So is what ``third`` may be.",
    ]
