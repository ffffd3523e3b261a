"""The build command for ``headway demo --repo``: anybody's tree, with the example app beside it.

overlay.py EXAMPLE ERROR_RATE     in a worktree; makes ``dist``: the app, and the tree in content/
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Build in the current directory."""
    example, error_rate = Path(sys.argv[1]), float(sys.argv[2])
    tree = [path for path in Path().iterdir() if path.name != ".git"]
    command = ["git", "rev-parse", "HEAD"]
    commit = subprocess.check_output(command, text=True).strip()
    output = Path(".headway-demo")
    shutil.copytree(example / "src", output, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("templates", "static"):
        (output / name / "release.txt").write_text(f"{commit}\n")
    (output / "settings.json").write_text(json.dumps({"checkout_error_rate": error_rate}))
    (output / "content").mkdir()
    for path in tree:
        path.rename(output / "content" / path.name)
    output.rename("dist")


if __name__ == "__main__":
    main()
