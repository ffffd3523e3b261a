"""The secrets that prove to a place who speaks: from files only."""

from pathlib import Path

from headway.errors import InvalidInput


def read_token(path: Path, what: str) -> str:
    """The text in a file, in one line. Raises InvalidInput."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the {what} {path} cannot be read: {error}") from None
    if not text or not text.isprintable():
        raise InvalidInput(f"{path} holds no {what}: write it in one line")
    return text
