"""Publishing: a directory becomes a signed build in the store, adding only what is new."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from headway.builds import attestation, index, layout, manifest
from headway.builds.bundling import put_bundle
from headway.builds.frames import compress_whole, decompress_whole
from headway.builds.index import Index
from headway.builds.manifest import Manifest
from headway.builds.pack import PackWriter
from headway.builds.scan import read_file, scan
from headway.builds.storage.port import Storage, read_whole
from headway.errors import Refused, Untrusted
from headway.model.build import Build
from headway.model.names import BuildId
from headway.signing import MAX_ENVELOPE_BYTES, Signer, Trust

BUNDLES = 3
"""For how many earlier builds it is written down what differs from them."""

Progress = Callable[[str, int, int], None]
"""Told the phase ("scan", "pack", "upload"), how much is done, and of how much (0: not known).
While scanning these are entries, afterwards bytes."""


def publish(
    directory: Path,
    *,
    app: str,
    commit: str,
    by: str,
    subject: str,
    signer: Signer,
    storage: Storage,
    earlier: Sequence[BuildId],
    now: float,
    progress: Progress = lambda phase, done, total: None,
) -> tuple[Build, bytes]:
    """Publish the tree beneath ``directory``; the build and its attestation's envelope.

    What the ``earlier`` builds of the app hold is not stored again; nodes that have one of the
    first of them will fetch only what differs. The attestation is written once all that it needs
    is there: what is cut off before then has published nothing. A tree that is published already
    keeps the attestation that it has. Raises Refused, naming the path, for what no build can
    hold, and InvalidInput for an app or commit that cannot be one.
    """
    tree, content = _read_tree(directory, progress)
    build = tree.build
    files = list(manifest.files(tree))
    made = Build(
        id=build,
        app=app,
        commit=commit,
        created_at=now,
        by=by,
        files=len(files),
        bytes=sum(entry.size for _, entry in files),
        new_bytes=0,
        subject=subject,
    )
    # Sealed once before anything is written, so that what cannot be attested leaves no trace.
    attestation.seal(made, signer)
    places = _held(storage, app, tree, [build, *earlier])
    with PackWriter() as pack:
        _fill(pack, directory, tree, places, progress)
        if pack.size:
            progress("upload", 0, pack.size)
            storage.write(layout.pack(app, pack.digest), pack.chunks())
            progress("upload", pack.size, pack.size)
            places |= pack.locations()
        made = msgspec.structs.replace(made, new_bytes=pack.size)
    _put_index(storage, app, build, tree, places)
    _put_manifest(storage, app, build, content)
    made, envelope = _put_attestation(storage, made, signer)
    for base in list(dict.fromkeys(earlier))[:BUNDLES]:
        put_bundle(storage, app, directory, tree, envelope, places, base)
    return made, envelope


def _read_tree(directory: Path, progress: Progress) -> tuple[Manifest, bytes]:
    tree = scan(directory, lambda count: progress("scan", count, 0))
    content = manifest.encode(tree)
    if len(content) > layout.MAX_MANIFEST_BYTES:
        raise Refused(f"the tree's manifest would exceed {layout.MAX_MANIFEST_BYTES} bytes")
    return tree, content


def _held(storage: Storage, app: str, tree: Manifest, builds: Sequence[BuildId]) -> Index:
    """Where the tree's blobs lie already, as far as these builds hold them.

    An earlier try at the same build comes first, so that its index comes out the same again.
    """
    held: Index = {}
    needed = manifest.blobs(tree)
    for build in dict.fromkeys(builds):
        missing = {digest: size for digest, size in needed.items() if digest not in held}
        if not missing:
            break
        held |= index.usable(storage, app, index.read_if_any(storage, app, build), missing)
    return held


def _fill(
    pack: PackWriter, directory: Path, tree: Manifest, held: Index, progress: Progress
) -> None:
    new = {
        entry.digest: (path, entry)
        for path, entry in manifest.files(tree)
        if entry.digest not in held
    }.values()
    total = sum(entry.size for _, entry in new)
    done = 0
    for path, entry in new:
        pack.add(entry.digest, entry.size, read_file(directory, path, entry))
        done += entry.size
        progress("pack", done, total)


def _put_index(storage: Storage, app: str, build: BuildId, tree: Manifest, places: Index) -> None:
    """Write the index, unless a complete one is there, from a try with other earlier builds."""
    try:
        storage.write(layout.index(app, build), [index.encode(places)])
    except Refused:
        needed = manifest.blobs(tree)
        stored = index.read_if_any(storage, app, build)
        if index.usable(storage, app, stored, needed).keys() != needed.keys():
            raise


def _put_manifest(storage: Storage, app: str, build: BuildId, content: bytes) -> None:
    """Write the manifest, unless it is there, compressed by another version of zstd."""
    path = layout.manifest(app, build)
    try:
        storage.write(path, [compress_whole(content)])
    except Refused:
        stored = read_whole(storage, path, layout.MAX_MANIFEST_BYTES)
        if decompress_whole(stored, len(content)) != content:
            raise


def _put_attestation(storage: Storage, made: Build, signer: Signer) -> tuple[Build, bytes]:
    """Write the attestation, or return the one that is there, if the same key has signed it."""
    path = layout.attestation(made.app, made.id)
    envelope = attestation.seal(made, signer)
    try:
        storage.write(path, [envelope])
    except Refused:
        envelope = read_whole(storage, path, MAX_ENVELOPE_BYTES)
        trust = Trust.of(signer.public_pem)
        try:
            return attestation.open(envelope, trust, made.app, made.id), envelope
        except Untrusted:
            raise Refused(
                f"build {made.id[:12]} is published already, signed with another key; "
                "publish with that key, or change the tree"
            ) from None
    return made, envelope
