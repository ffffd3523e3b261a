"""A key, a store that counts and lies on demand, and a way to write trees."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from headway.builds import manifest
from headway.builds.fetch import Fetcher
from headway.builds.publish import publish
from headway.builds.storage import DirectoryStorage
from headway.builds.storage.port import Stored
from headway.errors import NotFound, Refused
from headway.model.build import Build
from headway.signing import Signer, Trust


class MemoryStorage:
    """Objects in a dictionary, which a test may damage; notes every read and write."""

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.reads: list[tuple[str, int, int | None]] = []
        self.writes: list[str] = []
        self.written: dict[str, float] = {}
        self.now = 0.0

    def read(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.reads.append((path, offset, length))
        if path not in self.objects:
            raise NotFound(path)
        content = self.objects[path][offset : None if length is None else offset + length]
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    def size(self, path: str) -> int | None:
        return len(self.objects[path]) if path in self.objects else None

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        content = b"".join(chunks)
        if self.objects.setdefault(path, content) != content:
            raise Refused(f"{path} has other content")
        self.writes.append(path)
        self.written.setdefault(path, self.now)

    def list(self, directory: str) -> Iterator[Stored]:
        for path in [path for path in self.objects if path.startswith(directory + "/")]:
            yield Stored(path, len(self.objects[path]), self.written.get(path, 0.0))

    def replace(self, path: str, content: bytes) -> None:
        self.objects[path] = content
        self.written[path] = self.now

    def delete(self, path: str) -> None:
        self.objects.pop(path, None)
        self.written.pop(path, None)

    def close(self) -> None:
        pass


class Shelf:
    """Where a test publishes from and fetches into."""

    def __init__(self, storage: MemoryStorage | DirectoryStorage | None = None) -> None:
        self.signer = Signer.generate()
        self.storage = storage or MemoryStorage()
        self.fetcher = Fetcher(self.storage, Trust.of(self.signer.public_pem))

    def publish(self, tree: Path, earlier: Iterable[str] = (), now: float = 1.0) -> Build:
        build, _ = publish(
            tree,
            app="shop",
            commit="c0ffee",
            by="alice",
            subject="A change",
            signer=self.signer,
            storage=self.storage,
            earlier=tuple(earlier),
            now=now,
        )
        return build

    def fetch(self, build: str, wanted: Mapping[str, int] | None = None) -> dict[str, bytes]:
        """The wanted blobs, or all; what was saved before an error is in ``saved``."""
        if wanted is None:
            _, tree = self.fetcher.describe("shop", build)
            wanted = manifest.blobs(tree)
        self.saved: dict[str, bytes] = {}

        def save(digest: str, size: int, content: Iterator[bytes]) -> None:
            raw = b"".join(content)
            assert digest not in self.saved
            assert len(raw) == size
            self.saved[digest] = raw

        self.fetcher.fetch("shop", build, wanted, save)
        return self.saved


def write_tree(root: Path, files: Mapping[str, bytes | str | None]) -> Path:
    """Bytes make a file (executable beneath ``bin/``), text a link, None a directory."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
            path.chmod(0o755 if "bin/" in name else 0o644)
    return root


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()
