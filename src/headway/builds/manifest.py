"""The manifest: its canonical bytes, and what a tree must be like to become a build."""

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from unicodedata import normalize

import msgspec

from headway.builds.layout import MAX_MANIFEST_BYTES
from headway.errors import Refused
from headway.model.build import Entry, Kind, Manifest
from headway.model.names import BuildId

VERSION = 1
MAX_ENTRIES = 1_000_000
MAX_PATH_BYTES = 4096
MAX_COMPONENT_BYTES = 255
MAX_DEPTH = 128
"""How many names a path may have; whoever walks a tree holds a handle for each."""
MAX_FILE_BYTES = 64 * 1024**3
MAX_TOTAL_BYTES = 512 * 1024**3
MAX_LINK_HOPS = 40
"""As many links as the kernel follows in one path."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_HOSTILE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_STEP = re.compile(r"(?:\A|/)\.{0,2}(?=/|\Z)")
"""An empty name, ``.`` or ``..`` anywhere in a path."""


def manifest(entries: Iterable[Entry]) -> Manifest:
    """The manifest of these entries, in order and checked. Raises Refused."""
    # Python compares strings by code point, which is the order of their UTF-8 bytes.
    made = Manifest(VERSION, tuple(sorted(entries, key=lambda entry: entry.path)))
    check(made)
    return made


def encode(manifest: Manifest) -> bytes:
    """The canonical bytes."""
    return msgspec.json.encode(manifest)


def decode(content: bytes) -> Manifest:
    """A checked manifest from its canonical bytes; any other spelling is refused."""
    if len(content) > MAX_MANIFEST_BYTES:
        raise Refused(f"the manifest has {len(content)} bytes, {MAX_MANIFEST_BYTES} are allowed")
    try:
        decoded = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(f"not a manifest: {error}") from None
    check(decoded)
    if encode(decoded) != content:
        raise Refused("the manifest is not in its canonical form; publish the build again")
    return decoded


def build_id(content: bytes) -> BuildId:
    """The id of the build whose manifest has these canonical bytes."""
    return sha256(content).hexdigest()


def files(manifest: Manifest) -> Iterator[Entry]:
    """The entries that have content."""
    return (entry for entry in manifest.entries if entry.kind in _WITH_CONTENT)


def blobs(manifest: Manifest) -> dict[str, int]:
    """Every content that the build needs, by digest, with its size in bytes."""
    return {entry.digest: entry.size for entry in files(manifest)}


def check(manifest: Manifest) -> None:
    """Raise Refused, naming the path, for what could not be a build on every node."""
    if manifest.version != VERSION:
        raise Refused(f"manifest version {manifest.version} is not known; upgrade Headway here")
    if len(manifest.entries) > MAX_ENTRIES:
        raise Refused(f"the tree has more than {MAX_ENTRIES} entries")
    kinds: dict[str, Kind] = {}
    folded: dict[str, str] = {}
    sizes: dict[str, int] = {}
    links: dict[str, str] = {}
    total = 0
    previous = ""
    for entry in manifest.entries:
        path = entry.path
        check_path(path)
        if path <= previous:
            problem = "is listed twice" if path in kinds else "is not in its place in the order"
            raise Refused(f"{path!a} {problem}")
        parent = path.rpartition("/")[0]
        if parent and kinds.get(parent) is not Kind.DIRECTORY:
            problem = "is no directory" if parent in kinds else "is not listed"
            raise Refused(f"{path!a} lies beneath {parent!a}, which {problem}")
        clash = folded.setdefault(_fold(path), path)
        if clash != path:
            raise Refused(f"{clash!a} and {path!a} differ only in case or accents' spelling")
        _check_content(entry, sizes)
        if entry.kind is Kind.LINK:
            links[path] = entry.target
        kinds[path] = entry.kind
        total += entry.size
        previous = path
    if total > MAX_TOTAL_BYTES:
        raise Refused(f"the tree has {total} bytes, {MAX_TOTAL_BYTES} are allowed")
    for path in links:
        _check_link(path, links)


def check_path(path: str) -> None:
    """Raise Refused for a path that is not relative, plain and short enough."""
    if _STEP.search(path):
        raise Refused(f"{path[:300]!a} is not a plain relative path ('/' first or last, '.', '..')")
    if _HOSTILE.search(path):
        raise Refused(f"{path[:300]!a} holds a control character or is not UTF-8; rename it")
    length = len(path) if path.isascii() else len(path.encode())
    if length > MAX_PATH_BYTES:
        raise Refused(f"{path[:300]!a}… is longer than {MAX_PATH_BYTES} bytes")
    # A path of at most 255 bytes has neither a longer name nor more than 128 of them.
    if length > MAX_COMPONENT_BYTES:
        names = path.split("/")
        if len(names) > MAX_DEPTH:
            raise Refused(f"{path[:300]!a}… is nested more than {MAX_DEPTH} deep")
        if any(len(name.encode()) > MAX_COMPONENT_BYTES for name in names):
            raise Refused(f"{path[:300]!a}… has a name longer than {MAX_COMPONENT_BYTES} bytes")


_WITH_CONTENT = frozenset({Kind.FILE, Kind.EXECUTABLE})


def _fold(path: str) -> str:
    if path.isascii():
        return path.lower()
    return normalize("NFC", normalize("NFD", path).casefold())


def _check_content(entry: Entry, sizes: dict[str, int]) -> None:
    path = entry.path
    if entry.kind in _WITH_CONTENT:
        if not _DIGEST.fullmatch(entry.digest):
            raise Refused(f"{path!a} has no sha256 digest but {entry.digest[:80]!a}")
        if not 0 <= entry.size <= MAX_FILE_BYTES:
            raise Refused(f"{path!a} has {entry.size} bytes, {MAX_FILE_BYTES} are allowed")
        if sizes.setdefault(entry.digest, entry.size) != entry.size:
            raise Refused(f"{path!a} has another size than a file of the same digest")
    elif entry.size or entry.digest:
        raise Refused(f"{path!a} has a size or digest, but is no file")
    if (entry.kind is Kind.LINK) != bool(entry.target):
        raise Refused(f"{path!a} must have a target if, and only if, it is a link")


def _check_link(path: str, links: dict[str, str]) -> None:
    """Follow a link as the kernel would, on paper; ``..`` must never climb out of the tree."""
    target = links[path]
    if _HOSTILE.search(target) or len(target.encode()) > MAX_PATH_BYTES:
        raise Refused(f"the link {path!a} has a target that is not plain: {target[:300]!a}")
    place = path.split("/")[:-1]
    ahead = _steps(path, target)
    hops = 1
    while ahead:
        name = ahead.pop()
        if name == "..":
            if not place:
                raise Refused(f"the link {path!a} leads out of the tree: {target[:300]!a}")
            place.pop()
            continue
        place.append(name)
        if len(place) > MAX_DEPTH:
            raise Refused(f"the link {path!a} leads more than {MAX_DEPTH} deep")
        if (onward := links.get("/".join(place))) is not None:
            hops += 1
            if hops > MAX_LINK_HOPS:
                raise Refused(f"the link {path!a} goes round in circles: {target[:300]!a}")
            place.pop()
            ahead += _steps(path, onward)


def _steps(path: str, target: str) -> list[str]:
    """A target's names, the next one last. Raises Refused for an absolute target."""
    if target.startswith("/"):
        raise Refused(f"the link {path!a} leads to an absolute path: {target[:300]!a}")
    return [name for name in reversed(target.split("/")) if name not in {"", "."}]
