"""A real git repository, with main as people would leave it."""

import os
import subprocess
from pathlib import Path


class Origin:
    """A bare repository, and a clone of it in which people work."""

    def __init__(self, root: Path) -> None:
        self.bare = root / "origin.git"
        self.clone = root / "clone"
        git(root, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(root, "clone", "-q", str(self.bare), str(self.clone))
        git(self.clone, "checkout", "-q", "-b", "main")

    def commit(self, subject: str, files: dict[str, str], body: str = "") -> str:
        """A commit on main, pushed; its id."""
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.clone, "add", "-A")
        message = f"{subject}\n\n{body}" if body else subject
        git(self.clone, "commit", "-q", "--allow-empty", "-m", message)
        git(self.clone, "push", "-q", "origin", "main")
        return git(self.clone, "rev-parse", "HEAD")

    def merge(self, subject: str, files: dict[str, str]) -> str:
        """A branch with one commit, merged into main with a merge commit; its id."""
        git(self.clone, "checkout", "-q", "-b", "topic")
        for name, text in files.items():
            (self.clone / name).write_text(text)
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-q", "-m", f"{subject}, the commit")
        git(self.clone, "checkout", "-q", "main")
        git(self.clone, "merge", "-q", "--no-ff", "-m", subject, "topic")
        git(self.clone, "branch", "-q", "-D", "topic")
        git(self.clone, "push", "-q", "origin", "main")
        return git(self.clone, "rev-parse", "HEAD")

    def at(self, ref: str) -> str:
        """Where a ref of the bare repository stands."""
        return git(self.bare, "rev-parse", ref)

    def shows(self, ref: str, path: str) -> str:
        """A file at a ref of the bare repository."""
        return git(self.bare, "show", f"{ref}:{path}")

    def refs(self) -> set[str]:
        """All refs of the bare repository."""
        return set(git(self.bare, "for-each-ref", "--format=%(refname)").split())


def git(where: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=where,
        env=clean,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()
