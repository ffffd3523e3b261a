"""Reads pages as a browser does, and objects to what the cockpit's pages never hold."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br"}
ADDRESSES = {"href", "src", "action", "formaction", "sse-connect"}
OURS = re.compile(r"/(?!/)|#main$")
FORGE = re.compile(r"https?://[^/]")


class Reader(HTMLParser):
    """Elements in order, text as it shows; a well-formed page leaves ``open`` empty."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.shown = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        assert not self.open or self.open[-1] not in ("script", "style"), f"inline: {data!r}"
        self.shown += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def buttons(self) -> dict[str, dict[str, str]]:
        """The buttons that act, by action."""
        found = [b for b in self.all("button") if "formaction" in b]
        return {b["formaction"].rpartition("/")[2]: b for b in found}

    def field(self, name: str) -> str:
        """The value of a form's field."""
        return next(i["value"] for i in self.all("input") if i.get("name") == name)


def read(html: str) -> Reader:
    """Parse a page or a part of one; fail on anything that a strict policy would block."""
    reader = Reader(html)
    assert reader.open == []
    for tag, attributes in reader.elements:
        assert tag not in ("style", "iframe", "object", "base", "img"), tag
        assert tag != "script" or attributes["src"].startswith("/assets/"), attributes
        for name, value in attributes.items():
            assert not name.startswith("on") and not name.startswith("hx-on"), (tag, name)
            assert name != "style", tag
            away = tag == "a" and "noreferrer" in attributes.get("rel", "")
            assert name not in ADDRESSES or (FORGE if away else OURS).match(value), (name, value)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids)), "an id twice"
    return reader
