"""One directory of a build: its listing's canonical bytes, and what may stand in it.

Everything here can be told from the listing alone, so that a tree of a hundred thousand files in
which one changed is checked by reading the few directories on the way to it.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from unicodedata import normalize

import msgspec

from headway.errors import Refused
from headway.model.build import Entry, Kind, Listing
from headway.model.names import Digest

MAX_NAME_BYTES = 255
MAX_TARGET_BYTES = 4096
MAX_FILE_BYTES = 64 * 1024**3
WITH_CONTENT = frozenset({Kind.FILE, Kind.EXECUTABLE})

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


def read(content: bytes, path: str, depth: int) -> Listing:
    """A checked listing, see ``check``, from canonical bytes; any other spelling is Refused."""
    where = path or "."
    try:
        entries = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(f"the listing of {where[:300]!a} is none: {error}") from None
    check(entries, path, depth)
    if _encoder.encode(entries) != content:
        raise Refused(f"the listing of {where[:300]!a} is not in its canonical form")
    return entries


def check(entries: Listing, path: str, depth: int) -> None:
    """Raise Refused, naming the entry, for what could not be on every node.

    ``path`` is the directory's, ``depth`` says how many directories it lies below the root.
    """
    previous = ""
    folded: dict[str, str] = {}
    for entry in entries:
        try:
            _check_name(entry.name)
            if entry.name <= previous:
                twice = entry.name == previous
                raise Refused("is listed twice" if twice else "is not in its place in the order")
            clash = folded.setdefault(_fold(entry.name), entry.name)
            if clash != entry.name:
                raise Refused(f"differs from {clash!a} only in case or accents' spelling")
            _check_content(entry, depth)
        except Refused as error:
            where = f"{path}/{entry.name}" if path else entry.name
            raise Refused(f"{where[:300]!a} {error.sentence}") from None
        previous = entry.name


def _check_name(name: str) -> None:
    """Raise Refused for what is not one plain name. The sentence begins after the name."""
    if name in {"", ".", ".."} or "/" in name:
        raise Refused("is not a plain name (empty, '.', '..', or with a '/')")
    if _HOSTILE.search(name):
        raise Refused("holds a control character or is not UTF-8; rename it")
    if len(name) > MAX_NAME_BYTES or len(name.encode()) > MAX_NAME_BYTES:
        raise Refused(f"is longer than {MAX_NAME_BYTES} bytes; rename it")


def _fold(name: str) -> str:
    if name.isascii():
        return name.lower()
    return normalize("NFC", normalize("NFD", name).casefold())


def _check_content(entry: Entry, depth: int) -> None:
    has_digest = entry.kind in WITH_CONTENT or entry.kind is Kind.DIRECTORY
    if has_digest and not _DIGEST.fullmatch(entry.digest):
        raise Refused(f"has no sha256 digest but {entry.digest[:80]!a}")
    if entry.digest and not has_digest:
        raise Refused("has a digest, but no content")
    if entry.size and entry.kind not in WITH_CONTENT:
        raise Refused("has a size, but is no file")
    if entry.size > MAX_FILE_BYTES:
        raise Refused(f"has {entry.size} bytes, {MAX_FILE_BYTES} are allowed")
    if (entry.kind is Kind.LINK) != bool(entry.target):
        raise Refused("must have a target if, and only if, it is a link")
    if entry.target:
        _check_target(entry.target, depth)


def _check_target(target: str, depth: int) -> None:
    """Raise Refused unless the target stays in the tree, wherever other links may lead.

    It may climb first, from a real directory to one that is real as well and in the tree, and
    then only descend. Whatever a link on the way down points to does the same from where it is.
    """
    if _HOSTILE.search(target) or len(target.encode()) > MAX_TARGET_BYTES:
        raise Refused(f"is a link whose target is not plain: {target[:300]!a}")
    if target.startswith("/"):
        raise Refused(f"is a link to an absolute path: {target[:300]!a}")
    steps = [step for step in target.split("/") if step not in {"", "."}]
    climbs = next((at for at, step in enumerate(steps) if step != ".."), len(steps))
    if climbs > depth:
        raise Refused(f"is a link that leads out of the tree: {target[:300]!a}")
    if ".." in steps[climbs:]:
        raise Refused(
            f"is a link with '..' after a name; write its target shorter: {target[:300]!a}"
        )
