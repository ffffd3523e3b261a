"""IRC's lines: from bytes to a message and back (RFC 2812, with the tags of IRCv3). Pure."""

from collections.abc import Iterator

from msgspec import Struct

from headway.core.words import clean

MAX_LINE_BYTES = 8191 + 512
"""The longest line that is read: tags and the rest, as IRCv3 allows."""

MAX_TEXT_BYTES = 400
"""How much of a message goes into one line, so that prefix and target fit into 512 bytes."""

_ESCAPES = {"\\:": ";", "\\s": " ", "\\\\": "\\", "\\r": "\r", "\\n": "\n"}


class Line(Struct, frozen=True):
    """One message. ``prefix`` is who sent it, ``nick!user@host`` or a server."""

    command: str
    words: tuple[str, ...] = ()
    prefix: str = ""
    tags: dict[str, str] = {}

    @property
    def nick(self) -> str:
        """The sender's nick."""
        return self.prefix.partition("!")[0]

    def word(self, index: int) -> str:
        """A parameter, or an empty string where there is none."""
        return self.words[index] if index < len(self.words) else ""


def read(raw: bytes) -> Line | None:
    """The message of a line; None where there is none in it."""
    text = raw.decode("utf-8", "replace").strip("\r\n")
    tags: dict[str, str] = {}
    prefix = ""
    if text.startswith("@"):
        told, _, text = text[1:].partition(" ")
        pairs = (tag.partition("=") for tag in told.split(";"))
        tags = {key: _unescaped(value) for key, _, value in pairs}
    text = text.lstrip(" ")
    if text.startswith(":"):
        prefix, _, text = text[1:].partition(" ")
    head, colon, last = text.lstrip(" ").partition(" :")
    words = head.split()
    if not words:
        return None
    command, *rest = words
    return Line(command.upper(), (*rest, *((last,) if colon else ())), prefix, tags)


def write(command: str, *words: str, text: str | None = None) -> bytes:
    """A line; nothing in its words can begin another one."""
    parts = [command, *("".join(clean(word).split()) for word in words)]
    line = " ".join(parts) + ("" if text is None else f" :{clean(text)}")
    return line.encode("utf-8", "replace") + b"\r\n"


def split(text: str, limit: int = MAX_TEXT_BYTES) -> Iterator[str]:
    """A text in pieces of at most ``limit`` bytes, between words where that is possible."""
    rest = clean(text).strip()
    while len(rest.encode()) > limit:
        piece = rest.encode()[:limit].decode("utf-8", "ignore")
        at = piece.rfind(" ", limit // 2)
        piece = piece[:at] if at > 0 else piece
        yield piece
        rest = rest[len(piece) :].lstrip(" ")
    if rest:
        yield rest


def _unescaped(value: str) -> str:
    out, i = "", 0
    while i < len(value):
        pair = value[i : i + 2]
        if pair in _ESCAPES:
            out, i = out + _ESCAPES[pair], i + 2
        else:
            out, i = out + value[i].replace("\\", ""), i + 1
    return out
