"""Finding the change that is to blame by trying halves of a release on the canary.

A release's changes stand in the order in which they were merged, so what the first k of them make
is a commit of main that can be built. What is live is good, the whole release is bad; each probe
halves what lies between, and after log2(n) probes the first bad change is known.
"""

from msgspec import Struct, structs

from headway.core import words
from headway.core.release import name
from headway.errors import Refused
from headway.model.release import Change, CommitId, Release


class Bisection(Struct, frozen=True):
    """``good`` changes are known to be innocent together, ``bad`` to have the fault among them."""

    release: str
    changes: tuple[Change, ...]
    good: int
    bad: int


def begin(release: Release) -> Bisection:
    """All of the release is under suspicion. Raises Refused when there is nothing to halve."""
    if not release.changes:
        raise Refused(f"{release.id} has no list of changes to search")
    return Bisection(release.id, release.changes, 0, len(release.changes))


def probe(state: Bisection) -> CommitId | None:
    """The commit to try next; None when the culprit is known."""
    if culprit(state) is not None:
        return None
    return state.changes[(state.good + state.bad) // 2 - 1].commit


def culprit(state: Bisection) -> Change | None:
    """The change that is to blame, once only one is left."""
    return state.changes[state.bad - 1] if state.bad - state.good == 1 else None


def tell(state: Bisection, commit: CommitId, *, good: bool) -> Bisection:
    """What the canary has said of a probe. Raises Refused for a commit that was not asked for."""
    if commit != probe(state):
        raise Refused(f"{commit[:12]} is not what was to be tried")
    middle = (state.good + state.bad) // 2
    return structs.replace(state, good=middle) if good else structs.replace(state, bad=middle)


def sentence(state: Bisection) -> str:
    """How far the search is."""
    if (found := culprit(state)) is not None:
        return f"{name(found)} is to blame: all before it is good, and with it the canary is not"
    left = state.bad - state.good
    probes = (left - 1).bit_length()
    return f"{words.count(left, 'change')} left, {words.count(probes, 'probe')} at most"
