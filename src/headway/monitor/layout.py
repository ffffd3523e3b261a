"""Who gets how many of the screen's lines."""

from collections.abc import Mapping

from msgspec import Struct


class Want(Struct, frozen=True):
    """A part of the screen needs ``least`` lines to be of use, and ``most`` to show everything."""

    least: int
    most: int


def share(height: int, wants: Mapping[str, Want]) -> dict[str, int]:
    """Lines for each part, the first first: to all their least, then to all their most.

    What is left over goes to the last one.
    """
    given = dict.fromkeys(wants, 0)
    left = height
    for bound in ("least", "most"):
        for name, want in wants.items():
            more = max(0, min(left, getattr(want, bound) - given[name]))
            if bound == "least" and more < want.least:
                continue
            given[name] += more
            left -= more
    if given:
        given[next(reversed(given))] += left
    return given
