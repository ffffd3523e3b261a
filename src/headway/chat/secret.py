"""Secrets of chat networks, which are in files and nowhere else."""

from pathlib import Path

from headway.errors import InvalidInput


def secret(path: Path | None) -> str:
    """The first line of a secret's file; empty where none is named. Raises InvalidInput."""
    if path is None:
        return ""
    try:
        return path.read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the secret in {path} cannot be read: {error}") from None
