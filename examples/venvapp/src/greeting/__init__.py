"""What the application depends on; the build packs it as a wheel, as an index would serve it."""

VERSION = "1.0"


def greet(name: str) -> str:
    """Say hello."""
    return f"Hello, {name}! This is greeting {VERSION}."
