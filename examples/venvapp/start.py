"""What a service manager starts, once per node; not part of any build.

It resolves ``current`` and becomes the application from there, so that all of it comes from one
build, whatever ``current`` leads to a moment later.

    python3 start.py --root /srv/headway/venvapp --port 8080
"""

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Become the application."""
    parser = argparse.ArgumentParser(description="Start the example from its resolved tree.")
    parser.add_argument("--root", type=Path, required=True, help="the app's directory on the node")
    parser.add_argument("--port", default="8080")
    arguments = parser.parse_args()
    tree = (arguments.root / "current").resolve(strict=True)
    os.chdir(tree)
    program = (sys.executable, "-B", str(tree / "greeter.py"), "--port", arguments.port)
    os.execv(sys.executable, program)


if __name__ == "__main__":
    main()
