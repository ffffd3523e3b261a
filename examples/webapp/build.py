"""The app's build command: copies ``src`` to ``dist`` and stamps the commit into both files.

build.py [RELEASE]        without RELEASE the commit of the working tree
"""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STAMPED = ("templates/release.txt", "static/release.txt")


def main() -> None:
    """Build the tree that is deployed."""
    if len(sys.argv) > 1:
        release = sys.argv[1]
    else:
        command = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
        release = subprocess.check_output(command, text=True).strip()
    output = HERE / "dist"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(HERE / "src", output, ignore=shutil.ignore_patterns("__pycache__"))
    for name in STAMPED:
        (output / name).write_text(f"{release}\n")


if __name__ == "__main__":
    main()
