"""The app's build command: ``dist/`` from ``src/``, with its dependency as a wheel and a lock file.

A real application downloads its wheels here, once, for example with ``pip download``. This one
packs its own, so that it needs no network: neither here nor on any node.
"""

import base64
import hashlib
import re
import shutil
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONSTANT_TIME = (2001, 1, 1, 0, 0, 0)


def main() -> None:
    """Build the tree that is deployed."""
    output = HERE / "dist"
    shutil.rmtree(output, ignore_errors=True)
    junk = shutil.ignore_patterns("__pycache__", "greeting")
    shutil.copytree(HERE / "src", output, ignore=junk)
    (output / "wheels").mkdir()
    source = (HERE / "src" / "greeting" / "__init__.py").read_bytes()
    found = re.search(rb'^VERSION = "(.+)"$', source, re.MULTILINE)
    if found is None:
        raise SystemExit("src/greeting has no VERSION")
    version = found[1].decode()
    packed = wheel(output / "wheels", version, source)
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    lock = f"greeting=={version} --hash=sha256:{digest}\n"
    (output / "requirements.lock").write_text(lock)


def wheel(directory: Path, version: str, source: bytes) -> Path:
    """Pack the dependency; the same source gives the same bytes, and so the same lock file."""
    about = f"greeting-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: greeting\nVersion: {version}\n"
    files = {
        "greeting/__init__.py": source,
        f"{about}/METADATA": metadata.encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_hash(content)},{len(content)}\n" for name, content in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    path = directory / f"greeting-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, CONSTANT_TIME), content)
    return path


def _hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.decode().rstrip('=')}"


if __name__ == "__main__":
    main()
