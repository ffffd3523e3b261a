"""One directory of a build, or a piece of one: its canonical bytes, and what may stand in it.

Everything here can be told from the listing alone, so that a tree of a hundred thousand files in
which one changed is checked by reading the few directories on the way to it.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import sha256
from itertools import islice
from operator import attrgetter, lt
from unicodedata import normalize

import msgspec

from headway.errors import Refused
from headway.model.build import Entry, Kind, Listing
from headway.model.names import Digest

MAX_NAME_BYTES = 255
MAX_TARGET_BYTES = 4096
MAX_FILE_BYTES = 64 * 1024**3
WITH_CONTENT = frozenset({Kind.FILE, Kind.EXECUTABLE})
WITH_LISTING = frozenset({Kind.DIRECTORY, Kind.PIECE})

_NAME = attrgetter("name")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HOSTILE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_decoder = msgspec.json.Decoder(Listing)
_encoder = msgspec.json.Encoder()


def encode(entries: Iterable[Entry]) -> bytes:
    """The canonical bytes of these entries, in the order of their names."""
    # Python compares strings by code point, which is the order of their UTF-8 bytes.
    return _encoder.encode(tuple(sorted(entries, key=lambda entry: entry.name)))


def digest(content: bytes) -> Digest:
    """The digest of the listing with these canonical bytes; a root's is the id of the build."""
    return sha256(content).hexdigest()


def decode(content: bytes) -> Listing:
    """A listing from bytes that have been checked before."""
    return _decoder.decode(content)


def find(entries: Listing, name: str) -> Entry | None:
    """The entry of this name."""
    at = bisect_left(entries, name, key=_NAME)
    return entries[at] if at < len(entries) and entries[at].name == name else None


def read(content: bytes, path: str) -> Listing:
    """A listing of the directory at ``path``, not checked. Raises Refused for other bytes than
    ``encode`` makes.
    """
    where = path or "."
    try:
        entries = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(f"the listing of {where[:300]!a} is none: {error}") from None
    if _encoder.encode(entries) != content:
        raise Refused(f"the listing of {where[:300]!a} is not in its canonical form")
    return entries


def check(entries: Listing, path: str, depth: int, before: Listing = ()) -> list[Entry]:
    """Raise Refused, naming the entry, for what could not be on every node; returns what is new.

    ``path`` is the directory's, ``depth`` says how many directories it lies below the root, and
    ``before`` is what it held when it was checked before.
    """
    known = {entry.name: entry for entry in before}
    new = [entry for entry in entries if known.get(entry.name) != entry]
    names = [entry.name for entry in entries]
    for entry in new:
        if problem := _problem(entry, depth):
            raise _refused(path, entry.name, problem)
    if not all(map(lt, names, islice(names, 1, None))):
        late = next(name for name, last in zip(names[1:], names, strict=False) if name <= last)
        twice = names.count(late) > 1
        raise _refused(
            path, late, "is listed twice" if twice else "is not in its place in the order"
        )
    if len({entry.kind is Kind.PIECE for entry in entries}) > 1:
        raise Refused(f"the listing of {(path or '.')[:300]!a} has pieces and entries at once")
    if any(entry.name not in known for entry in new):
        folded: dict[str, str] = {}
        for name in names:
            if (clash := folded.setdefault(_fold(name), name)) != name:
                problem = f"differs from {clash!a} only in case or accents' spelling"
                raise _refused(path, name, problem)
    return new


def _refused(path: str, name: str, problem: str) -> Refused:
    where = f"{path}/{name}" if path else name
    return Refused(f"{where[:300]!a} {problem}")


def _fold(name: str) -> str:
    if name.isascii():
        return name.lower()
    return normalize("NFC", normalize("NFD", name).casefold())


def _problem(entry: Entry, depth: int) -> str:
    """What is wrong with an entry, to be read after its name; empty where nothing is."""
    name, kind = entry.name, entry.kind
    if name in {"", ".", ".."} or "/" in name:
        return "is not a plain name (empty, '.', '..', or with a '/')"
    if _HOSTILE.search(name):
        return "holds a control character or is not UTF-8; rename it"
    if len(name) > MAX_NAME_BYTES or len(name.encode()) > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes; rename it"
    has_content = kind in WITH_CONTENT
    if (has_content or kind in WITH_LISTING) and not _DIGEST.fullmatch(entry.digest):
        return f"has no sha256 digest but {entry.digest[:80]!a}"
    if kind is Kind.LINK and entry.digest:
        return "has a digest, but no content"
    if entry.size and not has_content:
        return "has a size, but is no file"
    if entry.size > MAX_FILE_BYTES:
        return f"has {entry.size} bytes, {MAX_FILE_BYTES} are allowed"
    if (kind is Kind.LINK) != bool(entry.target):
        return "must have a target if, and only if, it is a link"
    return _target_problem(entry.target, depth) if entry.target else ""


def _target_problem(target: str, depth: int) -> str:
    """Whether the target stays in the tree, wherever other links may lead.

    It may climb first, from a real directory to one that is real as well and in the tree, and
    then only descend. Whatever a link on the way down points to does the same from where it is.
    """
    shown = f"{target[:300]!a}"
    if _HOSTILE.search(target) or len(target.encode()) > MAX_TARGET_BYTES:
        return f"is a link whose target is not plain: {shown}"
    if target.startswith("/"):
        return f"is a link to an absolute path: {shown}"
    steps = [step for step in target.split("/") if step not in {"", "."}]
    climbs = next((at for at, step in enumerate(steps) if step != ".."), len(steps))
    if climbs > depth:
        return f"is a link that leads out of the tree: {shown}"
    if ".." in steps[climbs:]:
        return f"is a link with '..' after a name; write its target shorter: {shown}"
    return ""
